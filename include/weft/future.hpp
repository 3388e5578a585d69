// SPDX-License-Identifier: BSL-1.0
// Futures as in <future>: a result that one provides and others wait for.
//
// Who may call: threads, fibers and kernel threads alike, on both ends of the same result. One that waits is parked; a kernel thread sleeps in
// the kernel. As in std, one future object is for one caller at a time; a shared_future is copied for each.
// Errors: std::future_error with std::future_errc's codes, no_state also where the standard leaves a future without a state undefined.
// Cost: one allocation for each result, about 50 ns to provide and take it where nobody has to wait.
#pragma once
#include <future>
#include <optional>
#include <tuple>

#include "weft/detail/future_state.hpp"
#include "weft/thread.hpp"

namespace weft {

using std::future_category;
using std::future_errc;
using std::future_error;
using std::future_status;
using std::launch;

template <class R>
class future;
template <class R>
class shared_future;
template <class R>
class promise;

namespace detail {

/// What future and shared_future have in common.
template <class R>
class future_base {
  static_assert(std::is_void_v<R> || std::is_lvalue_reference_v<R> || (std::is_object_v<R> && !std::is_array_v<R> && std::is_destructible_v<R>),
                "weft: a future is of an object type that can be destroyed, of a reference, or of void");

 public:
  [[nodiscard]] bool valid() const noexcept { return static_cast<bool>(state_); }
  /// Waits for the result. A deferred function runs here, in the first call.
  void wait() const { state_.checked().wait(); }
  /// The same, until stop is requested at most. True if the result is there.
  [[nodiscard]] bool wait(const std::stop_token& stop) const {
    return state_.checked().wait([&stop](condition_variable& changed, std::unique_lock<mutex>& hold, auto is_ready) { return changed.wait(hold, stop, is_ready); });
  }
  /// Waits so long at most, or until stop is requested, which is a timeout, too. A deferred function that nobody has begun does not begin: the answer is future_status::deferred, at once.
  template <class Rep, class Period>
  future_status wait_for(const std::chrono::duration<Rep, Period>& span, const std::stop_token& stop = {}) const {
    return state_.checked().wait_timed(
        [&](condition_variable& changed, std::unique_lock<mutex>& hold, auto is_ready) { return changed.wait_for(hold, stop, span, is_ready); });
  }
  template <class Clock, class Duration>
  future_status wait_until(const std::chrono::time_point<Clock, Duration>& when, const std::stop_token& stop = {}) const {
    return state_.checked().wait_timed(
        [&](condition_variable& changed, std::unique_lock<mutex>& hold, auto is_ready) { return changed.wait_until(hold, stop, when, is_ready); });
  }

 protected:
  future_base() noexcept = default;
  explicit future_base(state_ref<state_of<R>> state) noexcept : state_(std::move(state)) {}
  state_ref<state_of<R>> state_;
};

/// For who makes futures: promise, packaged_task, async.
template <class R>
future<R> future_on(state_ref<state_of<R>> state) noexcept {
  return future<R>(std::move(state));
}

/// What promise and packaged_task have in common: a state that is abandoned at the end.
template <class R, class State>
class provider {
 public:
  /// The one future of this result. Throws future_error: no_state, future_already_retrieved.
  [[nodiscard]] future<R> get_future() {
    state_.checked().retrieve();
    return future_on<R>(state_);
  }

 protected:
  provider() noexcept = default;
  explicit provider(state_ref<State> state) noexcept : state_(std::move(state)) {}
  provider(provider&&) noexcept = default;
  provider& operator=(provider&& from) noexcept {
    provider(std::move(from)).swap_with(*this);
    return *this;
  }
  ~provider() {
    if (state_) state_->abandon();
  }
  void swap_with(provider& other) noexcept { std::swap(state_, other.state_); }
  /// For the time of a call: whoever waits for the result may destroy the provider as soon as it is there.
  [[nodiscard]] state_ref<State> kept() const {
    (void)state_.checked();
    return state_;
  }
  state_ref<State> state_;
};

/// A promise but for its set_value, which depends on what is promised.
template <class R>
class promise_base : public provider<R, state_of<R>> {
  using base = provider<R, state_of<R>>;

 public:
  promise_base() : promise_base(std::allocator_arg, std::allocator<char>()) {}
  template <class Allocator>
  promise_base(std::allocator_arg_t, const Allocator& memory)
      : base(allocated<state_of<R>, Allocator>::make(memory, stage_of_result::empty)) {}

