// SPDX-License-Identifier: BSL-1.0
// poll, select and epoll_wait: the kernel is asked without waiting; if it has nothing, the thread parks until one of the
// descriptors may be ready, and asks again. Large sets, which would cost a system call for each descriptor, wait in the
// kernel on a carrier that has given its slot away.
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "os/memory.hpp"
#include "os/signal_mask.hpp"
#include "os/syscall.hpp"
#include "posix/blocking.hpp"
#include "posix/descriptors.hpp"
#include "posix/exported.hpp"
#include "posix/spans.hpp"

namespace weft::engine::posix {

namespace {

using os::arg;
using os::raw_syscall;

constexpr unsigned most_parked = 32;
/// What poll reports whether asked for or not; so it is waited for even if nothing is asked for.
constexpr io::event_mask poll_always = POLLERR | POLLHUP;
constexpr timespec at_once{};

struct readiness {
  unsigned count = 0;
  io::waiter waiters[most_parked];
  bool full = false;
  void add(int fd, io::event_mask wanted) noexcept {
    if (count == most_parked) {
      full = true;
      return;
    }
    waiters[count].number.store(fd, memory_order::relaxed);  // relaxed: not linked yet
    waiters[count++].wanted = wanted;
  }
};

/// ask(): the kernel's answer without waiting; collect(readiness&): what is waited for. Results as the kernel's; 0 when the
/// time is over; must_block.
template <class Ask, class Collect>
long until_something(user_thread& me, nanoseconds_at until, Ask ask, Collect collect) {
  const std::uint32_t handlers = me.handlers_run;
  for (;;) {
    const long result = ask();
    if (result == -EINTR && me.handlers_run == handlers) continue;  // the engine's own signal
    if (result != 0) return result;
    if (until != never && until <= os::now()) return 0;
    io::wait_end end;
    {
      readiness r;
      collect(r);
      if (r.full) return must_block;
      end = io::wait_for_any(me, r.waiters, r.count, until);
    }
    if (end == io::wait_end::refused) return must_block;
    if (end == io::wait_end::deadline) continue;
    cancellation_point(me);
    if (me.handlers_run != handlers) return -EINTR;  // never restarted
  }
}

/// The mask of ppoll and its kin is in force while the call waits. Signals that it lets in end the wait.
class mask_for_wait {
 public:
  mask_for_wait(const sigset_t* mask) noexcept : changed_(mask != nullptr) {
    if (changed_) ::pthread_sigmask(SIG_SETMASK, mask, &before_);
  }
  ~mask_for_wait() {
    if (changed_) ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  mask_for_wait(const mask_for_wait&) = delete;
  mask_for_wait& operator=(const mask_for_wait&) = delete;

 private:
  sigset_t before_;
  bool changed_;
};

long poll_until(user_thread& me, pollfd* fds, nfds_t count, nanoseconds_at until) {
  return until_something(
      me, until, [&] { return raw_syscall(SYS_ppoll, arg(fds), static_cast<long>(count), arg(&at_once), 0, 8); },
      [&](readiness& r) {
        for (nfds_t i = 0; i < count; ++i)
          if (fds[i].fd >= 0) r.add(fds[i].fd, static_cast<unsigned short>(fds[i].events) | poll_always);
      });
}

constexpr std::size_t bits_per_word = 8 * sizeof(unsigned long);

struct selection {
  int count;
  fd_set *read, *write, *except;
};

/// select's sets are answered in place, so each question is asked with a copy. Sets may be longer than FD_SETSIZE.
long select_until(user_thread& me, const selection& s, nanoseconds_at until) {
  constexpr int most = 4096;
  if (s.count < 0 || s.count > most) return must_block;
  const std::size_t words = (static_cast<std::size_t>(s.count) + bits_per_word - 1) / bits_per_word;
  unsigned long wanted[3][most / bits_per_word];
  fd_set* const sets[3] = {s.read, s.write, s.except};
  for (const fd_set* set : sets) {  // the kernel says EFAULT of what it cannot read
    const auto at = reinterpret_cast<std::uintptr_t>(set);
    if (set != nullptr && words != 0 && (!os::can_read(at) || !os::can_read(at + (words - 1) * sizeof(unsigned long)))) return must_block;
  }
  for (int i = 0; i < 3; ++i)
    if (sets[i] != nullptr) ::memcpy(wanted[i], sets[i], words * sizeof(unsigned long));
  const auto ask = [&] {
    for (int i = 0; i < 3; ++i)
      if (sets[i] != nullptr) ::memcpy(sets[i], wanted[i], words * sizeof(unsigned long));
    return raw_syscall(SYS_pselect6, s.count, arg(s.read), arg(s.write), arg(s.except), arg(&at_once), 0);
  };
  const auto collect = [&](readiness& r) {
    constexpr io::event_mask events[3] = {POLLIN, POLLOUT, POLLPRI};
    for (std::size_t word = 0; word < words; ++word) {
      unsigned long any = 0;
      for (int i = 0; i < 3; ++i) any |= sets[i] != nullptr ? wanted[i][word] : 0;
      for (; any != 0; any &= any - 1) {
        const auto bit = static_cast<unsigned>(__builtin_ctzl(any));
        const int fd = static_cast<int>(word * bits_per_word + bit);
        if (fd >= s.count) break;
        io::event_mask mask = 0;
        for (int i = 0; i < 3; ++i)
          if (sets[i] != nullptr && (wanted[i][word] >> bit & 1) != 0) mask |= events[i];
        // A hang-up is an event to the reactor, but none to select's third set: waiting here would be waiting in circles.
        if (mask == POLLPRI) r.full = true;
        r.add(fd, mask);
      }
    }
  };
  const long result = until_something(me, until, ask, collect);
  if (result == must_block || result < 0)  // the sets are as the program gave them
    for (int i = 0; i < 3; ++i)
      if (sets[i] != nullptr) ::memcpy(sets[i], wanted[i], words * sizeof(unsigned long));
  return result;
}

long epoll_until(user_thread& me, int fd, epoll_event* events, int most, nanoseconds_at until) {
  const std::uint32_t handlers = me.handlers_run;
  const auto attempt = [&](io::turn& t) -> long {
    if (me.handlers_run != handlers) return -EINTR;  // never restarted, not even without a timeout
    const long n = raw_syscall(SYS_epoll_pwait, t.fd(), arg(events), most, 0, 0, 8);
    return n == 0 && (until == never || until > os::now()) ? would_block : n;
  };
  const long result = until_done(me, fd, POLLIN, attempt, [&] { return until; });
  return result == -EAGAIN ? 0 : result;
}

/// From here on signals reach the thread in a system call that lets them in, and nowhere else. The next switch of its carrier
/// ends that, or open_up.
void shut_out_signals(user_thread& me) noexcept {
  me.no_preempt.raise();
  me.on->kernel_mask = mask_unknown;
  os::set_signal_mask(os::block_all | os::signal_bit(os::preempt_signal));
  me.no_preempt.lower();
}
void open_up(user_thread& me) noexcept {
  const section in(me);
  me.on->kernel_mask = me.signal_mask;
  os::set_thread_mask(me.signal_mask);
}

/// Waits in the kernel, on a carrier that has given its slot away. `wait(span)` is libc's call, which acts on cancellation, and lets
/// in what the thread does not block. The engine's own signal ends such a call, too; then it goes on. Returns when a handler has
/// run since `handlers` were counted: with `exact`, which masks need, also if it ran just before the call.
template <class Wait>
int wait_in_kernel(user_thread& me, std::uint32_t handlers, bool exact, nanoseconds_at until, Wait wait) {
  for (;;) {
    if (exact) shut_out_signals(me);
    int result = -1;
    {
      const blocking stretch(me);
      const rest_of span(until);
      errno = EINTR;
      if (me.handlers_run == handlers) result = wait(span.get());
    }
    if (exact) open_up(me);
    if (result != -1 || errno != EINTR || me.handlers_run != handlers) return result;
    cancellation_point(me);
  }
}

/// What poll, select and epoll_wait have in common: `park(until)` is tried first, `wait(span, mask)` is libc's call. The mask is
/// in force in the meantime. A pending signal that it lets in has its handler run at once, and that ends the call.
template <class Park, class Wait>
int wait_under(user_thread& me, const timespec* span, const sigset_t* mask, Park park, Wait wait) {
  cancellation_point(me);
  const nanoseconds_at until = deadline_after(span);
  const std::uint32_t handlers = me.handlers_run;
  const mask_for_wait in_force(mask);
  if (me.handlers_run != handlers) return static_cast<int>(to_errno(-EINTR));
  const long result = park(until);
  if (result != must_block) return static_cast<int>(to_errno(result));
  return wait_in_kernel(me, handlers, mask != nullptr, until, [&](const timespec* rest) { return wait(rest, mask); });
}

/// Before Linux 5.11 epoll waits for whole milliseconds alone: rather one more than asked for than one less.
int milliseconds_of(const timespec* span) noexcept {
  if (span == nullptr) return -1;
  constexpr int longest = 1 << 30;
  return span->tv_sec >= longest / 1000 ? longest : static_cast<int>(span->tv_sec * 1000 + (span->tv_nsec + millisecond - 1) / millisecond);
}
int epoll_in_kernel(int fd, epoll_event* events, int most, const timespec* span, const sigset_t* mask) {
  const int result = libc.epoll_pwait2(fd, events, most, span, mask);
  if (result >= 0 || errno != ENOSYS) return result;
  return libc.epoll_pwait(fd, events, most, milliseconds_of(span), mask);
}

timespec of_milliseconds(int ms) noexcept { return {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * millisecond}; }

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT int ppoll(pollfd* fds, nfds_t count, const timespec* span, const sigset_t* mask) {
  user_thread* me = parkable();
  if (me == nullptr || !valid(span)) return touch(), libc.ppoll(fds, count, span, mask);
  return wait_under(*me, span, mask, [&](nanoseconds_at until) { return poll_until(*me, fds, count, until); },
                    [&](const timespec* rest, const sigset_t* in_call) { return libc.ppoll(fds, count, rest, in_call); });
}
WEFT_EXPORT int poll(pollfd* fds, nfds_t count, int ms) {
  user_thread* me = parkable();
  if (me == nullptr) return libc.poll(fds, count, ms);
  const timespec span = of_milliseconds(ms);
  return ppoll(fds, count, ms < 0 ? nullptr : &span, nullptr);
}
WEFT_EXPORT int __poll_chk(pollfd* fds, nfds_t count, int ms, size_t room) {
  if (room / sizeof(pollfd) < count) ::abort();
  return poll(fds, count, ms);
}
WEFT_EXPORT int __ppoll_chk(pollfd* fds, nfds_t count, const timespec* span, const sigset_t* mask, size_t room) {
  if (room / sizeof(pollfd) < count) ::abort();
  return ppoll(fds, count, span, mask);
}

WEFT_EXPORT int pselect(int count, fd_set* read, fd_set* write, fd_set* except, const timespec* span, const sigset_t* mask) {
  user_thread* me = parkable();
  if (me == nullptr || !valid(span)) return touch(), libc.pselect(count, read, write, except, span, mask);
  return wait_under(
      *me, span, mask, [&](nanoseconds_at until) { return select_until(*me, {count, read, write, except}, until); },
      [&](const timespec* rest, const sigset_t* in_call) { return libc.pselect(count, read, write, except, rest, in_call); });
}
WEFT_EXPORT int select(int count, fd_set* read, fd_set* write, fd_set* except, timeval* span) {
  user_thread* me = parkable();
  if (me == nullptr || (span != nullptr && (span->tv_sec < 0 || span->tv_usec < 0)))
    return libc.select(count, read, write, except, span);
  timespec precise{};
  nanoseconds_at until = never;
  if (span != nullptr) {
    precise = {.tv_sec = span->tv_sec + span->tv_usec / 1000000, .tv_nsec = span->tv_usec % 1000000 * microsecond};
    until = deadline_after(&precise);
  }
  const int result = pselect(count, read, write, except, span != nullptr ? &precise : nullptr, nullptr);
  if (span != nullptr && until != never) {  // as Linux does: what was left
    const nanoseconds left = until - os::now();
    *span = left > 0 ? timeval{.tv_sec = left / second, .tv_usec = left % second / microsecond} : timeval{};
  }
  return result;
}

WEFT_EXPORT int epoll_pwait2(int fd, epoll_event* events, int most, const timespec* span, const sigset_t* mask) {
  user_thread* me = parkable();
  if (me == nullptr || !valid(span)) return touch(), libc.epoll_pwait2(fd, events, most, span, mask);
  return wait_under(*me, span, mask, [&](nanoseconds_at until) { return epoll_until(*me, fd, events, most, until); },
                    [&](const timespec* rest, const sigset_t* in_call) { return epoll_in_kernel(fd, events, most, rest, in_call); });
}
WEFT_EXPORT int epoll_pwait(int fd, epoll_event* events, int most, int ms, const sigset_t* mask) {
  user_thread* me = parkable();
  if (me == nullptr) return libc.epoll_pwait(fd, events, most, ms, mask);
  const timespec span = of_milliseconds(ms);
  return epoll_pwait2(fd, events, most, ms < 0 ? nullptr : &span, mask);
}
WEFT_EXPORT int epoll_wait(int fd, epoll_event* events, int most, int ms) {
  user_thread* me = parkable();
  if (me == nullptr) return libc.epoll_wait(fd, events, most, ms);
  return epoll_pwait(fd, events, most, ms, nullptr);
}
