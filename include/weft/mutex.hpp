// SPDX-License-Identifier: BSL-1.0
// Mutexes as in <mutex>. Lock them with std::lock_guard, std::unique_lock, std::scoped_lock, std::lock.
//
// Who may call: threads, fibers and kernel threads alike, also on the same object. A thread or fiber that waits is parked; a kernel thread
// sleeps in the kernel. Not in signal handlers.
// Misuse ends the program with a line on stderr that says what: locking what one holds (but for the recursive kinds), unlocking what another
// one holds, destroying what is locked.
// Cost: lock and unlock about 7 ns without contention. A thread that frees a lock may take it again before one that was woken for it; who
// was passed over four times is handed the lock.
// Beyond std: what waits also takes a std::stop_token, last, and then returns false if stop was requested first; here and in all headers. A stop that
// was requested before does not keep anybody from what is free.
#pragma once
#include <chrono>
#include <functional>
#include <limits>
#include <mutex>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>

#include "weft/detail/sync.hpp"

namespace weft {

class condition_variable;

/// std::mutex.
class mutex {
 public:
  constexpr mutex() noexcept = default;
  ~mutex() {
    if (state_.word.load(std::memory_order_relaxed) != 0) [[unlikely]] detail::destroyed_in_use("mutex");
  }
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;

  /// Waits until the lock is the caller's.
  void lock() { detail::lock(state_); }
  /// Never waits. False if somebody holds the lock, the caller included.
  [[nodiscard]] bool try_lock() noexcept { return detail::try_lock(state_); }
  /// Never waits. The caller must hold the lock.
  void unlock() { detail::unlock(state_); }
  /// Waits until the lock is the caller's (true), or stop is requested.
  [[nodiscard]] bool lock(const std::stop_token& stop) { return detail::lock_until(state_, detail::patience(stop)); }

 private:
  friend class condition_variable;
  detail::mutex_state state_;
};

/// std::timed_mutex.
class timed_mutex {
 public:
  timed_mutex() = default;
  ~timed_mutex() {
    if (state_.word.load(std::memory_order_relaxed) != 0) [[unlikely]] detail::destroyed_in_use("timed_mutex");
  }
  timed_mutex(const timed_mutex&) = delete;
  timed_mutex& operator=(const timed_mutex&) = delete;

  /// Waits until the lock is the caller's.
  void lock() { detail::lock(state_); }
  /// Never waits. False if somebody holds the lock, the caller included.
  [[nodiscard]] bool try_lock() noexcept { return detail::try_lock(state_); }
  /// Never waits. The caller must hold the lock.
  void unlock() { detail::unlock(state_); }
  /// Waits so long at most. True if the lock is the caller's.
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& span) {
    return try_lock() || detail::lock_until(state_, detail::deadline_after(span));
  }
  /// Waits until then at most. True if the lock is the caller's.
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Duration>& when) {
    return try_lock_until(when, std::stop_token());
  }
  /// Waits until the lock is the caller's (true), or stop is requested.
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

 private:
  detail::mutex_state state_;
};

/// std::recursive_timed_mutex.
class recursive_timed_mutex {
 public:
  recursive_timed_mutex() = default;
  recursive_timed_mutex(const recursive_timed_mutex&) = delete;
  recursive_timed_mutex& operator=(const recursive_timed_mutex&) = delete;

