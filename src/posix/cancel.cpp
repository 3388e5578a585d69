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

namespace weft::engine::posix {

namespace {

constexpr int libc_cancel_signal = 32;  // what libc sends itself; its handler acts inside libc's blocking calls only

void* wait_to_be_cancelled(void*) {
  for (;;) {
    ::pthread_testcancel();
    libc.sched_yield();
  }
}

/// The kernel's own idea of an action: libc's sigaction refuses this signal.
struct kernel_action {
  void (*handler)(int, siginfo_t*, void*);
  unsigned long flags;
  void* restorer;
  std::uint64_t mask;
};
constinit kernel_action of_libc{};

void cancel_handler(int signal, siginfo_t* info, void* context) {
  thread* t = current();
  if (t == nullptr || (t->kind == thread_kind::foreign && t->on == nullptr)) {
    // A carrier between two threads: whoever was meant has moved on and finds the request by itself.
    if (current_carrier == nullptr) of_libc.handler(signal, info, context);
    return;
  }
  auto& me = static_cast<user_thread&>(*t);
  if (me.no_preempt.raised()) {
    me.pending.fetch_or(pending_work::settle, memory_order::seq_cst);  // [pending-1] as in preempt_current
    if (me.kind == thread_kind::foreign) me.foreign_wake.fetch_or(thread::poked, memory_order::relaxed);  // relaxed: keeps us from a sleep
    return;
  }
  act_on_request(me);
}

/// The handler is left by unwinding, and the kernel thread keeps what was blocked for it: natively it ends, but a carrier
/// goes on. So nothing is to be blocked.
void take_signal_over() noexcept {
  kernel_action action;
  if (os::raw_syscall(SYS_rt_sigaction, libc_cancel_signal, 0, os::arg(&action), sizeof action.mask) != 0) return;
  of_libc = action;
  action.handler = cancel_handler;
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
    take_signal_over();
  });
}

}  // namespace

void cancellation_point(user_thread& me) {
  if (mem::cancel_requested(me.thread_pointer)) [[unlikely]]
    ::pthread_testcancel();
}

void settle_thread(thread& raw) noexcept {
  auto& me = static_cast<user_thread&>(raw);
  settle_scheduling(me);
  // By signal, so that the unwinding begins where asynchronous cancellation natively begins it: in a handler.
  if (me.cancel_held == 0 && mem::cancels_at_once(me.thread_pointer))
    os::signal_kernel_thread(os::kernel_thread_id(), libc_cancel_signal);
}

void act_on_request(user_thread& me) {
  if (me.cancel_held == 0 && mem::cancels_at_once(me.thread_pointer)) [[unlikely]]
    ::pthread_testcancel();
}

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT int pthread_cancel(pthread_t handle) {
  user_thread* t = native() || runtime.now != stage::running ? nullptr : from_handle(handle);
  if (t == nullptr || (t->kind == thread_kind::foreign && t->on == nullptr)) {
    if (!native() && mem::stacks.contains(reinterpret_cast<void*>(handle))) return ESRCH;
    return libc.pthread_cancel(handle);
  }
  prepare_libc();
  const bool first = mem::request_cancel(t->thread_pointer);
  user_thread& me = self();
  if (t == &me) {
    act_on_request(me);
    return 0;
  }
  if (!first) return 0;  // it has been told; who asks again and again must not fill its stack with handlers
  const section in(me);
  // If it is in some queue it looks when it runs next.
  t->pending.fetch_or(pending_work::settle, memory_order::seq_cst);  // [pending-1] [parked-1]
  // It may compute, or sit in a blocking call of libc's, which the signal ends; or be parked, and its wait looks again.
  if (carrier* c = t->on; c != nullptr && c->current.load(memory_order::acquire) == t)  // [current-1]
    os::signal_kernel_thread(c->tid.load(memory_order::relaxed), libc_cancel_signal);   // relaxed: does not change
  ticket wait{};
  if (t->wait.current_ticket(wait)) the_scheduler.wake(*t, wait, wake_reason::interrupt);
  return 0;
}
