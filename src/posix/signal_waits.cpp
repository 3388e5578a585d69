// SPDX-License-Identifier: BSL-1.0
// Waiting for signals: sigwait and kin take a blocked signal without a handler; sigsuspend and pause wait for a handler.
//
// What is pending lies in our inboxes; the kernel holds only what came while every kernel thread of ours blocked it, which
// a carrier that sleeps never does. So the waiter asks the kernel once, and from then on is served by routing.
// A kernel thread of libc's asks the kernel only: its signals are the kernel's business.
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "core/section.hpp"
#include "os/clock.hpp"
#include "os/signal_mask.hpp"
#include "os/syscall.hpp"
#include "posix/cancel.hpp"
#include "posix/exported.hpp"
#include "posix/runtime.hpp"
#include "posix/signal_routing.hpp"
#include "posix/signals.hpp"
#include "sync/wait.hpp"

namespace weft::engine::posix {

namespace {

bool of_libc() noexcept { return native() || runtime.now != stage::running || self().on == nullptr; }

std::uint64_t bits_of(const sigset_t& set) noexcept {
  std::uint64_t bits;
  ::memcpy(&bits, &set, sizeof bits);
  return bits;
}

int fail(int error) noexcept {
  errno = error;
  return -1;
}

/// Something that the kernel has kept for this process, or for the kernel thread that we happen to be on.
bool take_from_kernel(std::uint64_t wanted, siginfo_t& info) noexcept {
  timespec at_once{0, 0};
  return os::raw_syscall(SYS_rt_sigtimedwait, os::arg(&wanted), os::arg(&info), os::arg(&at_once), sizeof wanted) > 0;
}

enum class outcome : std::uint8_t { taken, deadline, interrupted };

outcome wait_once(user_thread& me, std::uint64_t wanted, siginfo_t& info, nanoseconds_at deadline) noexcept {
  const section in(me);
  signal_waiter w{.who = me, .wanted = wanted};
  w.wait = me.wait.prepare();
  bool taken = enter_signal_waiter(w);
  wake_reason why = wake_reason::owner;
  siginfo_t kept;
  if (!taken && take_from_kernel(wanted, kept)) {
    (void)me.wait.cancel();
    // If routing has served us meanwhile, we have two: that one is for somebody else.
    if (leave_signal_waiter(w)) (void)post_to_process(w.info.si_signo, w.info);
    w.info = kept;
    taken = true;
  } else if (taken) {
    (void)me.wait.cancel();
  } else {
    why = sync::park(me, w.wait, deadline);
    taken = leave_signal_waiter(w);
  }
  me.waits_for.store(0, memory_order::relaxed);  // relaxed: ours; who still sees it interrupts us for nothing
  if (taken) {
    info = w.info;
    me.pending.fetch_or(pending_work::signals, memory_order::seq_cst);  // [pending-1] what was kept from the handlers
    return outcome::taken;
  }
  return why == wake_reason::deadline ? outcome::deadline : outcome::interrupted;
}

/// The signal's number, or -1 with errno.
int wait_for(const sigset_t& set, siginfo_t* info, nanoseconds_at deadline) noexcept {
  user_thread& me = self();
  const std::uint64_t wanted = bits_of(set) & ~os::unblockable;
  cover_signals(wanted);
  const std::uint32_t seen = me.handlers_run;
  for (;;) {
    cancellation_point(me);
    siginfo_t got;
    switch (wait_once(me, wanted, got, deadline)) {
      case outcome::taken:
        if (info != nullptr) *info = got;
        return got.si_signo;
      case outcome::deadline:
        return fail(EAGAIN);
      case outcome::interrupted:
        if (me.handlers_run != seen) return fail(EINTR);  // never restarted
        break;
    }
  }
}

/// sigsuspend with the present mask but for one signal.
int suspend_without(int signal) noexcept {
  sigset_t set;
  if (::sigprocmask(SIG_BLOCK, nullptr, &set) != 0 || ::sigdelset(&set, signal) != 0) return -1;
  return ::sigsuspend(&set);
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT int sigtimedwait(const sigset_t* set, siginfo_t* info, const timespec* span) {
  if (of_libc()) return libc.sigtimedwait(set, info, span);
  if (span == nullptr) return wait_for(*set, info, never);
  if (span->tv_nsec < 0 || span->tv_nsec >= second || span->tv_sec < 0) return fail(EINVAL);
  const nanoseconds_at now = os::now();
  const bool endless = span->tv_sec > (never - now) / second - 1;
  return wait_for(*set, info, endless ? never : now + span->tv_sec * second + span->tv_nsec);
}

WEFT_EXPORT int sigwaitinfo(const sigset_t* set, siginfo_t* info) { return sigtimedwait(set, info, nullptr); }

WEFT_EXPORT int sigwait(const sigset_t* set, int* signal) {
  const int saved = errno;
  int result;
  do {
    result = sigtimedwait(set, nullptr, nullptr);
  } while (result < 0 && errno == EINTR);
  if (result < 0) return errno;
  errno = saved;
  *signal = result;
  return 0;
}

WEFT_EXPORT int sigpending(sigset_t* set) {
  if (native() || runtime.now != stage::running) return libc.sigpending(set);
  if (libc.sigpending(set) != 0) return -1;
  user_thread& me = self();
  const section in(me);
  const std::uint64_t all = (bits_of(*set) | pending_signals(me)) & me.signal_mask;
  ::memcpy(set, &all, sizeof all);
  return 0;
}

WEFT_EXPORT int sigsuspend(const sigset_t* mask) {
  if (native() || !the_scheduler.started()) return libc.sigsuspend(mask);
  user_thread& me = self();
  cancellation_point(me);
  wait_for_handler(me, bits_of(*mask));
  return fail(EINTR);
}

WEFT_EXPORT int pause() {
  if (native() || !the_scheduler.started()) return libc.pause();
  user_thread& me = self();
  cancellation_point(me);
  wait_for_handler(me, me.signal_mask);
  return fail(EINTR);
}

/// X/Open's, which <signal.h> lets the name sigpause stand for (__xpg_sigpause).
WEFT_EXPORT int sigpause(int signal) { return suspend_without(signal); }
/// BSD's: the low word of a mask.
WEFT_EXPORT int __sigpause(int argument, int is_signal) {
  if (is_signal != 0) return suspend_without(argument);
  sigset_t set;
  ::sigemptyset(&set);
  ::memcpy(&set, &argument, sizeof argument);
  return sigsuspend(&set);
}