  void set_exception(std::exception_ptr error) { this->kept()->provide_exception(when::now, std::move(error)); }
  void set_exception_at_thread_exit(std::exception_ptr error) { this->kept()->provide_exception(when::caller_ends, std::move(error)); }

 protected:
  using when = future_state::ready_when;
  template <class... From>
  void store(when ready, From&&... from) {
    const auto state = this->kept();
    state->provide(ready, [&] { state->write(std::forward<From>(from)...); });
  }
};

}  // namespace detail

/// std::future. The one of an async call with launch::async waits for the end of its thread when it is destroyed.
template <class R>
class future : public detail::future_base<R> {
 public:
  future() noexcept = default;
  /// `from` refers to nothing afterwards.
  future(future&&) noexcept = default;
  /// What it referred to before is let go.
  future& operator=(future&&) noexcept = default;
  future(const future&) = delete;
  future& operator=(const future&) = delete;

  /// Waits; gives the value away, or throws the exception that was stored. The future is not valid afterwards.
  R get() {
    (void)this->state_.checked();
    const auto state = std::move(this->state_);
    if constexpr (std::is_object_v<R>) return std::move(state->result());
    else return state->result();
  }
  /// The same result, for several. The future is not valid afterwards.
  [[nodiscard]] shared_future<R> share() noexcept { return shared_future<R>(std::move(*this)); }

 private:
  friend class shared_future<R>;
  friend future detail::future_on<R>(detail::state_ref<detail::state_of<R>>) noexcept;
  explicit future(detail::state_ref<detail::state_of<R>> state) noexcept : detail::future_base<R>(std::move(state)) {}
};

/// std::shared_future.
template <class R>
class shared_future : public detail::future_base<R> {
 public:
  shared_future() noexcept = default;
  /// Another one of the same result.
  shared_future(const shared_future&) noexcept = default;
  /// `from` refers to nothing afterwards.
  shared_future(shared_future&&) noexcept = default;
  /// As future::share.
  shared_future(future<R>&& from) noexcept : detail::future_base<R>(std::move(from.state_)) {}  // implicit, as in std
  /// Another one of the same result; what it referred to before is let go.
  shared_future& operator=(const shared_future&) noexcept = default;
  /// What it referred to before is let go.
  shared_future& operator=(shared_future&&) noexcept = default;

  /// Waits; the value itself, const, which lives as long as a future or provider of it; or throws the exception that was stored.
  std::conditional_t<std::is_object_v<R>, std::add_lvalue_reference_t<std::add_const_t<R>>, R> get() const { return this->state_.checked().result(); }
};

/// std::promise. Destroyed without a result, it leaves future_error: broken_promise.
/// All that stores a result never waits for a future, and throws future_error (no_state, promise_already_satisfied) or what copying throws, in
/// which case nothing is stored. `at_thread_exit`: the result is stored now, and ready when the calling thread or fiber has ended, its
/// thread_local variables destroyed.
template <class R>
class promise : public detail::promise_base<R> {
  using typename detail::promise_base<R>::when;

 public:
  using detail::promise_base<R>::promise_base;
  /// Exchanges what they refer to.
  void swap(promise& other) noexcept { this->swap_with(other); }
  /// Exchanges what they refer to.
  friend void swap(promise& a, promise& b) noexcept { a.swap(b); }

  /// Stores the result and makes it ready.
  void set_value(const R& value) { this->store(when::now, value); }
  /// Stores the result and makes it ready.
  void set_value(R&& value) { this->store(when::now, std::move(value)); }
  /// Stores the result now; it is ready when the caller has ended.
  void set_value_at_thread_exit(const R& value) { this->store(when::caller_ends, value); }
  /// Stores the result now; it is ready when the caller has ended.
  void set_value_at_thread_exit(R&& value) { this->store(when::caller_ends, std::move(value)); }
};

/// For a reference: the object stays the provider's.
template <class R>
class promise<R&> : public detail::promise_base<R&> {
  using typename detail::promise_base<R&>::when;

 public:
  using detail::promise_base<R&>::promise_base;
  /// Exchanges what they refer to.
  void swap(promise& other) noexcept { this->swap_with(other); }
  /// Exchanges what they refer to.
  friend void swap(promise& a, promise& b) noexcept { a.swap(b); }