  /// Waits until the lock is the caller's, once more if it was before. Throws std::system_error
  /// (resource_unavailable_try_again) at the greatest depth.
  void lock() {
    if (!again()) inner_.lock(), own();
  }
  /// Never waits. False if another one holds the lock, or at the greatest depth.
  [[nodiscard]] bool try_lock() noexcept {
    if (mine()) return depth_ != most && ++depth_ != 0;
    return inner_.try_lock() && own();
  }
  /// Never waits. The caller must hold the lock; it is free when each lock() has had its unlock().
  void unlock() {
    if (depth_ > 1 && mine()) {
      --depth_;
      return;
    }
    owner_.store(nullptr, std::memory_order_relaxed);
    inner_.unlock();
  }
  /// Waits so long at most. True if the lock is the caller's, once more if it was before.
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& span) {
    return mine() ? try_lock() : inner_.try_lock_for(span) && own();
  }
  /// Waits until then at most. True if the lock is the caller's, once more if it was before.
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Duration>& when) {
    return mine() ? try_lock() : inner_.try_lock_until(when) && own();
  }
  /// As lock(), but false if stop is requested before.
  [[nodiscard]] bool lock(const std::stop_token& stop) { return again() || (inner_.lock(stop) && own()); }
  /// As try_lock_for, but false also if stop is requested before.
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& span, const std::stop_token& stop) {
    return mine() ? try_lock() : inner_.try_lock_for(span, stop) && own();
  }
  /// As try_lock_until, but false also if stop is requested before.
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Duration>& when, const std::stop_token& stop) {
    return mine() ? try_lock() : inner_.try_lock_until(when, stop) && own();
  }

 private:
  static constexpr unsigned most = std::numeric_limits<unsigned>::max();
  // Only the owner finds itself here, whatever others write meanwhile.
  [[nodiscard]] bool mine() const noexcept { return owner_.load(std::memory_order_relaxed) == detail::caller(); }
  bool again() {
    if (!mine()) return false;
    if (depth_ == most) throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
    ++depth_;
    return true;
  }
  bool own() noexcept {
    owner_.store(detail::caller(), std::memory_order_relaxed);
    depth_ = 1;
    return true;
  }

  timed_mutex inner_;
  std::atomic<const void*> owner_{nullptr};
  unsigned depth_ = 0;  // the owner's
};

/// std::recursive_mutex.
class recursive_mutex {
 public:
  recursive_mutex() = default;
  recursive_mutex(const recursive_mutex&) = delete;
  recursive_mutex& operator=(const recursive_mutex&) = delete;
  /// Waits until the lock is the caller's, once more if it was before. Throws std::system_error
  /// (resource_unavailable_try_again) at the greatest depth.
  void lock() { inner_.lock(); }
  /// Never waits. False if another one holds the lock, or at the greatest depth.
  [[nodiscard]] bool try_lock() noexcept { return inner_.try_lock(); }
  /// Never waits. The caller must hold the lock; it is free when each lock() has had its unlock().
  void unlock() { inner_.unlock(); }
  /// As lock(), but false if stop is requested before.
  [[nodiscard]] bool lock(const std::stop_token& stop) { return inner_.lock(stop); }

 private:
  recursive_timed_mutex inner_;
};

using std::adopt_lock;
using std::adopt_lock_t;
using std::defer_lock;
using std::defer_lock_t;
using std::lock;
using std::lock_guard;
using std::scoped_lock;
using std::try_lock;
using std::try_to_lock;
using std::try_to_lock_t;
using std::unique_lock;

/// std::once_flag.
class once_flag {
 public:
  constexpr once_flag() noexcept = default;
  once_flag(const once_flag&) = delete;
  once_flag& operator=(const once_flag&) = delete;

 private:
  template <class F, class... Arguments>
  friend void call_once(once_flag& flag, F&& f, Arguments&&... arguments);
  std::atomic<bool> done_{false};
  mutex running_;
};

/// std::call_once: waits while another call is running `f`; if that throws, the next one tries.
template <class F, class... Arguments>
void call_once(once_flag& flag, F&& f, Arguments&&... arguments) {
  if (flag.done_.load(std::memory_order_acquire)) return;
  const std::lock_guard hold(flag.running_);
  if (flag.done_.load(std::memory_order_relaxed)) return;
  std::invoke(std::forward<F>(f), std::forward<Arguments>(arguments)...);
  flag.done_.store(true, std::memory_order_release);
}

}  // namespace weft
