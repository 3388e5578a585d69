// SPDX-License-Identifier: BSL-1.0
// The program's calls about signals: actions, masks, signal stacks, jumps out of handlers, signals to one thread.
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/section.hpp"
#include "os/signal_mask.hpp"
#include "posix/exported.hpp"
#include "posix/runtime.hpp"
#include "posix/signal_routing.hpp"
#include "posix/signals.hpp"

namespace weft::engine::posix {

namespace {

/// Before the engine's first start there is only main, and libc knows all.
bool of_libc() noexcept { return native() || !the_scheduler.started(); }

std::uint64_t bits_of(const sigset_t& set) noexcept {
  std::uint64_t bits;
  ::memcpy(&bits, &set, sizeof bits);
  return bits;
}
void to_set(std::uint64_t bits, sigset_t& set) noexcept {
  ::sigemptyset(&set);
  ::memcpy(&set, &bits, sizeof bits);
}

/// Changes the calling thread's mask; an errno code.
int change_mask(int how, const sigset_t* set, sigset_t* before) noexcept {
  user_thread& me = self();
  const std::uint64_t old = me.signal_mask;
  if (set != nullptr) {
    const std::uint64_t bits = bits_of(*set);
    switch (how) {
      case SIG_BLOCK:
        set_mask(me, old | bits);
        break;
      case SIG_UNBLOCK:
        set_mask(me, old & ~bits);
        break;
      case SIG_SETMASK:
        set_mask(me, bits);
        break;
      default:
        return EINVAL;
    }
  }
  if (before != nullptr) to_set(old, *before);
  return 0;
}

/// longjmp may leave a fault's handler, and restores the saved mask before it jumps, as libc's would behind our back: what
/// that lets in runs its handler now.
void before_jump(const sigjmp_buf env) noexcept {
  if (of_libc()) return;
  auto* me = static_cast<user_thread*>(current());
  if (me == nullptr) return;
  me->no_preempt.set(0);  // program code is never inside a section of its own accord
  if (env[0].__mask_was_saved != 0) {
    std::uint64_t mask;
    ::memcpy(&mask, &env[0].__saved_mask, sizeof mask);
    set_mask(*me, mask);
  } else if (me->pending.load(memory_order::relaxed) != 0) {  // relaxed: same thread
    attend(*me);
  }
}

siginfo_t info_from_here(int signal, int code) noexcept {
  siginfo_t info = {};
  info.si_signo = signal;
  info.si_code = code;
  info.si_pid = ::getpid();
  info.si_uid = ::getuid();
  return info;
}

bool is_number(int signal) noexcept { return signal >= 1 && signal < _NSIG && signal != 32 && signal != 33; }
/// What the kernel alone can do, to the whole process whoever is named.
bool is_the_kernels(int signal) noexcept { return signal == SIGKILL || signal == SIGSTOP || signal == SIGCONT; }

bool is_read_from_signalfd(int signal) noexcept { return (mask_while_idle() & os::signal_bit(signal)) != 0; }

int send(user_thread& t, const siginfo_t& info) noexcept {
  if (is_the_kernels(info.si_signo)) {
    os::raw_syscall(SYS_kill, ::getpid(), info.si_signo);
    return 0;
  }
  user_thread& me = self();
  // A thread that blocks it is going to read it, and so may the others: no one kernel thread is the thread's.
  const std::uint64_t mask = __atomic_load_n(&t.signal_mask, __ATOMIC_RELAXED);
  if (is_read_from_signalfd(info.si_signo) && (mask & os::signal_bit(info.si_signo)) != 0) return give_to_kernel(info);
  const section in(me);
  return t.listed ? send_to_thread(me, t, info.si_signo, info) : 0;  // one that has ended takes nothing
}

/// To this process, as its own threads send it: routed before the call returns. 0 or EAGAIN.
int send_to_process(const siginfo_t& info) noexcept {
  // A signalfd shows only what the kernel has. It gives the signal back to us if some thread does not block it.
  if (is_read_from_signalfd(info.si_signo)) return give_to_kernel(info);
  const section in(self());
  if (!post_to_process(info.si_signo, info)) return EAGAIN;
  self().pending.fetch_or(pending_work::signals, memory_order::seq_cst);  // [pending-1] routed at the section's end
  return 0;
}

/// A signal of the program's from one of our threads to its own process?
bool to_ourselves(pid_t process, int signal) noexcept {
  return !native() && runtime.now == stage::running && is_number(signal) && !is_the_kernels(signal) && process == ::getpid();
}

/// A thread of Weft's, be it bound to a kernel thread; not a kernel thread of libc's.
bool is_ours(const user_thread& t) noexcept { return t.kind == thread_kind::user || t.on != nullptr; }

/// The thread of ours that pthread_kill and kin name; null: libc's business.
user_thread* thread_of(pthread_t handle) noexcept {
  user_thread* t = native() || runtime.now != stage::running ? nullptr : from_handle(handle);
  return t == nullptr || !is_ours(*t) ? nullptr : t;
}
bool was_ours(pthread_t handle) noexcept { return !native() && mem::stacks.contains(reinterpret_cast<void*>(handle)); }

int fail(int error) noexcept {
  if (error == 0) return 0;
  errno = error;
  return -1;
}

sighandler_t set_handler(int signal, sighandler_t function, int flags) noexcept {
  struct sigaction a = {};
  struct sigaction old;
  a.sa_handler = function;
  a.sa_flags = flags;
  return change_action(signal, &a, &old) == 0 ? old.sa_handler : SIG_ERR;
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

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
  return of_libc() ? libc.pthread_sigmask(how, set, before) : change_mask(how, set, before);
}
WEFT_EXPORT int sigprocmask(int how, const sigset_t* set, sigset_t* before) {
  return of_libc() ? libc.sigprocmask(how, set, before) : fail(change_mask(how, set, before));
}

// The interfaces of old, in terms of the above: libc's would go to the kernel past us.
WEFT_EXPORT int sigblock(int mask) {
  sigset_t set, before;
  to_set(static_cast<unsigned>(mask), set);
  return sigprocmask(SIG_BLOCK, &set, &before) != 0 ? -1 : static_cast<int>(bits_of(before));
}
WEFT_EXPORT int sigsetmask(int mask) {
  sigset_t set, before;
  to_set(static_cast<unsigned>(mask), set);
  return sigprocmask(SIG_SETMASK, &set, &before) != 0 ? -1 : static_cast<int>(bits_of(before));
}
WEFT_EXPORT int siggetmask() {
  sigset_t before;
  return sigprocmask(SIG_BLOCK, nullptr, &before) != 0 ? -1 : static_cast<int>(bits_of(before));
}
WEFT_EXPORT int sighold(int number) {
  sigset_t set;
  ::sigemptyset(&set);
  return ::sigaddset(&set, number) != 0 ? -1 : sigprocmask(SIG_BLOCK, &set, nullptr);
}
WEFT_EXPORT int sigrelse(int number) {
  sigset_t set;
  ::sigemptyset(&set);
  return ::sigaddset(&set, number) != 0 ? -1 : sigprocmask(SIG_UNBLOCK, &set, nullptr);
}
WEFT_EXPORT int sigignore(int number) { return set_handler(number, SIG_IGN, 0) == SIG_ERR ? -1 : 0; }
WEFT_EXPORT sighandler_t sigset(int number, sighandler_t function) {
  sigset_t set, before;
  ::sigemptyset(&set);
  if (::sigaddset(&set, number) != 0) return SIG_ERR;
  struct sigaction old;
  if (function == SIG_HOLD) {
    if (sigprocmask(SIG_BLOCK, &set, &before) != 0 || sigaction(number, nullptr, &old) != 0) return SIG_ERR;
  } else {
    struct sigaction wanted = {};
    wanted.sa_handler = function;
    if (sigaction(number, &wanted, &old) != 0 || sigprocmask(SIG_UNBLOCK, &set, &before) != 0) return SIG_ERR;
  }
  return ::sigismember(&before, number) == 1 ? SIG_HOLD : old.sa_handler;
}

WEFT_EXPORT int sigaltstack(const stack_t* wanted, stack_t* before) {
  if (native() || runtime.now != stage::running || !is_ours(self())) return libc.sigaltstack(wanted, before);
  constexpr int disarm = static_cast<int>(1u << 31);  // SS_AUTODISARM
  user_thread& me = self();
  stack_t old = me.signal_stack;
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  const auto low = reinterpret_cast<std::uintptr_t>(old.ss_sp);
  const bool inside = (old.ss_flags & (SS_DISABLE | disarm)) == 0 && here >= low && here < low + old.ss_size;
  if (inside) old.ss_flags |= SS_ONSTACK;
  if (wanted != nullptr) {
    if (inside) return fail(EPERM);
    const int mode = wanted->ss_flags & ~disarm;
    if (mode != 0 && mode != SS_DISABLE && mode != SS_ONSTACK) return fail(EINVAL);
    if (mode == SS_DISABLE) {
      me.signal_stack = {.ss_sp = nullptr, .ss_flags = wanted->ss_flags, .ss_size = 0};
    } else {
      if (wanted->ss_size < 2048) return fail(ENOMEM);  // the kernel's MINSIGSTKSZ
      me.signal_stack = *wanted;
      me.signal_stack.ss_flags &= disarm;
    }
  }
  if (before != nullptr) *before = old;
  return 0;
}

WEFT_EXPORT int pthread_kill(pthread_t handle, int signal) {
  user_thread* t = thread_of(handle);
  if (t == nullptr) return was_ours(handle) ? ESRCH : libc.pthread_kill(handle, signal);
  if (signal == 0) return 0;
  return is_number(signal) ? send(*t, info_from_here(signal, SI_TKILL)) : EINVAL;
}

WEFT_EXPORT int pthread_sigqueue(pthread_t handle, int signal, const union sigval value) {
  user_thread* t = thread_of(handle);
  if (t == nullptr) return was_ours(handle) ? ESRCH : libc.pthread_sigqueue(handle, signal, value);
  if (signal == 0) return 0;
  if (!is_number(signal)) return EINVAL;
  siginfo_t info = info_from_here(signal, SI_QUEUE);
  info.si_value = value;
  return send(*t, info);
}

WEFT_EXPORT int raise(int signal) {
  if (native() || runtime.now != stage::running || !is_ours(self())) return libc.raise(signal);
  if (signal == 0) return 0;
  return fail(is_number(signal) ? send(self(), info_from_here(signal, SI_TKILL)) : EINVAL);
}
WEFT_EXPORT int gsignal(int signal) { return raise(signal); }

WEFT_EXPORT int kill(pid_t process, int signal) {
  if (!to_ourselves(process, signal)) return libc.kill(process, signal);
  return fail(send_to_process(info_from_here(signal, SI_USER)));
}

WEFT_EXPORT int sigqueue(pid_t process, int signal, const union sigval value) {
  if (!to_ourselves(process, signal)) return libc.sigqueue(process, signal, value);
  siginfo_t info = info_from_here(signal, SI_QUEUE);
  info.si_value = value;
  return fail(send_to_process(info));
}

WEFT_EXPORT int signalfd(int descriptor, const sigset_t* set, int flags) {
  if (!native()) leave_to_kernel(bits_of(*set));
  return libc.signalfd(descriptor, set, flags);
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
