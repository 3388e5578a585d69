// SPDX-License-Identifier: BSL-1.0
// Semaphores as in <semaphore>. Who may call: threads, fibers and kernel threads alike. A token goes straight to the one that has waited
// longest. Cost: 5 ns without contention.
#pragma once
#include <cassert>
#include <limits>

#include "weft/detail/sync.hpp"

namespace weft {

/// std::counting_semaphore.
template <std::ptrdiff_t LeastMax = std::numeric_limits<std::int32_t>::max()>
class counting_semaphore {
  static_assert(LeastMax >= 0 && LeastMax <= std::numeric_limits<std::int32_t>::max());

 public:
  /// The most tokens that it can have; the program ends where more than 2,147,483,647 are released.
  static constexpr std::ptrdiff_t max() noexcept { return LeastMax; }
  /// With so many tokens to begin with: 0 to max().
  explicit counting_semaphore(std::ptrdiff_t tokens) noexcept : state_(static_cast<std::uint32_t>(tokens)) {
    assert(tokens >= 0 && tokens <= max());
  }
  counting_semaphore(const counting_semaphore&) = delete;
  counting_semaphore& operator=(const counting_semaphore&) = delete;

  /// Adds tokens and wakes as many. Never waits.
  void release(std::ptrdiff_t tokens = 1) { detail::release(state_, tokens); }
  /// Waits for a token.
  void acquire() { (void)detail::acquire_until(state_, detail::no_deadline); }
  /// Never waits. True if there was a token, which is now the caller's.
  [[nodiscard]] bool try_acquire() noexcept { return detail::try_acquire(state_); }
  /// Waits so long at most. True if there was a token.
  template <class Rep, class Period>
  [[nodiscard]] bool try_acquire_for(const std::chrono::duration<Rep, Period>& span) {
    return try_acquire() || detail::acquire_until(state_, detail::deadline_after(span));
  }
  /// Waits until then at most. True if there was a token.
  template <class Clock, class Duration>
  [[nodiscard]] bool try_acquire_until(const std::chrono::time_point<Clock, Duration>& when) {
    return try_acquire_until(when, std::stop_token());
  }
  /// Waits for a token (true), or until stop is requested.
  [[nodiscard]] bool acquire(const std::stop_token& stop) { return detail::acquire_until(state_, detail::patience(stop)); }
  /// The same, so long at most.
  template <class Rep, class Period>
  [[nodiscard]] bool try_acquire_for(const std::chrono::duration<Rep, Period>& span, const std::stop_token& stop) {
    return detail::acquire_until(state_, {detail::deadline_after(span), stop});
  }
  /// The same, until then at most.
  template <class Clock, class Duration>
  [[nodiscard]] bool try_acquire_until(const std::chrono::time_point<Clock, Duration>& when, const std::stop_token& stop) {
    return try_acquire() || detail::until(when, [&](detail::deadline d) { return detail::acquire_until(state_, {d, stop}); }, stop);
  }

 private:
  detail::semaphore_state state_;
};

/// std::binary_semaphore.
using binary_semaphore = counting_semaphore<1>;

}  // namespace weft
