// SPDX-License-Identifier: BSL-1.0
// Condition variables as in <condition_variable>. Who may call: threads, fibers and kernel threads alike. Waits may end early
// (spuriously), as in std: use a predicate. Cost: a signal to a parked thread and its wake-up on the same carrier 50 ns.
#pragma once
#include <condition_variable>
#include <memory>
#include <stop_token>

#include "weft/mutex.hpp"

namespace weft {

using std::cv_status;

/// std::condition_variable, with weft::mutex.
class condition_variable {
 public:
  condition_variable() noexcept = default;
  /// As std wants: all who wait must have been notified, but need not have returned.
  ~condition_variable() { detail::end_condition(state_); }
  condition_variable(const condition_variable&) = delete;
  condition_variable& operator=(const condition_variable&) = delete;

  /// Wakes one that waits, if any does. Never waits. The mutex need not be held.
  void notify_one() noexcept { detail::notify_one(state_); }
  /// Wakes all that wait. Never waits. The mutex need not be held.
  void notify_all() noexcept { detail::notify_all(state_); }

  /// Gives the lock up, waits to be notified, and takes the lock again. The program ends if the caller does not hold it: so also below.
  void wait(std::unique_lock<mutex>& lock) { (void)detail::wait(state_, lock.mutex()->state_, detail::no_deadline); }
  /// Waits until `satisfied()`, which is called with the lock held.
  template <class Predicate>
  void wait(std::unique_lock<mutex>& lock, Predicate satisfied) {
    while (!satisfied()) wait(lock);
  }
  /// Waits to be notified, until then at most. `timeout`: that time has come.
  template <class Clock, class Duration>
  cv_status wait_until(std::unique_lock<mutex>& lock, const std::chrono::time_point<Clock, Duration>& when) {
    if (detail::wait(state_, lock.mutex()->state_, detail::deadline_at(when))) return cv_status::no_timeout;
    return Clock::now() < when ? cv_status::no_timeout : cv_status::timeout;
  }
  /// Waits until `satisfied()`, until then at most. Returns what `satisfied()` said last.
  template <class Clock, class Duration, class Predicate>
  bool wait_until(std::unique_lock<mutex>& lock, const std::chrono::time_point<Clock, Duration>& when, Predicate satisfied) {
    while (!satisfied())
      if (wait_until(lock, when) == cv_status::timeout) return satisfied();
    return true;
  }
  /// Waits to be notified, so long at most. `timeout`: the time is up.
  template <class Rep, class Period>
  cv_status wait_for(std::unique_lock<mutex>& lock, const std::chrono::duration<Rep, Period>& span) {
    return detail::wait(state_, lock.mutex()->state_, detail::deadline_after(span)) ? cv_status::no_timeout : cv_status::timeout;
  }
  /// Waits until `satisfied()`, so long at most. Returns what `satisfied()` said last.
  template <class Rep, class Period, class Predicate>
  bool wait_for(std::unique_lock<mutex>& lock, const std::chrono::duration<Rep, Period>& span, Predicate satisfied) {
    const detail::deadline when = detail::deadline_after(span);
    while (!satisfied())
      if (!detail::wait(state_, lock.mutex()->state_, when)) return satisfied();
    return true;
  }

  // As std has it for condition_variable_any. False: stop was requested, or the time was up, before the predicate held.

  /// Waits until `satisfied()`, or stop is requested.
  template <class Predicate>
  bool wait(std::unique_lock<mutex>& lock, const std::stop_token& stop, Predicate satisfied) {
    while (!satisfied())
      if (!detail::wait(state_, lock.mutex()->state_, detail::patience(stop))) return satisfied();
    return true;
  }
  /// The same, until then at most.
  template <class Clock, class Duration, class Predicate>
  bool wait_until(std::unique_lock<mutex>& lock, const std::stop_token& stop, const std::chrono::time_point<Clock, Duration>& when, Predicate satisfied) {
    while (!satisfied())
      if (!detail::until(when, [&](detail::deadline d) { return detail::wait(state_, lock.mutex()->state_, {d, stop}); }, stop)) return satisfied();
    return true;
  }
  /// The same, so long at most.
  template <class Rep, class Period, class Predicate>
  bool wait_for(std::unique_lock<mutex>& lock, const std::stop_token& stop, const std::chrono::duration<Rep, Period>& span, Predicate satisfied) {
    const detail::deadline when = detail::deadline_after(span);
    while (!satisfied())
      if (!detail::wait(state_, lock.mutex()->state_, {when, stop})) return satisfied();
    return true;
  }

 private:
  detail::condition_state state_;
};

/// std::condition_variable_any: with whatever has lock() and unlock(). Waits with a stop token end when stop is requested.
class condition_variable_any {
 public:
  condition_variable_any() = default;
  condition_variable_any(const condition_variable_any&) = delete;
  condition_variable_any& operator=(const condition_variable_any&) = delete;

