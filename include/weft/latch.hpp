// SPDX-License-Identifier: BSL-1.0
// std::latch. Who may call: threads, fibers and kernel threads alike.
#pragma once
#include <cassert>
#include <cstddef>
#include <limits>

#include "weft/condition_variable.hpp"

namespace weft {

/// std::latch: opens, for good, when it has been counted down to zero. Who waited may destroy it.
class latch {
 public:
  /// The most that can be counted down.
  static constexpr std::ptrdiff_t max() noexcept { return std::numeric_limits<std::ptrdiff_t>::max(); }
  /// Opens after `expected` counts: 0 to max().
  explicit latch(std::ptrdiff_t expected) noexcept : left_(expected) { assert(expected >= 0); }
  latch(const latch&) = delete;
  latch& operator=(const latch&) = delete;

  /// Never waits.
  void count_down(std::ptrdiff_t n = 1) {
    // Under the lock to the end: who sees the count at zero may destroy the latch when we have let go.
    const std::lock_guard hold(lock_);
    assert(n >= 0 && n <= left_);
    left_ -= n;
    if (left_ == 0) opened_.notify_all();
  }
  /// Never waits. True if the count is zero.
  [[nodiscard]] bool try_wait() const noexcept {
    const std::lock_guard hold(lock_);
    return left_ == 0;
  }
  /// Waits until the count is zero.
  void wait() const {
    std::unique_lock hold(lock_);
    opened_.wait(hold, [this] { return left_ == 0; });
  }
  /// Waits until the count is zero (true), or stop is requested.
  [[nodiscard]] bool wait(const std::stop_token& stop) const {
    std::unique_lock hold(lock_);
    return opened_.wait(hold, stop, [this] { return left_ == 0; });
  }
  /// Waits so long at most, or until stop is requested. True if the count is zero.
  template <class Rep, class Period>
  [[nodiscard]] bool wait_for(const std::chrono::duration<Rep, Period>& span, const std::stop_token& stop = {}) const {
    std::unique_lock hold(lock_);
    return opened_.wait_for(hold, stop, span, [this] { return left_ == 0; });
  }
  /// Waits until then at most, or until stop is requested. True if the count is zero.
  template <class Clock, class Duration>
  [[nodiscard]] bool wait_until(const std::chrono::time_point<Clock, Duration>& when, const std::stop_token& stop = {}) const {
    std::unique_lock hold(lock_);
    return opened_.wait_until(hold, stop, when, [this] { return left_ == 0; });
  }
  /// Counts down, then waits until the count is zero.
  void arrive_and_wait(std::ptrdiff_t n = 1) {
    count_down(n);
    wait();
  }

 private:
  mutable mutex lock_;
  mutable condition_variable opened_;
  std::ptrdiff_t left_;
};

}  // namespace weft
