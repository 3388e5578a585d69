// SPDX-License-Identifier: BSL-1.0
// Spans of time as system calls take them, and the engine's deadlines: a call that is made again waits for the rest.
#pragma once
#include <time.h>

#include "os/clock.hpp"

namespace weft::engine::posix {

/// What the kernel accepts; null is "for ever".
[[nodiscard]] inline bool valid(const timespec* span) noexcept {
  return span == nullptr || (span->tv_sec >= 0 && span->tv_nsec >= 0 && span->tv_nsec < second);
}

/// `span` must be valid. `never` for null, and for what is beyond the clock.
[[nodiscard]] inline nanoseconds_at deadline_after(const timespec* span) noexcept {
  if (span == nullptr) return never;
  const nanoseconds_at now = os::now();
  if (span->tv_sec >= (never - now) / second - 1) return never;
  return now + span->tv_sec * second + span->tv_nsec;
}

/// What is left of it: for calls whose span is null when the deadline is `never`.
class rest_of {
 public:
  explicit rest_of(nanoseconds_at until) noexcept : endless_(until == never) {
    if (endless_) return;
    const nanoseconds left = until - os::now();
    if (left > 0) span_ = {.tv_sec = left / second, .tv_nsec = left % second};
  }
  [[nodiscard]] const timespec* get() const noexcept { return endless_ ? nullptr : &span_; }

 private:
  timespec span_{};
  bool endless_;
};

}  // namespace weft::engine::posix
