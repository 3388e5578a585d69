// SPDX-License-Identifier: BSL-1.0
#include "posix/cancel.hpp"

#include <errno.h>
#include <sched.h>
#include <signal.h>

#include "core/section.hpp"
#include "mem/thread_block.hpp"
#include "os/kernel_thread.hpp"
#include "os/syscall.hpp"
#include "posix/exported.hpp"
#include "posix/runtime.hpp"

namespace weft::posix {

namespace {

constexpr int libc_cancel_signal = 32;  // what libc sends itself; its handler acts inside libc's blocking calls only

void* wait_to_be_cancelled(void*) {
  for (;;) {
    ::pthread_testcancel();
    libc.sched_yield();
  }
}

/// libc's handler is left by unwinding, and the kernel thread keeps what was blocked for it: natively it ends, but a
/// carrier goes on. So nothing is to be blocked. (The kernel's own call: libc's sigaction refuses this signal.)
void leave_the_mask_alone() noexcept {
  struct {
    void* handler;
    unsigned long flags;
    void* restorer;
    std::uint64_t mask;
  } action;
  if (os::raw_syscall(SYS_rt_sigaction, libc_cancel_signal, 0, os::arg(&action), sizeof action.mask) != 0) return;
  action.flags |= SA_NODEFER;
  action.mask = 0;
  os::raw_syscall(SYS_rt_sigaction, libc_cancel_signal, os::arg(&action), 0, sizeof action.mask);
}

/// libc installs the handler of its cancel signal when it first cancels a thread: let it cancel one of its own.
void prepare_libc() noexcept {
  static constinit pthread_once_t done = PTHREAD_ONCE_INIT;
  libc.pthread_once(&done, [] {
    pthread_t victim;
    if (libc.pthread_create(&victim, nullptr, wait_to_be_cancelled, nullptr) != 0) return;
    libc.pthread_cancel(victim);
    libc.pthread_join(victim, nullptr);
    leave_the_mask_alone();
  });
}

}  // namespace

void cancellation_point(user_thread& me) {
  if (mem::cancel_requested(me.thread_pointer)) [[unlikely]]
    ::pthread_testcancel();
}

}  // namespace weft::posix

using namespace weft;
using namespace weft::posix;

WEFT_EXPORT int pthread_cancel(pthread_t handle) {
  user_thread* t = native() || runtime.now != stage::running ? nullptr : from_handle(handle);
  if (t == nullptr || t->kind != thread_kind::user) {
    if (!native() && mem::stacks.contains(reinterpret_cast<void*>(handle))) return ESRCH;
    return libc.pthread_cancel(handle);
  }
  prepare_libc();
  mem::request_cancel(t->thread_pointer);
  user_thread& me = self();
  if (t == &me) return 0;
  const section in(me);
  // It may sit in a blocking call of libc's, which the signal ends; or be parked, and its wait looks again.
  if (carrier* c = t->on; c != nullptr && c->current.load(memory_order::acquire) == t)  // [directed-1]
    os::signal_kernel_thread(c->tid.load(memory_order::relaxed), libc_cancel_signal);   // relaxed: does not change
  ticket wait{};
  if (t->wait.current_ticket(wait)) the_scheduler.wake(*t, wait, wake_reason::interrupt);
  return 0;
}
