// SPDX-License-Identifier: BSL-1.0
// Deadlines as the engine wants them: nanoseconds of CLOCK_MONOTONIC, which is std::chrono::steady_clock.
#pragma once
#include <chrono>
#include <cstdint>
#include <limits>
#include <stop_token>
#include <type_traits>

#include "weft/detail/export.hpp"

namespace weft {
struct clock;
}

namespace weft::detail {

using deadline = std::int64_t;
inline constexpr deadline no_deadline = std::numeric_limits<deadline>::max();

/// How long a wait may take: until then, or until it is asked to stop. The token lives as long as the call.
struct patience {
  patience(deadline until) noexcept : when(until) {}  // NOLINT: a deadline is one
  patience(deadline until, const std::stop_token& token) noexcept : when(until), stop(token.stop_possible() ? &token : nullptr) {}
  explicit patience(const std::stop_token& token) noexcept : patience(no_deadline, token) {}
  [[nodiscard]] bool stopped() const noexcept { return stop != nullptr && stop->stop_requested(); }
  deadline when = no_deadline;
  const std::stop_token* stop = nullptr;
};

/// Rounded up, as the standard wants; beyond what fits: never. Works for floating-point and coarse durations.
template <class Rep, class Period>
deadline to_nanoseconds(const std::chrono::duration<Rep, Period>& span) {
  using fine = std::chrono::duration<long double, std::nano>;
  const fine exact = span;
  if (!(exact.count() > 0)) return 0;
  if (exact.count() >= 9.2e18L) return no_deadline;
  const auto whole = static_cast<deadline>(exact.count());
  return static_cast<long double>(whole) < exact.count() ? whole + 1 : whole;
}

/// Of weft::clock: the steady clock's, or the caller's runtime's.
[[nodiscard]] WEFT_EXPORT deadline now() noexcept;
[[nodiscard]] WEFT_EXPORT bool time_is_virtual() noexcept;

/// Clocks that nobody sets.
template <class Clock>
inline constexpr bool is_own_clock = std::is_same_v<Clock, std::chrono::steady_clock> || std::is_same_v<Clock, clock>;

template <class Rep, class Period>
deadline deadline_after(const std::chrono::duration<Rep, Period>& span) {
  const deadline wait = to_nanoseconds(span);
  const deadline start = now();
  return wait >= no_deadline - start ? no_deadline : start + wait;
}

/// For our own clock the very point, and for the steady one where that is ours; for another as far away as it is now. The caller looks at that
/// clock again afterwards.
template <class Clock, class Duration>
deadline deadline_at(const std::chrono::time_point<Clock, Duration>& when) {
  if constexpr (is_own_clock<Clock>) {
    const deadline point = to_nanoseconds(when.time_since_epoch());
    if (std::is_same_v<Clock, clock> || point == no_deadline || !time_is_virtual()) return point;
    return deadline_after(std::chrono::nanoseconds(point - std::chrono::steady_clock::now().time_since_epoch().count()));
  } else {
    // Not `when - now`: the difference of the farthest points is more than their own type holds.
    using fine = std::chrono::duration<long double, std::nano>;
    return deadline_after(fine(when.time_since_epoch()) - fine(Clock::now().time_since_epoch()));
  }
}

/// Waits by `attempt(deadline)` until it succeeds or `Clock` says that the time is up: a clock may be set while we wait. `stop`: the attempts end
/// then, too.
template <class Clock, class Duration, class Attempt>
bool until(const std::chrono::time_point<Clock, Duration>& when, Attempt attempt, const std::stop_token& stop = {}) {
  for (;;) {
    if (attempt(deadline_at(when))) return true;
    if (is_own_clock<Clock> || Clock::now() >= when || time_is_virtual() || stop.stop_requested()) return false;
  }
}

}  // namespace weft::detail
