// SPDX-License-Identifier: BSL-1.0
// The program's calls about signals: actions, masks, signal stacks, jumps out of handlers, signals to one thread.
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

#include "core/section.hpp"
#include "os/kernel_thread.hpp"
#include "os/signal_mask.hpp"
#include "posix/exported.hpp"
#include "posix/runtime.hpp"
#include "posix/signals.hpp"

namespace weft::posix {

namespace {

/// Changes the calling thread's mask; an errno code.
int change_mask(int how, const sigset_t* set, sigset_t* before) noexcept {
  user_thread& me = self();
  const std::uint64_t old = me.signal_mask;
  if (set != nullptr) {
    std::uint64_t bits;
    ::memcpy(&bits, set, sizeof bits);
    std::uint64_t wanted = 0;
    switch (how) {
      case SIG_BLOCK:
        wanted = old | bits;
        break;
      case SIG_UNBLOCK:
        wanted = old & ~bits;
        break;
      case SIG_SETMASK:
        wanted = bits;
        break;
      default:
        return EINVAL;
    }
    wanted &= ~os::never_blocked;
    {
      // Unknown until the system call below has been made, on whichever carrier we are by then.
      const section in(me);
      me.signal_mask = wanted;
      if (me.on != nullptr) me.on->kernel_mask = mask_unknown;
    }
    os::set_signal_mask(wanted);  // outside the section: what it lets in runs its handler right here
    if (me.directed.load(memory_order::relaxed) != 0) deliver_directed(me);  // relaxed: the exchange there orders
  }
  if (before != nullptr) {
    ::sigemptyset(before);
    ::memcpy(before, &old, sizeof old);
  }
  return 0;
}

/// longjmp restores the saved mask behind our back, and may leave a fault handler: note both before it happens.
void before_jump(const sigjmp_buf env) noexcept {
  if (runtime.now != stage::running) return;
  auto* me = static_cast<user_thread*>(current());
  if (me == nullptr || me->kind != thread_kind::user) return;
  me->no_preempt.raise();
  if (env[0].__mask_was_saved != 0) {
    ::memcpy(&me->signal_mask, &env[0].__saved_mask, sizeof me->signal_mask);
    me->signal_mask &= ~os::never_blocked;
    me->on->kernel_mask = mask_unknown;
  }
  me->no_preempt.set(0);  // program code is never inside a section of its own accord
}

sighandler_t set_handler(int signal, sighandler_t function, int flags) noexcept {
  struct sigaction a = {};
  struct sigaction old;
  a.sa_handler = function;
  a.sa_flags = flags;
  return change_action(signal, &a, &old) == 0 ? old.sa_handler : SIG_ERR;
}

}  // namespace

}  // namespace weft::posix

using namespace weft;
using namespace weft::posix;

WEFT_EXPORT int sigaction(int signal, const struct sigaction* wanted, struct sigaction* before) {
  if (native()) return libc.sigaction(signal, wanted, before);
  return change_action(signal, wanted, before);
}

WEFT_EXPORT sighandler_t signal(int number, sighandler_t function) {
  touch();
  return set_handler(number, function, SA_RESTART);
}
WEFT_EXPORT sighandler_t bsd_signal(int number, sighandler_t function) { return signal(number, function); }
WEFT_EXPORT sighandler_t ssignal(int number, sighandler_t function) { return signal(number, function); }
WEFT_EXPORT sighandler_t sysv_signal(int number, sighandler_t function) {
  touch();
  return set_handler(number, function, static_cast<int>(SA_RESETHAND) | SA_NODEFER);
}
WEFT_EXPORT sighandler_t __sysv_signal(int number, sighandler_t function) { return sysv_signal(number, function); }

WEFT_EXPORT int siginterrupt(int number, int interrupt) {
  touch();
  struct sigaction a;
  if (change_action(number, nullptr, &a) != 0) return -1;
  a.sa_flags = interrupt != 0 ? a.sa_flags & ~SA_RESTART : a.sa_flags | SA_RESTART;
  return change_action(number, &a, nullptr);
}

WEFT_EXPORT int pthread_sigmask(int how, const sigset_t* set, sigset_t* before) {
  if (native() || runtime.now != stage::running) return libc.pthread_sigmask(how, set, before);
  return change_mask(how, set, before);
}

WEFT_EXPORT int sigprocmask(int how, const sigset_t* set, sigset_t* before) {
  if (native() || runtime.now != stage::running) return libc.sigprocmask(how, set, before);
  const int error = change_mask(how, set, before);
  if (error == 0) return 0;
  errno = error;
  return -1;
}

WEFT_EXPORT int sigaltstack(const stack_t* wanted, stack_t* before) {
  if (native() || runtime.now != stage::running) return libc.sigaltstack(wanted, before);
  user_thread& me = self();
  stack_t old = me.signal_stack;
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  const auto low = reinterpret_cast<std::uintptr_t>(old.ss_sp);
  const bool inside = (old.ss_flags & SS_DISABLE) == 0 && here >= low && here < low + old.ss_size;
  if (inside) old.ss_flags |= SS_ONSTACK;
  if (wanted != nullptr) {
    if (inside) {
      errno = EPERM;
      return -1;
    }
    if ((wanted->ss_flags & SS_DISABLE) == 0 && wanted->ss_size < static_cast<std::size_t>(MINSIGSTKSZ)) {
      errno = ENOMEM;
      return -1;
    }
    me.signal_stack = *wanted;
    me.signal_stack.ss_flags &= SS_DISABLE;
  }
  if (before != nullptr) *before = old;
  return 0;
}

WEFT_EXPORT int pthread_kill(pthread_t handle, int signal) {
  user_thread* t = native() || runtime.now != stage::running ? nullptr : from_handle(handle);
  if (t == nullptr || (t->kind == thread_kind::foreign && t->on == nullptr)) {
    if (!native() && mem::stacks.contains(reinterpret_cast<void*>(handle))) return ESRCH;
    return libc.pthread_kill(handle, signal);
  }
  if (signal < 0 || signal >= _NSIG || signal == 32 || signal == 33) return EINVAL;
  if (signal == 0) return 0;
  user_thread& me = self();
  if (t == &me) {
    os::signal_kernel_thread(os::kernel_thread_id(), signal);
    return 0;
  }
  const section in(me);
  // While it runs, or is blocked in a system call that the signal shall interrupt, its carrier is the address.
  if (carrier* c = t->on; c != nullptr && c->current.load(memory_order::acquire) == t) {  // [directed-1]
    os::signal_kernel_thread(c->tid.load(memory_order::relaxed), signal);  // relaxed: a carrier's id does not change
    return 0;
  }
  t->directed.fetch_or(os::signal_bit(signal), memory_order::release);           // [directed-1]
  t->pending.fetch_or(pending_work::directed, memory_order::seq_cst);            // [pending-1]
  ticket wait{};
  if (t->wait.current_ticket(wait)) the_scheduler.wake(*t, wait, wake_reason::interrupt);
  return 0;
}

WEFT_EXPORT void siglongjmp(sigjmp_buf env, int value) {
  if (!native()) before_jump(env);
  libc.siglongjmp(env, value);
  __builtin_unreachable();
}
WEFT_EXPORT void longjmp(jmp_buf env, int value) { siglongjmp(env, value); }
WEFT_EXPORT void _longjmp(jmp_buf env, int value) { siglongjmp(env, value); }
WEFT_EXPORT void __longjmp_chk(sigjmp_buf env, int value) {
  if (!native()) before_jump(env);
  libc.__longjmp_chk(env, value);
  __builtin_unreachable();
}
