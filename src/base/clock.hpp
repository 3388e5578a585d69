// SPDX-License-Identifier: BSL-1.0
// The engine's time: nanoseconds of CLOCK_MONOTONIC in a plain integer with a name.
#pragma once
#include <cstdint>
#include <limits>

namespace weft::engine {

/// A point on CLOCK_MONOTONIC, in nanoseconds.
using nanoseconds_at = std::int64_t;
/// A span in nanoseconds.
using nanoseconds = std::int64_t;

inline constexpr nanoseconds_at never = std::numeric_limits<nanoseconds_at>::max();
inline constexpr nanoseconds microsecond = 1'000, millisecond = 1'000'000, second = 1'000'000'000;

}  // namespace weft::engine
