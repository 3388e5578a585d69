// SPDX-License-Identifier: BSL-1.0
// Sleeping: the thread parks with a deadline. Clocks that are not wall or monotonic time go to libc (and are rescued).
#include <errno.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "core/section.hpp"
#include "os/clock.hpp"
#include "posix/cancel.hpp"
#include "posix/exported.hpp"
#include "posix/runtime.hpp"
#include "sync/wait.hpp"

namespace weft::engine::posix {

namespace {

bool of_libc() noexcept { return native() || runtime.now != stage::running; }

timespec to_timespec(nanoseconds n) noexcept { return {.tv_sec = n / second, .tv_nsec = n % second}; }

/// Sleeps until `deadline`. 0, or EINTR when a handler ran (sleeps are never restarted).
int sleep_until(nanoseconds_at deadline) noexcept {
  user_thread& me = self();
  const std::uint32_t handlers = me.handlers_run;
  for (;;) {
    cancellation_point(me);
    {
      const section in(me);
      const ticket t = me.wait.prepare();
      if (sync::park(me, t, deadline) == wake_reason::deadline) return 0;
    }
    if (me.handlers_run != handlers) return EINTR;
  }
}

/// The relative sleeps. An errno code; `rest` gets what was left.
int sleep_for(const timespec* span, timespec* rest) noexcept {
  if (span->tv_nsec < 0 || span->tv_nsec >= second || span->tv_sec < 0) return EINVAL;
  const nanoseconds_at now = os::now();
  const bool endless = span->tv_sec > (never - now) / second - 1;
  const nanoseconds_at deadline = endless ? never - 1 : now + span->tv_sec * second + span->tv_nsec;
  const int error = sleep_until(deadline);
  if (error != 0 && rest != nullptr) {
    const nanoseconds left = deadline - os::now();
    *rest = to_timespec(left > 0 ? left : 0);
  }
  return error;
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT int nanosleep(const timespec* span, timespec* rest) {
  if (of_libc()) return libc.nanosleep(span, rest);
  const int error = sleep_for(span, rest);
  if (error == 0) return 0;
  errno = error;
  return -1;
}

WEFT_EXPORT int clock_nanosleep(clockid_t clock, int flags, const timespec* when, timespec* rest) {
  if (of_libc() || (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC))
    return libc.clock_nanosleep(clock, flags, when, rest);
  if ((flags & TIMER_ABSTIME) == 0) return sleep_for(when, rest);
  nanoseconds_at deadline = never;
  if (!to_deadline(clock, when, deadline)) return EINVAL;
  return sleep_until(deadline);
}

WEFT_EXPORT int usleep(useconds_t microseconds) {
  if (of_libc()) return libc.usleep(microseconds);
  const timespec span = to_timespec(static_cast<nanoseconds>(microseconds) * microsecond);
  return nanosleep(&span, nullptr);
}

WEFT_EXPORT unsigned sleep(unsigned seconds) {
  if (of_libc()) return libc.sleep(seconds);
  const timespec span{.tv_sec = seconds, .tv_nsec = 0};
  timespec rest{};
  const int saved = errno;
  if (nanosleep(&span, &rest) == 0) {
    errno = saved;
    return 0;
  }
  return static_cast<unsigned>(rest.tv_sec + (rest.tv_nsec >= second / 2 ? 1 : 0));
}

WEFT_EXPORT int thrd_sleep(const timespec* span, timespec* rest) {
  if (of_libc()) return libc.thrd_sleep(span, rest);
  const int error = sleep_for(span, rest);
  return error == 0 ? 0 : error == EINTR ? -1 : -2;
}
