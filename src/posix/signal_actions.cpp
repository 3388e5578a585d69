// SPDX-License-Identifier: BSL-1.0
#include "posix/signal_actions.hpp"

#include <errno.h>
#include <string.h>

#include "core/section.hpp"
#include "os/kernel_thread.hpp"
#include "os/signal_mask.hpp"
#include "os/syscall.hpp"
#include "posix/overflow.hpp"
#include "posix/runtime.hpp"
#include "posix/signals.hpp"

namespace weft::engine::posix {

namespace {

struct action {
  spinlock lock;
  struct sigaction wanted = {};  ///< As the program gave it.
};
constinit action actions[_NSIG];
constinit atomic<std::uint64_t> covered{0};

bool is_default(const struct sigaction& a) noexcept { return a.sa_handler == SIG_DFL; }
bool is_handled(const struct sigaction& a) noexcept { return a.sa_handler != SIG_DFL && a.sa_handler != SIG_IGN; }

effect default_effect(int signal) noexcept {
  switch (signal) {
    case SIGCHLD:
    case SIGCONT:
    case SIGURG:
    case SIGWINCH:
      return effect::ignore;
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
      return effect::stop;
    default:
      return effect::terminate;
  }
}

bool is_covered(int signal) noexcept {
  return (covered.load(memory_order::relaxed) & os::signal_bit(signal)) != 0;  // relaxed: read under the action's lock
}

/// What the kernel shall do when the program wants `a` for `signal`.
struct sigaction kernel_action(int signal, const struct sigaction& a) noexcept {
  struct sigaction k = {};
  k.sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER | (a.sa_flags & (SA_NOCLDSTOP | SA_NOCLDWAIT));
  if (signal == os::preempt_signal) {
    k.sa_sigaction = on_preempt_signal;
  } else if (handles_overflow(signal)) {
    k.sa_sigaction = overflow_handler;
    k.sa_flags |= SA_ONSTACK;
  } else if (is_handled(a) || (is_default(a) && is_covered(signal))) {
    k.sa_sigaction = on_signal;
  } else {
    k = a;
  }
  return k;
}

/// Under the action's lock, so that the kernel has what the program said last.
int tell_kernel(int signal, const struct sigaction& a) noexcept {
  const struct sigaction k = kernel_action(signal, a);
  return libc.sigaction(signal, &k, nullptr);
}

bool is_ours(const struct sigaction& a) noexcept {
  return (a.sa_flags & SA_SIGINFO) != 0 &&
         (a.sa_sigaction == on_signal || a.sa_sigaction == on_preempt_signal || a.sa_sigaction == overflow_handler);
}

}  // namespace

effect effect_of(int signal) noexcept {
  action& a = actions[signal];
  locked hold(a.lock);
  if (is_handled(a.wanted)) return effect::run;
  return is_default(a.wanted) ? default_effect(signal) : effect::ignore;
}

handler_choice choose_handler(int signal) noexcept {
  action& a = actions[signal];
  locked hold(a.lock);
  if (!is_handled(a.wanted)) return {nullptr, 0, 0};
  handler_choice h{a.wanted.sa_sigaction, a.wanted.sa_flags, 0};
  ::memcpy(&h.mask, &a.wanted.sa_mask, sizeof h.mask);
  if ((h.flags & SA_NODEFER) == 0) h.mask |= os::signal_bit(signal);
  if ((h.flags & static_cast<int>(SA_RESETHAND)) != 0) {
    a.wanted.sa_handler = SIG_DFL;
    tell_kernel(signal, a.wanted);
  }
  return h;
}

void act_by_default(int signal) noexcept {
  action& a = actions[signal];
  const effect what = default_effect(signal);
  locked hold(a.lock);
  if (what == effect::ignore || !is_default(a.wanted)) return;
  struct sigaction usual = {};
  usual.sa_handler = SIG_DFL;
  libc.sigaction(signal, &usual, nullptr);
  // The kernel does it, to the whole process, before the second call returns.
  os::signal_kernel_thread(os::kernel_thread_id(), signal);
  std::uint64_t bit = os::signal_bit(signal), before = 0;
  os::raw_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, os::arg(&bit), os::arg(&before), sizeof bit);
  os::set_signal_mask(before);  // still here: stopped and continued, or the first process of its namespace
  tell_kernel(signal, a.wanted);
}

void cover_signals(std::uint64_t which) noexcept {
  std::uint64_t fresh = which & ~covered.load(memory_order::relaxed) & ~os::never_blocked;  // relaxed: a hint
  if (fresh == 0) return;
  const section in(self());
  for (; fresh != 0; fresh &= fresh - 1) {
    const int signal = __builtin_ctzll(fresh) + 1;
    action& a = actions[signal];
    locked hold(a.lock);
    covered.fetch_or(os::signal_bit(signal), memory_order::relaxed);  // relaxed: the lock orders
    if (is_default(a.wanted)) tell_kernel(signal, a.wanted);
  }
}

void install_engine_signals() noexcept {
  const std::uint64_t blocked = os::signal_mask() & ~os::never_blocked;
  covered.store(blocked, memory_order::relaxed);  // relaxed: there is one thread
  for (int s = 1; s < _NSIG; ++s) {
    struct sigaction present;
    if (s == SIGKILL || s == SIGSTOP || libc.sigaction(s, nullptr, &present) != 0) continue;
    if (!is_ours(present)) actions[s].wanted = present;
    const struct sigaction k = kernel_action(s, actions[s].wanted);
    if (k.sa_sigaction != present.sa_sigaction) libc.sigaction(s, &k, nullptr);
  }
}

void actions_after_fork() noexcept {
  for (action& a : actions) a.lock.reset();
}

int change_action(int signal, const struct sigaction* wanted, struct sigaction* before) noexcept {
  if (signal < 1 || signal >= _NSIG || signal == 32 || signal == 33 ||
      (wanted != nullptr && (signal == SIGKILL || signal == SIGSTOP))) {
    errno = EINVAL;
    return -1;
  }
  if (!the_scheduler.started()) return libc.sigaction(signal, wanted, before);
  if (wanted != nullptr && is_handled(*wanted)) {
    std::uint64_t mask;
    ::memcpy(&mask, &wanted->sa_mask, sizeof mask);
    cover_signals(mask | os::signal_bit(signal));
  }
  user_thread& me = self();
  const section in(me);
  action& a = actions[signal];
  locked hold(a.lock);
  const struct sigaction old = a.wanted;
  int result = 0;
  if (wanted != nullptr && me.vforked && !is_handled(*wanted)) {
    result = tell_kernel(signal, *wanted);  // the child's own affair: the table is its parent's
  } else if (wanted != nullptr) {
    a.wanted = *wanted;
    result = tell_kernel(signal, a.wanted);
  }
  if (before != nullptr) *before = old;
  return result;
}

}  // namespace weft::engine::posix
