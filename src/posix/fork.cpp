// SPDX-License-Identifier: BSL-1.0
// In the child the other threads do not exist: their records stay where they are, and nothing will ever run them. What
// was half changed by another carrier when fork copied it is dealt with where it lies: the program's objects know
// processes (sync/generation.hpp), the engine's own lists begin anew. Nothing needs to be done before a fork, and
// nothing may be: libc's fork waits for locks whose holders must be able to run.
// The calling thread is an ordinary kernel thread until it starts the engine anew by creating a thread.
#include "posix/fork.hpp"

#include <errno.h>

#include "core/section.hpp"
#include "core/thread_memory.hpp"
#include "io/reactor.hpp"
#include "mem/stack_pool.hpp"
#include "mem/thread_block.hpp"
#include "os/kernel_thread.hpp"
#include "posix/exported.hpp"
#include "posix/once.hpp"
#include "posix/registry.hpp"
#include "posix/runtime.hpp"
#include "posix/signals.hpp"
#include "posix/thread_life.hpp"
#include "sync/address_lot.hpp"
#include "sync/futex_table.hpp"
#include "sync/generation.hpp"

namespace weft::engine::posix {

void go_on_as_child() noexcept {
  if (native()) return;
  sync::generation = static_cast<std::uint32_t>(os::process_id());
  const bool half_started = runtime.first != nullptr && runtime.first->kind == thread_kind::user;
  if (runtime.now != stage::running && !half_started) return;
  user_thread& me = self();
  scheduling_after_fork(me);
  me.robust_list_known = false;
  mem::stacks.begin_anew();
  mem::begin_anew();
  if (&me != &runtime.main) mem::leave_list_of_libc(me.thread_pointer);
  threads.only(me);
  begin_thread_ids();
  once_after_fork();
  system_after_fork();
  sync::reset_address_lot();
  io::begin_anew();
  sync::futexes.begin_anew();
  me.kind = thread_kind::foreign;
  me.on = nullptr;
  me.no_preempt.set(0);
  me.pending.store(0, memory_order::relaxed);  // relaxed: the child has one thread
  me.timer = nullptr;
  me.cpu_time.store(0, memory_order::relaxed);  // relaxed: as above
  signals_after_fork(me);
  runtime.first = &me;
  runtime.now = stage::waiting;
}

void install_fork_handlers() noexcept {
  // First of all children's handlers, so that the others find a process that works.
  libc.__register_atfork(nullptr, nullptr, go_on_as_child, nullptr);
}

extern "C" {

// The child of vfork borrows the parent's memory, and with it the calling thread's record, while the parent's carrier blocks.
// Nothing that the child calls may switch, or find that the slot is gone and look for another one: that would run the
// parent's threads in the child. So the slot is given away before, and for both of them the thread is a foreign one until
// the parent goes on. (Rejected: fork instead. Programs take vfork because their memory is too big for it.)
void weft_before_vfork() noexcept {
  if (native() || runtime.now != stage::running) return;
  user_thread& me = self();
  if (me.kind != thread_kind::user) return;
  const section in(me);
  me.vforked = true;
  me.mask_before_vfork = me.signal_mask;
  the_scheduler.bind(me);
}

/// In the parent. What vfork returns.
int weft_after_vfork(long result) noexcept {
  auto* me = static_cast<user_thread*>(current());
  if (me != nullptr && me->vforked) {
    me->vforked = false;
    // The child has its own mask in the kernel, but it noted the changes here: most children open theirs before exec.
    me->signal_mask = me->mask_before_vfork;
    me->on->kernel_mask = mask_unknown;
    me->kind = thread_kind::user;
    const section in(*me);  // gets a slot
  }
  if (result >= 0) return static_cast<int>(result);
  errno = static_cast<int>(-result);
  return -1;
}

}  // extern "C"

}  // namespace weft::engine::posix

using namespace weft::engine::posix;

/// What pthread_atfork calls. Whoever registers a handler before our constructor has run comes after us.
WEFT_EXPORT int __register_atfork(void (*prepare)(), void (*parent)(), void (*child)(), void* library) {
  touch();
  return libc.__register_atfork(prepare, parent, child, library);
}

/// The fork that runs no handlers: without ours the child would run the other threads, too.
WEFT_EXPORT pid_t _Fork(void) {
  touch();
  const pid_t child = libc._Fork();
  if (child == 0) go_on_as_child();
  return child;
}
