// SPDX-License-Identifier: BSL-1.0
// Reader-writer locks as in <shared_mutex>. Lock them with std::shared_lock and std::unique_lock.
// Who may call, misuse: as in mutex.hpp. A writer that waits keeps new readers out, so that it gets its turn; a reader must not lock again
// what it holds. Cost: 10 ns without contention.
#pragma once
#include <shared_mutex>

#include "weft/detail/sync.hpp"

namespace weft {

/// std::shared_timed_mutex.
class shared_timed_mutex {
 public:
  shared_timed_mutex() = default;
  ~shared_timed_mutex() {
    if (state_.word.load(std::memory_order_relaxed) != 0) [[unlikely]] detail::destroyed_in_use("shared_mutex");
  }
  shared_timed_mutex(const shared_timed_mutex&) = delete;
  shared_timed_mutex& operator=(const shared_timed_mutex&) = delete;

  /// Waits until the caller holds the lock alone.
  void lock() { (void)detail::lock_until(state_, detail::no_deadline); }
  /// Never waits. False if somebody holds the lock.
  [[nodiscard]] bool try_lock() noexcept { return detail::try_lock(state_); }
  /// Never waits. The caller must hold the lock alone.
  void unlock() { detail::unlock(state_); }
  /// Waits so long at most. True if the caller holds the lock alone.
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& span) {
    return try_lock() || detail::lock_until(state_, detail::deadline_after(span));
  }
  /// Waits until then at most. True if the caller holds the lock alone.
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Duration>& when) {
    return try_lock_until(when, std::stop_token());
  }

  /// Waits until the caller holds the lock together with other readers at most.
  void lock_shared() { (void)detail::lock_shared_until(state_, detail::no_deadline); }
  /// Never waits. False if a writer holds the lock or waits for it.
  [[nodiscard]] bool try_lock_shared() noexcept { return detail::try_lock_shared(state_); }
  /// Never waits. The caller must hold the lock together with others.
  void unlock_shared() { detail::unlock_shared(state_); }
  /// Waits so long at most. True if the caller holds the lock, other readers perhaps as well.
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_shared_for(const std::chrono::duration<Rep, Period>& span) {
    return try_lock_shared() || detail::lock_shared_until(state_, detail::deadline_after(span));
  }
  /// Waits until then at most. True if the caller holds the lock, other readers perhaps as well.
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_shared_until(const std::chrono::time_point<Clock, Duration>& when) {
    return try_lock_shared_until(when, std::stop_token());
  }

  /// Waits until the caller holds the lock alone (true), or stop is requested.
  [[nodiscard]] bool lock(const std::stop_token& stop) { return detail::lock_until(state_, detail::patience(stop)); }
  /// The same, so long at most.
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& span, const std::stop_token& stop) {
    return detail::lock_until(state_, {detail::deadline_after(span), stop});
  }
  /// The same, until then at most.
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Duration>& when, const std::stop_token& stop) {
    return try_lock() || detail::until(when, [&](detail::deadline d) { return detail::lock_until(state_, {d, stop}); }, stop);
  }

  /// Waits until the caller holds the lock together with other readers at most (true), or stop is requested.
  [[nodiscard]] bool lock_shared(const std::stop_token& stop) { return detail::lock_shared_until(state_, detail::patience(stop)); }
  /// The same, so long at most.
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_shared_for(const std::chrono::duration<Rep, Period>& span, const std::stop_token& stop) {
    return detail::lock_shared_until(state_, {detail::deadline_after(span), stop});
  }
  /// The same, until then at most.
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_shared_until(const std::chrono::time_point<Clock, Duration>& when, const std::stop_token& stop) {
    return try_lock_shared() || detail::until(when, [&](detail::deadline d) { return detail::lock_shared_until(state_, {d, stop}); }, stop);
  }

 private:
  detail::shared_mutex_state state_;
};

/// std::shared_mutex.
class shared_mutex {
 public:
  shared_mutex() = default;
  shared_mutex(const shared_mutex&) = delete;
  shared_mutex& operator=(const shared_mutex&) = delete;
  /// Waits until the caller holds the lock alone.
  void lock() { inner_.lock(); }
  /// Never waits. False if somebody holds the lock.
  [[nodiscard]] bool try_lock() noexcept { return inner_.try_lock(); }
  /// Never waits. The caller must hold the lock alone.
  void unlock() { inner_.unlock(); }
  /// Waits until the caller holds the lock together with other readers at most.
  void lock_shared() { inner_.lock_shared(); }
  /// Never waits. False if a writer holds the lock or waits for it.
  [[nodiscard]] bool try_lock_shared() noexcept { return inner_.try_lock_shared(); }
  /// Never waits. The caller must hold the lock together with others.
  void unlock_shared() { inner_.unlock_shared(); }
  /// As lock(), but false if stop is requested before.
  [[nodiscard]] bool lock(const std::stop_token& stop) { return inner_.lock(stop); }
  /// As lock_shared(), but false if stop is requested before.
  [[nodiscard]] bool lock_shared(const std::stop_token& stop) { return inner_.lock_shared(stop); }

 private:
  shared_timed_mutex inner_;
};

using std::shared_lock;

}  // namespace weft