  /// Stores the result and makes it ready.
  void set_value(R& object) { this->store(when::now, object); }
  /// Stores the result now; it is ready when the caller has ended.
  void set_value_at_thread_exit(R& object) { this->store(when::caller_ends, object); }
};

/// For nothing but the news.
template <>
class promise<void> : public detail::promise_base<void> {
 public:
  using promise_base::promise_base;
  /// Exchanges what they refer to.
  void swap(promise& other) noexcept { swap_with(other); }
  /// Exchanges what they refer to.
  friend void swap(promise& a, promise& b) noexcept { a.swap(b); }

  /// Stores the result and makes it ready.
  void set_value() { store(when::now); }
  /// Stores the result now; it is ready when the caller has ended.
  void set_value_at_thread_exit() { store(when::caller_ends); }
};

namespace detail {

/// The result of a function that is called once, with the function itself.
template <class R, class... Arguments>
class task_state : public state_of<R> {
 public:
  using state_of<R>::state_of;
  virtual void run(future_state::ready_when when, Arguments... arguments) = 0;
  /// A fresh state with the same function; this one loses it.
  virtual state_ref<task_state> renew() = 0;
};

template <class F, class R, class... Arguments>
class task_state_with : public task_state<R, Arguments...> {
 public:
  template <class From>
  explicit task_state_with(From&& f) : task_state<R, Arguments...>(stage_of_result::empty), f_(std::forward<From>(f)) {}
  void run(future_state::ready_when when, Arguments... arguments) override {
    this->provide_or_catch(when, [&] { this->write_result_of(f_, std::forward<Arguments>(arguments)...); });
  }
  state_ref<task_state<R, Arguments...>> renew() override { return make(std::move(f_)); }
  template <class From>
  static state_ref<task_state_with> make(From&& f) {
    return allocated<task_state_with, std::allocator<char>>::make({}, std::forward<From>(f));
  }

 private:
  F f_;
};

template <class>
struct signature_of;
template <class R, class T, class... Arguments>
struct signature_of<R (T::*)(Arguments...)> : std::type_identity<R(Arguments...)> {};
template <class R, class T, class... Arguments>
struct signature_of<R (T::*)(Arguments...) const> : std::type_identity<R(Arguments...)> {};
template <class R, class T, class... Arguments>
struct signature_of<R (T::*)(Arguments...)&> : std::type_identity<R(Arguments...)> {};
template <class R, class T, class... Arguments>
struct signature_of<R (T::*)(Arguments...) const&> : std::type_identity<R(Arguments...)> {};
template <class R, class T, class... Arguments>
struct signature_of<R (T::*)(Arguments...) noexcept> : std::type_identity<R(Arguments...)> {};
template <class R, class T, class... Arguments>
struct signature_of<R (T::*)(Arguments...) const noexcept> : std::type_identity<R(Arguments...)> {};
template <class R, class T, class... Arguments>
struct signature_of<R (T::*)(Arguments...)& noexcept> : std::type_identity<R(Arguments...)> {};
template <class R, class T, class... Arguments>
struct signature_of<R (T::*)(Arguments...) const& noexcept> : std::type_identity<R(Arguments...)> {};

}  // namespace detail

/// std::packaged_task.
template <class Signature>
class packaged_task;
/// A function and the result of its one call.
template <class R, class... Arguments>
class packaged_task<R(Arguments...)> : public detail::provider<R, detail::task_state<R, Arguments...>> {
  using base = detail::provider<R, detail::task_state<R, Arguments...>>;
  using when = detail::future_state::ready_when;

 public:
  packaged_task() noexcept = default;
  /// Keeps a copy of `f`. Throws std::bad_alloc, or what copying throws.
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, packaged_task> && std::is_invocable_r_v<R, std::decay_t<F>&, Arguments...>)
  explicit packaged_task(F&& f) : base(detail::task_state_with<std::decay_t<F>, R, Arguments...>::make(std::forward<F>(f))) {}
  /// `from` refers to nothing afterwards.
  packaged_task(packaged_task&&) noexcept = default;
  /// What it referred to before is let go.
  packaged_task& operator=(packaged_task&&) noexcept = default;
  packaged_task(const packaged_task&) = delete;
  packaged_task& operator=(const packaged_task&) = delete;

