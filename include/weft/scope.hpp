// SPDX-License-Identifier: BSL-1.0
// Scopes: threads that end before the block that started them does.
//
//   weft::scope all;                                   // or all(parent), all(stop token), all(deadline)
//   all.spawn([&] { fetch(a); });
//   all.spawn([&](std::stop_token stop) { poll(b, stop); });
//   weft::outcome<int> sum = all.submit([&] { return add(c); });
//   all.join();                                        // waits; rethrows the first exception of a child
//   use(sum.get());
//
// The first exception that leaves a child asks all others to stop, and is rethrown by join, or by the scope's end if nobody joined. A scope
// that is left by an exception asks its children to stop and waits for them. A child that does not look at its stop token is waited for.
// Stop requests and deadlines flow down: a scope made with a parent stops when that one does. Children may spawn more children.
// Who may call: threads, fibers and kernel threads; spawn and submit also in children, until the scope is joined.
#pragma once
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

#include "weft/condition_variable.hpp"
#include "weft/fiber.hpp"
#include "weft/thread.hpp"

namespace weft {

/// The result of a child that scope::submit started: a value once the scope has been joined without an exception.
template <class T>
class outcome {
 public:
  outcome() noexcept = default;
  /// False before the child has ended, and if an exception left it.
  [[nodiscard]] bool has_value() const noexcept { return value_ != nullptr && value_->has_value(); }
  /// After the join. Moves the value out; throws std::bad_optional_access if there is none.
  T get() { return std::move(*value_).value(); }

 private:
  friend class scope;
  std::shared_ptr<std::optional<T>> value_;
};

/// A block's threads and fibers: its end waits for theirs.
class scope {
 public:
  /// Deadlines are the steady clock's.
  using time_point = std::chrono::steady_clock::time_point;

  scope() : scope(std::stop_token(), time_point::max()) {}
  /// Children are asked to stop when `parent` is.
  explicit scope(const std::stop_token& parent) : scope(parent, time_point::max()) {}
  /// Children are asked to stop at that time.
  explicit scope(time_point deadline) : scope(std::stop_token(), deadline) {}
  /// Both; and the earlier of two deadlines.
  scope(const std::stop_token& parent, time_point deadline) : deadline_(deadline), on_parent_(parent, ask{&stop_}) {
    if (deadline != time_point::max()) watch_the_time();
  }
  /// Children are asked to stop when those of `parent` are, and at the earlier of two deadlines. `parent` must outlive the call only.
  explicit scope(const scope& parent, time_point deadline = time_point::max())
      : scope(parent.get_stop_token(), deadline < parent.deadline_ ? deadline : parent.deadline_) {}
  scope& operator=(const scope&) = delete;