  /// Wakes one that waits, if any does. The lock need not be held.
  void notify_one() noexcept {
    const std::lock_guard hold(inner_->lock);
    inner_->changed.notify_one();
  }
  /// Wakes all that wait. The lock need not be held.
  void notify_all() noexcept {
    const std::lock_guard hold(inner_->lock);
    inner_->changed.notify_all();
  }

  /// Gives the lock up, waits to be notified, and takes the lock again.
  template <class Lock>
  void wait(Lock& lock) {
    (void)wait_inside(lock, [](condition_variable& changed, std::unique_lock<mutex>& hold) {
      changed.wait(hold);
      return cv_status::no_timeout;
    });
  }
  /// Waits until `satisfied()`, which is called with the lock held.
  template <class Lock, class Predicate>
  void wait(Lock& lock, Predicate satisfied) {
    while (!satisfied()) wait(lock);
  }
  /// Waits to be notified, until then at most. `timeout`: that time has come.
  template <class Lock, class Clock, class Duration>
  cv_status wait_until(Lock& lock, const std::chrono::time_point<Clock, Duration>& when) {
    return wait_inside(lock, [&when](condition_variable& changed, std::unique_lock<mutex>& hold) { return changed.wait_until(hold, when); });
  }
  /// Waits until `satisfied()`, until then at most. Returns what `satisfied()` said last.
  template <class Lock, class Clock, class Duration, class Predicate>
  bool wait_until(Lock& lock, const std::chrono::time_point<Clock, Duration>& when, Predicate satisfied) {
    while (!satisfied())
      if (wait_until(lock, when) == cv_status::timeout) return satisfied();
    return true;
  }
  /// Waits to be notified, so long at most. `timeout`: the time is up.
  template <class Lock, class Rep, class Period>
  cv_status wait_for(Lock& lock, const std::chrono::duration<Rep, Period>& span) {
    return wait_until(lock, steady_after(span));
  }
  /// Waits until `satisfied()`, so long at most. Returns what `satisfied()` said last.
  template <class Lock, class Rep, class Period, class Predicate>
  bool wait_for(Lock& lock, const std::chrono::duration<Rep, Period>& span, Predicate satisfied) {
    return wait_until(lock, steady_after(span), std::move(satisfied));
  }

  /// False: stop was requested before the predicate held.
  template <class Lock, class Predicate>
  bool wait(Lock& lock, std::stop_token stop, Predicate satisfied) {
    const std::stop_callback wake(stop, [inner = inner_] { notify(*inner); });
    while (!satisfied()) {
      const cv_status ended = wait_inside(lock, [&stop](condition_variable& changed, std::unique_lock<mutex>& hold) {
        if (stop.stop_requested()) return cv_status::timeout;  // looked at under the lock that its callback takes
        changed.wait(hold);
        return cv_status::no_timeout;
      });
      if (ended == cv_status::timeout) return satisfied();
    }
    return true;
  }
  /// False: stop was requested, or that time came, before the predicate held.
  template <class Lock, class Clock, class Duration, class Predicate>
  bool wait_until(Lock& lock, std::stop_token stop, const std::chrono::time_point<Clock, Duration>& when, Predicate satisfied) {
    const std::stop_callback wake(stop, [inner = inner_] { notify(*inner); });
    while (!satisfied()) {
      const cv_status ended = wait_inside(lock, [&](condition_variable& changed, std::unique_lock<mutex>& hold) {
        return stop.stop_requested() ? cv_status::timeout : changed.wait_until(hold, when);
      });
      if (ended == cv_status::timeout) return satisfied();
    }
    return true;
  }
  /// False: stop was requested, or the time was up, before the predicate held.
  template <class Lock, class Rep, class Period, class Predicate>
  bool wait_for(Lock& lock, std::stop_token stop, const std::chrono::duration<Rep, Period>& span, Predicate satisfied) {
    return wait_until(lock, std::move(stop), steady_after(span), std::move(satisfied));
  }

 private:
  struct inside {
    mutex lock;
    condition_variable changed;
  };
  static void notify(inside& inner) {
    const std::lock_guard hold(inner.lock);
    inner.changed.notify_all();
  }
  template <class Rep, class Period>
  static std::chrono::steady_clock::time_point steady_after(const std::chrono::duration<Rep, Period>& span) {
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(detail::deadline_after(span)));
  }
  /// The caller's lock is given up, while `inner` is held, and taken again when that has been let go of.
  template <class Lock>
  class given_up {
   public:
    explicit given_up(Lock& lock) : lock_(lock) { lock_.unlock(); }
    ~given_up() { lock_.lock(); }
    given_up(const given_up&) = delete;
    given_up& operator=(const given_up&) = delete;

   private:
    Lock& lock_;
  };
  template <class Lock, class Wait>
  cv_status wait_inside(Lock& lock, Wait wait) {
    const std::shared_ptr<inside> inner = inner_;  // who was notified may find the condition destroyed
    std::unique_lock ours(inner->lock);
    const given_up<Lock> out(lock);
    std::unique_lock hold(std::move(ours));  // let go of before the caller's lock is taken again
    return wait(inner->changed, hold);
  }

  std::shared_ptr<inside> inner_ = std::make_shared<inside>();
};

}  // namespace weft
