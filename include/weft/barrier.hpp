// SPDX-License-Identifier: BSL-1.0
// std::barrier. Who may call: threads, fibers and kernel threads alike.
#pragma once
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "weft/condition_variable.hpp"

namespace weft {

namespace detail {
struct nothing_on_completion {
  void operator()() const noexcept {}
};
}  // namespace detail

/// std::barrier: a point at which `expected` callers wait for each other, again and again. `completion` runs when the last one of a phase has
/// arrived, in that one, before the others go on; the barrier cannot be used from inside it.
template <class Completion = detail::nothing_on_completion>
class barrier {
 public:
  /// Names a phase.
  class arrival_token {
    friend class barrier;
    explicit arrival_token(std::uint64_t phase) noexcept : phase_(phase) {}
    std::uint64_t phase_;

   public:
    /// Moved, not copied: a phase is waited for once.
    arrival_token(arrival_token&&) = default;
    /// The same.
    arrival_token& operator=(arrival_token&&) = default;
  };

  /// The most that can be expected.
  static constexpr std::ptrdiff_t max() noexcept { return std::numeric_limits<std::ptrdiff_t>::max(); }
  /// `expected` arrivals end a phase: 0 to max().
  explicit barrier(std::ptrdiff_t expected, Completion completion = Completion())
      : expected_(expected), left_(expected), completion_(std::move(completion)) {
    assert(expected >= 0);
  }
  barrier(const barrier&) = delete;
  barrier& operator=(const barrier&) = delete;

  /// Never waits, but runs the completion function if it is the last one of the phase.
  [[nodiscard]] arrival_token arrive(std::ptrdiff_t n = 1) {
    const std::lock_guard hold(lock_);
    return arrive_locked(n);
  }
  /// Waits until the phase of the token is over.
  void wait(arrival_token&& token) const {
    std::unique_lock hold(lock_);
    turned_.wait(hold, [this, &token] { return phase_ != token.phase_; });
  }
  /// Waits until the phase of the token is over (true), or stop is requested. An arrival cannot be taken back: the phase goes on, and the token may
  /// be waited with again.
  [[nodiscard]] bool wait(const arrival_token& token, const std::stop_token& stop) const {
    std::unique_lock hold(lock_);
    return turned_.wait(hold, stop, [this, &token] { return phase_ != token.phase_; });
  }
  /// The same, so long at most.
  template <class Rep, class Period>
  [[nodiscard]] bool wait_for(const arrival_token& token, const std::chrono::duration<Rep, Period>& span, const std::stop_token& stop = {}) const {
    std::unique_lock hold(lock_);
    return turned_.wait_for(hold, stop, span, [this, &token] { return phase_ != token.phase_; });
  }
  /// The same, until then at most.
  template <class Clock, class Duration>
  [[nodiscard]] bool wait_until(const arrival_token& token, const std::chrono::time_point<Clock, Duration>& when, const std::stop_token& stop = {}) const {
    std::unique_lock hold(lock_);
    return turned_.wait_until(hold, stop, when, [this, &token] { return phase_ != token.phase_; });
  }
  /// Arrives, and waits until the phase is over.
  void arrive_and_wait() {
    std::unique_lock hold(lock_);
    const arrival_token token = arrive_locked(1);
    turned_.wait(hold, [this, &token] { return phase_ != token.phase_; });
  }
  /// Arrives for the last time: later phases expect one less. Never waits.
  void arrive_and_drop() {
    const std::lock_guard hold(lock_);
    --expected_;
    (void)arrive_locked(1);
  }

 private:
  arrival_token arrive_locked(std::ptrdiff_t n) {
    assert(n > 0 && n <= left_);
    arrival_token token(phase_);
    left_ -= n;
    if (left_ == 0) {
      completion_();
      left_ = expected_;
      ++phase_;
      turned_.notify_all();
    }
    return token;
  }

  mutable mutex lock_;
  mutable condition_variable turned_;
  std::uint64_t phase_ = 0;
  std::ptrdiff_t expected_, left_;
  Completion completion_;
};

}  // namespace weft
