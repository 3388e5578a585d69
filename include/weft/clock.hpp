// SPDX-License-Identifier: BSL-1.0
// The library's clock: std::chrono::steady_clock, but in a seeded runtime the runtime's own time, in which sleeping takes none.
#pragma once
#include <chrono>

#include "weft/detail/time.hpp"

namespace weft {

/// As the standard's clocks. Any caller; never waits; cost: a few ns more than steady_clock's.
struct clock {
  /// Nanoseconds.
  using duration = std::chrono::nanoseconds;
  /// Of duration.
  using rep = duration::rep;
  /// Of duration.
  using period = duration::period;
  /// Since the machine's start, or the seeded runtime's.
  using time_point = std::chrono::time_point<clock>;
  /// It never goes back.
  static constexpr bool is_steady = true;
  /// The caller's time.
  [[nodiscard]] static time_point now() noexcept { return time_point(duration(detail::now())); }
};

}  // namespace weft