  /// Is there a function?
  [[nodiscard]] bool valid() const noexcept { return static_cast<bool>(this->state_); }
  /// Exchanges what they refer to.
  void swap(packaged_task& other) noexcept { this->swap_with(other); }
  /// Exchanges what they refer to.
  friend void swap(packaged_task& a, packaged_task& b) noexcept { a.swap(b); }

  /// Calls the function and stores what it returns or throws. Throws future_error: no_state, promise_already_satisfied.
  void operator()(Arguments... arguments) { this->kept()->run(when::now, std::forward<Arguments>(arguments)...); }
  /// The same; ready when the calling thread or fiber has ended, its thread_local variables destroyed.
  void make_ready_at_thread_exit(Arguments... arguments) { this->kept()->run(when::caller_ends, std::forward<Arguments>(arguments)...); }
  /// The function can be called once more, for a new future. The old one is abandoned. Throws future_error (no_state), std::bad_alloc.
  void reset() {
    auto fresh = this->state_.checked().renew();
    this->state_->abandon();
    this->state_ = std::move(fresh);
  }
};

/// The function's own signature.
template <class R, class... Arguments>
packaged_task(R (*)(Arguments...)) -> packaged_task<R(Arguments...)>;
/// The signature of its call operator.
template <class F, class Signature = typename detail::signature_of<decltype(&F::operator())>::type>
packaged_task(F) -> packaged_task<Signature>;

namespace detail {

/// The result of a call that a thread of its own makes, or whoever waits first.
template <class R, class F, class... Arguments>
class async_state : public state_of<R> {
 public:
  template <class... From>
  explicit async_state(stage_of_result first, From&&... from) : state_of<R>(first), call_(std::in_place, std::forward<From>(from)...) {}

  /// Throws std::system_error if no thread can be started.
  void start() {
    thread([this] {
      write_result();
      this->finish_at_exit_unkept();
    }).detach();
    on_thread_ = true;
  }
  void defer() noexcept { this->turn(stage_of_result::deferred); }
  void before_destruction() noexcept {
    if (on_thread_) this->wait_for_thread();
  }

 private:
  void write_deferred() noexcept override { write_result(); }
  void write_result() noexcept {
    auto write = [this] {
      std::apply([this](auto&... parts) { this->write_result_of(std::move(parts)...); }, *call_);
    };
    this->write_or_catch(write);
    call_.reset();
  }

  std::optional<std::tuple<F, Arguments...>> call_;
  bool on_thread_ = false;
};

}  // namespace detail

/// std::async. launch::async: calls `f` on a weft::thread, whose end the future waits for when it is ready, and when it is destroyed. Throws
/// std::system_error (resource_unavailable_try_again) if there is no thread to be had, unless `policy` allows launch::deferred, too: whoever
/// waits first calls `f` then. The copies of `f` and of the arguments are destroyed before the result is ready.
template <class F, class... Arguments>
[[nodiscard]] future<std::invoke_result_t<std::decay_t<F>, std::decay_t<Arguments>...>> async(launch policy, F&& f, Arguments&&... arguments) {
  using result = std::invoke_result_t<std::decay_t<F>, std::decay_t<Arguments>...>;
  using state = detail::async_state<result, std::decay_t<F>, std::decay_t<Arguments>...>;
  using detail::stage_of_result;
  const bool on_thread = (policy & launch::async) == launch::async;
  const auto made = detail::allocated<state, std::allocator<char>>::make({}, on_thread ? stage_of_result::writing : stage_of_result::deferred,
                                                                         std::forward<F>(f), std::forward<Arguments>(arguments)...);
  if (on_thread) {
    try {
      made->start();
    } catch (const std::system_error& error) {
      if ((policy & launch::deferred) != launch::deferred || error.code() != std::errc::resource_unavailable_try_again) throw;
      made->defer();
    }
  }
  return detail::future_on<result>(made);
}
/// With both policies: on a thread, if there is one to be had.
template <class F, class... Arguments>
  requires(!std::is_same_v<std::remove_cvref_t<F>, launch>)
[[nodiscard]] future<std::invoke_result_t<std::decay_t<F>, std::decay_t<Arguments>...>> async(F&& f, Arguments&&... arguments) {
  return weft::async(launch::async | launch::deferred, std::forward<F>(f), std::forward<Arguments>(arguments)...);
}

}  // namespace weft

template <class R, class Allocator>
struct std::uses_allocator<weft::promise<R>, Allocator> : std::true_type {};
