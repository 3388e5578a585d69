// SPDX-License-Identifier: BSL-1.0
#include "posix/thread_life.hpp"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu_time.hpp"
#include "core/section.hpp"
#include "core/thread_memory.hpp"
#include "os/memory.hpp"
#include "os/signal_mask.hpp"
#include "mem/malloc_cache.hpp"
#include "mem/resolver.hpp"
#include "mem/thread_block.hpp"
#include "posix/binding.hpp"
#include "posix/keys.hpp"
#include "posix/registry.hpp"
#include "posix/robust.hpp"
#include "posix/runtime.hpp"
#include "posix/signals.hpp"
#include "sync/wait.hpp"

namespace weft::engine::posix {

namespace {

/// Beyond what the program asked for: the frame of a preempting signal (with all vector registers) may need it.
constexpr std::size_t signal_room = os::page_size;
constinit std::size_t default_stack = 8 << 20;
/// From a thread pointer to its user_thread; the same for every stack.
constinit std::size_t pointer_to_thread = 0;

void give_memory_back(user_thread& me, user_thread& t) noexcept {
  const section in(me);
  release_thread(t);
}

void* plain_start(void* raw) {
  auto& me = *static_cast<user_thread*>(raw);
  return me.start(me.argument);
}

/// The first function on a new stack.
void thread_entry(void* raw) noexcept {
  auto& me = *static_cast<user_thread*>(raw);
  me.on->home->finish_switch(me);
  if (me.no_preempt.lower() == 0 && me.pending.load(memory_order::relaxed) != 0) attend(me);  // relaxed: same thread
  mem::begin_on_block();
  (void)run_until_exit(plain_start, &me, &me.result);  // by return or by pthread_exit: the end is the same
  end_thread(me);
}

void reset(user_thread& t, const thread_request& r, const user_thread& creator, std::uint64_t signal_mask) noexcept {
  t.start = r.start;
  t.argument = r.argument;
  t.result = PTHREAD_CANCELED;  // unless it returns or calls pthread_exit
  t.life.begin_anew(r.detached);
  t.joining = false;
  t.joins = nullptr;
  t.once = nullptr;
  ::memcpy(t.name, creator.name, sizeof t.name);
  t.signal_stack = {.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
  t.signal_mask = signal_mask;
  t.handlers_run = 0;
  t.cpu_time.store(0, memory_order::relaxed);  // relaxed: nobody knows the thread yet
  t.cancel_held = 0;
  t.inbox.clear();
  t.waits_for.store(0, memory_order::relaxed);  // relaxed: published by make_ready
  t.signal_frame = nullptr;
  t.has_mask_after = false;
  t.kind = thread_kind::user;
  t.on = nullptr;
  t.no_preempt.set(1);
  t.leaving = t.robust_list_known = false;
  t.robust_held = nullptr;
  if (r.own != nullptr) {
    t.own = *r.own;
  } else {
    t.own.which = 0;
  }
  t.pending.store(t.own.which != 0 ? pending_work::settle : 0, memory_order::relaxed);  // relaxed: published by make_ready
  const std::uintptr_t block_low = mem::thread_block_low(t.thread_pointer);
  char* top = reinterpret_cast<char*>(block_low);
  t.guard_bytes = r.own_stack != nullptr ? 0 : os::round_up(r.guard_bytes, os::page_size);
  t.stack_low = t.top.low + os::page_size + t.wider_guard;
  if (r.own_stack != nullptr) {
    t.stack_low = static_cast<char*>(r.own_stack);
    top = t.stack_low + r.stack_bytes;
  }
  t.stack_bytes = static_cast<std::size_t>(top - t.stack_low);
  t.asked_stack_bytes = r.stack_bytes != 0 ? r.stack_bytes : default_stack;
  t.stack.created(t.stack_low, t.stack_bytes);
  t.context = arch::make_context(top, thread_entry, &t);
}

}  // namespace

void refresh_default_attributes() noexcept {
  pthread_attr_t attributes;
  if (::pthread_getattr_default_np(&attributes) != 0) return;
  ::pthread_attr_getstacksize(&attributes, &default_stack);
  ::pthread_attr_destroy(&attributes);
}

void prepare_thread_memory() noexcept {
  begin_thread_ids();
  refresh_default_attributes();
  if (runtime.chosen.stack_bytes != 0) default_stack = runtime.chosen.stack_bytes;
  alignas(4096) static char probe[1];
  auto* end = reinterpret_cast<char*>(os::round_up(reinterpret_cast<std::uintptr_t>(probe), os::page_size));
  char* at = end - sizeof(user_thread);
  pointer_to_thread = reinterpret_cast<std::uintptr_t>(at) - mem::thread_pointer_below(at);
}

user_thread* from_handle(pthread_t handle) noexcept {
  if (runtime.first != nullptr && handle == handle_of(*runtime.first)) return runtime.first;
  if (handle == handle_of(runtime.main)) return &runtime.main;
  if (handle % 64 != 0) return nullptr;
  auto* t = reinterpret_cast<user_thread*>(handle + pointer_to_thread);
  if (!mem::stacks.owns(&t->top)) return nullptr;
  return t->alive && t->thread_pointer == handle ? t : nullptr;
}

int create_thread(const thread_request& request, pthread_t* handle) noexcept {
  user_thread& me = self();
  const std::size_t block = mem::thread_block_bytes() + sizeof(user_thread);
  std::size_t bytes = block + os::page_size, wider_guard = 0;
  if (request.own_stack == nullptr) {
    const std::size_t wanted = request.stack_bytes != 0 ? request.stack_bytes : default_stack;
    if (wanted > options::biggest_stack) return EAGAIN;
    bytes += os::round_up(wanted, os::page_size) + signal_room;
    if (request.guard_bytes > os::page_size) {
      if (request.guard_bytes > options::biggest_stack) return EAGAIN;
      wider_guard = os::round_up(request.guard_bytes, os::page_size) - os::page_size;
      bytes += wider_guard;
    }
  }
  user_thread* t = take_thread_memory<user_thread>(me, bytes);
  if (t == nullptr) return EAGAIN;
  if (wider_guard != 0) {
    if (!mem::widen_guard(t->top, wider_guard)) {
      give_memory_back(me, *t);
      return EAGAIN;
    }
    t->wider_guard = wider_guard;
  }
  if (!prepare_thread_block(me, *t)) {
    give_memory_back(me, *t);
    return EAGAIN;
  }
  if (request.mask_given) cover_signals(request.signal_mask);
  *handle = handle_of(*t);  // before it runs: it may look at the variable
  const section in(me);
  if (me.on != nullptr) account_when_due(*me.on);  // what the caller has computed so far is not the new thread's
  reset(*t, request, me, request.mask_given ? request.signal_mask : me.signal_mask);
  t->alive = true;
  threads.add(*t);
  the_scheduler.start_thread(*t);
  return 0;
}

bool run_until_exit(void* (*body)(void*), void* argument, void** result) noexcept {
  // The buffer that pthread_cleanup_push uses in C: libc's pthread_exit unwinds the stack up to it, running cleanup
  // handlers and C++ destructors on the way, and comes back through it.
  __pthread_unwind_buf_t buffer;
  if (__sigsetjmp_cancel(buffer.__cancel_jmp_buf, 0) != 0) return true;
  __pthread_register_cancel(&buffer);
  *result = body(argument);
  __pthread_unregister_cancel(&buffer);
  return false;
}

namespace {

/// What libc does not see: it ends the process when the last thread ends that it knows of, and does not know of those that
/// ended by system call.
struct unseen_ends {
  atomic<bool> any{false};
  atomic<int> status_of_main{0};
};
constinit unseen_ends unseen;

/// The end of end_thread: takes the thread out of everybody's sight.
[[noreturn]] void leave_process(user_thread& me) noexcept {
  {
    const section in(me);
    leave_robust_mutexes(me);
    if (is_bound(me)) {
      give_up_robust_mutexes(me);
      locked hold(me.own_lock);
      me.leaving = true;  // from now on nobody may address its kernel thread
    }
    const bool others = threads.remove(me) != 0;
    leave_signals(me);
    if (others) {
      the_scheduler.retire(me, me.life.claim_parked_joiner());
    }
  }
  if (unseen.any.load(memory_order::relaxed))  // relaxed: whoever ended left the registry before us, under its lock
    ::_exit(unseen.status_of_main.load(memory_order::relaxed));  // relaxed: as above
  // The last thread of the process ends it, as if main had returned 0.
  ::exit(0);
}

}  // namespace

[[noreturn]] void end_thread(user_thread& me) noexcept {
  ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);  // destructors are not to be left by unwinding
  mem::run_thread_local_destructors();
  run_key_destructors();
  mem::end_resolver();
  if (mem::stacks.crowded(me.top.size_class)) {
    // Its memory will hardly be needed again soon: what it keeps of the heap goes back, as at a kernel thread's end.
    if (me.thread_pointer != runtime.main.thread_pointer) mem::forget_dynamic_blocks(me.thread_pointer);
    mem::shed_malloc_cache();
    free_leftovers(me);
  }
  leave_process(me);
}

[[noreturn]] void end_thread_at_once(user_thread& me, int status) noexcept {
  unseen.any.store(true, memory_order::relaxed);  // relaxed: see leave_process
  if (&me == &runtime.main) unseen.status_of_main.store(status & 0xff, memory_order::relaxed);  // relaxed: see leave_process
  me.result = nullptr;
  me.abandoned = true;
  leave_process(me);
}

void thread_retired(thread& raw) noexcept {
  auto& t = static_cast<user_thread&>(raw);
  if (t.life.finish()) release_thread(t);
}

void release_thread(user_thread& t) noexcept {
  t.alive = false;
  if (&t == &runtime.main) return;  // its stack is the process's
  if (t.wider_guard != 0) {
    mem::narrow_guard(t.top, t.wider_guard);
    t.wider_guard = 0;
  }
  give_thread_memory(t);
}

nanoseconds_at tidy_thread_memory(nanoseconds_at now) noexcept { return trim_thread_memory<user_thread>(now); }

}  // namespace weft::engine::posix