  /// Joins, if nobody has. Rethrows unless an exception is under way: then it asks the children to stop first.
  ~scope() noexcept(false) {
    const bool unwinding = std::uncaught_exceptions() > exceptions_before_;
    if (unwinding) request_stop();
    wait();
    if (!unwinding && failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

  /// Starts a thread that invokes copies of `f` and `arguments`, with a std::stop_token before them if it takes one. Throws as
  /// thread's constructor does.
  template <class F, class... Arguments>
    requires detail::callable_for<F, spawn_options>
  void spawn(F&& f, Arguments&&... arguments) {
    start(spawn_options{}, false, std::forward<F>(f), std::forward<Arguments>(arguments)...);
  }
  /// The same, as the options say.
  template <class F, class... Arguments>
  void spawn(const spawn_options& options, F&& f, Arguments&&... arguments) {
    start(options, false, std::forward<F>(f), std::forward<Arguments>(arguments)...);
  }
  /// The same with a fiber.
  template <class F, class... Arguments>
    requires detail::callable_for<F, spawn_options>
  void spawn_fiber(F&& f, Arguments&&... arguments) {
    start(spawn_options{}, true, std::forward<F>(f), std::forward<Arguments>(arguments)...);
  }
  /// The same, as the options say.
  template <class F, class... Arguments>
  void spawn_fiber(const spawn_options& options, F&& f, Arguments&&... arguments) {
    start(options, true, std::forward<F>(f), std::forward<Arguments>(arguments)...);
  }
  /// spawn for what returns something.
  template <class F, class... Arguments>
  [[nodiscard]] auto submit(F&& f, Arguments&&... arguments) {
    using result = decltype(call(std::declval<std::decay_t<F>>(), std::declval<std::stop_token>(), std::declval<std::decay_t<Arguments>>()...));
    outcome<result> out;
    out.value_ = std::make_shared<std::optional<result>>();
    spawn([value = out.value_, f = std::decay_t<F>(std::forward<F>(f))](std::stop_token stop, std::decay_t<Arguments>... copies) mutable {
      value->emplace(call(std::move(f), std::move(stop), std::move(copies)...));
    }, std::forward<Arguments>(arguments)...);
    return out;
  }

  /// Waits for all children and rethrows the first exception that left one. Afterwards the scope may be used again.
  void join() {
    wait();
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }
  /// Asks the children to stop. Never waits.
  bool request_stop() noexcept { return stop_.request_stop(); }
  /// What its children are given. Never waits.
  [[nodiscard]] std::stop_token get_stop_token() const noexcept { return stop_.get_token(); }
  /// When its children are asked to stop; time_point::max() if never.
  [[nodiscard]] time_point get_deadline() const noexcept { return deadline_; }
  /// How many children have not ended.
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard hold(lock_);
    return children_;
  }

 private:
  struct ask {
    std::stop_source* stop;
    void operator()() const noexcept { stop->request_stop(); }
  };

  template <class F, class... Arguments>
  static decltype(auto) call(F&& f, std::stop_token stop, Arguments&&... arguments) {
    if constexpr (std::is_invocable_v<F, std::stop_token, Arguments...>)
      return std::invoke(std::forward<F>(f), std::move(stop), std::forward<Arguments>(arguments)...);
    else
      return std::invoke(std::forward<F>(f), std::forward<Arguments>(arguments)...);
  }

  template <class F, class... Arguments>
  void start(const spawn_options& options, bool as_fiber, F&& f, Arguments&&... arguments) {
    using parts_of_call = std::tuple<std::decay_t<F>, std::decay_t<Arguments>...>;
    auto body = [this, parts = std::optional<parts_of_call>(std::in_place, std::forward<F>(f), std::forward<Arguments>(arguments)...)]() mutable {
      std::exception_ptr failure;
      try {
        std::apply([this](auto&& function, auto&&... rest) { call(std::move(function), stop_.get_token(), std::move(rest)...); }, std::move(*parts));
      } catch (...) {
        failure = std::current_exception();
      }
      parts.reset();  // what the child was called with is gone before the scope hears of its end
      ended(std::move(failure));
    };
    {
      const std::lock_guard hold(lock_);
      ++children_;
    }
    try {
      spawn_options detached = options;
      detached.detached = true;
      (void)detail::spawn(detached, as_fiber, std::move(body));
    } catch (...) {
      ended(nullptr);
      throw;
    }
  }

  void ended(std::exception_ptr failure) noexcept {
    if (failure) {
      {
        const std::lock_guard hold(lock_);
        if (!failure_) failure_ = std::move(failure);
      }
      request_stop();
    }
    // Under the lock to the end: who sees that the last child has ended may destroy the scope when we have let go.
    const std::lock_guard hold(lock_);
    if (--children_ == 0) all_ended_.notify_all();
  }

  void wait() {
    std::unique_lock hold(lock_);
    all_ended_.wait(hold, [this] { return children_ == 0; });
    if (!watcher_.joinable()) return;
    over_ = true;
    time_up_.notify_all();
    hold.unlock();
    watcher_.join();
  }

  void watch_the_time() {
    watcher_ = fiber([this] {
      std::unique_lock hold(lock_);
      if (time_up_.wait_until(hold, deadline_, [this] { return over_; })) return;
      hold.unlock();
      request_stop();
    });
  }

  const int exceptions_before_ = std::uncaught_exceptions();
  const time_point deadline_;
  std::stop_source stop_;
  std::stop_callback<ask> on_parent_;
  mutable mutex lock_;
  condition_variable all_ended_, time_up_;
  std::size_t children_ = 0;
  bool over_ = false;
  std::exception_ptr failure_;
  fiber watcher_;
};

}  // namespace weft
