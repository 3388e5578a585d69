// SPDX-License-Identifier: BSL-1.0
// What a promise and its futures share: a result, and who waits for it. One allocation, counted references. Not for programs.
//
//   deferred -> writing          by the first one who waits: it runs the function
//   empty -> writing             by the one provider that may store a result
//   writing -> stored -> ready   the result waits for the end of a thread
//   writing -> ready             the result is there
//   writing -> empty             the result could not be stored: its copy threw
// I1  `writing` has one owner, who alone touches the result; nobody writes it later. No code of the program runs under the lock.
// I2  `ready` is set under the lock, and the lock is let go of last: who has had the lock since may destroy the state.
// Rejected: std::call_once for the first result (a second provider would wait in it while a copy constructor runs).
#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "weft/condition_variable.hpp"
#include "weft/detail/strand.hpp"

namespace weft::detail {

enum class stage_of_result : std::uint8_t { deferred, empty, writing, stored, ready };

[[noreturn]] inline void throw_future_error(std::future_errc why) { throw std::future_error(why); }

class future_state {
 public:
  using stage = stage_of_result;

  explicit future_state(stage first) noexcept : stage_(first) {}
  future_state(const future_state&) = delete;
  future_state& operator=(const future_state&) = delete;

  void keep() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void drop() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }

  [[nodiscard]] bool is_ready() const noexcept { return at() == stage::ready; }

  /// Waits for the result. A deferred function runs here.
  void wait() {
    if (is_ready() || run_if_deferred()) return;
    wait_for_thread();
  }
  /// The same, as far as `wait(condition, lock, predicate)` waits. True if the result is there.
  template <class Wait>
  bool wait(Wait wait) {
    if (is_ready() || run_if_deferred()) return true;
    std::unique_lock hold(lock_);
    return wait(changed_, hold, [this] { return is_ready(); });
  }
  /// The same for a deadline: `timed_wait(condition, lock, predicate)` tells whether the predicate holds.
  template <class TimedWait>
  std::future_status wait_timed(TimedWait timed_wait) {
    if (is_ready()) return std::future_status::ready;
    if (at() == stage::deferred) return std::future_status::deferred;
    std::unique_lock hold(lock_);
    return timed_wait(changed_, hold, [this] { return is_ready(); }) ? std::future_status::ready : std::future_status::timeout;
  }

  /// Only one future may be made of a provider's state. Throws future_already_retrieved.
  void retrieve() {
    if (retrieved_.exchange(true, std::memory_order_relaxed)) throw_future_error(std::future_errc::future_already_retrieved);
  }

  enum class ready_when : bool { now, caller_ends };
  /// Stores what `write` makes, if nothing is stored: if not, throws promise_already_satisfied. What `write` throws is passed on.
  template <class Write>
  void provide(ready_when when, Write write) {
    if (!begin_writing(stage::empty)) throw_future_error(std::future_errc::promise_already_satisfied);
    try {
      write();
    } catch (...) {
      turn(stage::empty);
      throw;
    }
    finish(when);
  }
  /// Stores what `write` makes, or the exception that it throws.
  template <class Write>
  void provide_or_catch(ready_when when, Write write) {
    if (!begin_writing(stage::empty)) throw_future_error(std::future_errc::promise_already_satisfied);
    write_or_catch(write);
    finish(when);
  }
  void provide_exception(ready_when when, std::exception_ptr error) {
    provide(when, [&] { error_ = std::move(error); });
  }
  /// The provider goes: if nothing is stored, nothing will be.
  void abandon() noexcept {
    if (!begin_writing(stage::empty)) return;
    error_ = std::make_exception_ptr(std::future_error(std::future_errc::broken_promise));
    turn(stage::ready);
  }

 protected:
  virtual ~future_state() = default;

  [[nodiscard]] stage at() const noexcept { return stage_.load(std::memory_order_acquire); }  // acquire: the result, see turn
  void rethrow_error() const {
    if (error_ != nullptr) std::rethrow_exception(error_);
  }
  [[nodiscard]] bool holds_value() const noexcept {
    const stage now = at();
    return error_ == nullptr && (now == stage::stored || now == stage::ready);
  }
  template <class Write>
  void write_or_catch(Write& write) noexcept {
    try {
      write();
    } catch (...) {
      error_ = std::current_exception();
    }
  }
  /// Until the result is ready and its provider has let go of the lock (I2).
  void wait_for_thread() {
    std::unique_lock hold(lock_);
    changed_.wait(hold, [this] { return is_ready(); });
  }
  void turn(stage to) noexcept {
    const std::lock_guard hold(lock_);
    stage_.store(to, std::memory_order_release);  // release: who sees it without the lock sees the result
    changed_.notify_all();
  }
  /// For allocated: waits for whoever still works on the state without a reference.
  void before_destruction() noexcept {}
  /// As finish(caller_ends), but the state is known to live until then.
  void finish_at_exit_unkept() noexcept {
    turn(stage::stored);
    at_exit_.run = [](exit_action* a) { static_cast<end_of_thread*>(a)->state->turn(stage::ready); };
    at_exit_of_caller(at_exit_);
  }

 private:
  struct end_of_thread : exit_action {
    future_state* state;
  };

  /// The last reference has gone.
  virtual void destroy() noexcept = 0;
  /// For a deferred function: stores its outcome.
  virtual void write_deferred() noexcept {}

  bool run_if_deferred() {
    if (at() != stage::deferred || !begin_writing(stage::deferred)) return false;
    write_deferred();
    turn(stage::ready);
    return true;
  }
  /// True: the caller owns the result. False: it has been stored, or taken over, before.
  bool begin_writing(stage from) noexcept {
    for (;;) {
      stage seen = from;
      if (stage_.compare_exchange_strong(seen, stage::writing, std::memory_order_acquire)) return true;
      if (seen != stage::writing || from == stage::deferred) return false;
      std::unique_lock hold(lock_);  // another one writes, and may fail
      changed_.wait(hold, [this] { return at() != stage::writing; });
    }
  }
  void finish(ready_when when) noexcept {
    if (when == ready_when::now) return turn(stage::ready);
    keep();
    turn(stage::stored);
    at_exit_.run = [](exit_action* a) {
      future_state* const state = static_cast<end_of_thread*>(a)->state;
      state->turn(stage::ready);
      state->drop();
    };
    at_exit_of_caller(at_exit_);
  }

  std::atomic<std::uint32_t> references_{1};
  std::atomic<bool> retrieved_{false};
  std::atomic<stage> stage_;
  mutex lock_;
  condition_variable changed_;
  std::exception_ptr error_;
  end_of_thread at_exit_{{}, this};
};

/// Room for a value that is made later.
template <class T>
union late {
  late() noexcept {}
  ~late() {}
  T value;
};

template <class R, class F, class... Arguments>
R invoke_as(F&& f, Arguments&&... arguments) {
  if constexpr (std::is_void_v<R>)
    std::invoke(std::forward<F>(f), std::forward<Arguments>(arguments)...);
  else
    return std::invoke(std::forward<F>(f), std::forward<Arguments>(arguments)...);
}

/// A state with room for an R, an R& or nothing.
template <class R>
class state_of : public future_state {
 public:
  using future_state::future_state;

  /// [writing]
  template <class... From>
  void write(From&&... from) {
    if constexpr (std::is_reference_v<R>) result_.value = (std::addressof(from), ...);
    else if constexpr (!std::is_void_v<R>) ::new (static_cast<void*>(std::addressof(result_.value))) R(std::forward<From>(from)...);
  }
  /// [writing] Straight into the place, without a move.
  template <class F, class... Arguments>
  void write_result_of(F&& f, Arguments&&... arguments) {
    if constexpr (std::is_void_v<R>) {
      invoke_as<R>(std::forward<F>(f), std::forward<Arguments>(arguments)...);
    } else if constexpr (std::is_reference_v<R>) {
      R made = invoke_as<R>(std::forward<F>(f), std::forward<Arguments>(arguments)...);
      result_.value = std::addressof(made);
    } else {
      ::new (static_cast<void*>(std::addressof(result_.value))) R(invoke_as<R>(std::forward<F>(f), std::forward<Arguments>(arguments)...));
    }
  }
  /// Waits; the value, or the exception thrown.
  std::add_lvalue_reference_t<R> result() {
    wait();
    rethrow_error();
    if constexpr (std::is_reference_v<R>) return *result_.value;
    else if constexpr (!std::is_void_v<R>) return result_.value;
  }

 protected:
  ~state_of() override {
    if constexpr (std::is_object_v<R>)
      if (holds_value()) result_.value.~R();
  }

 private:
  using kept = std::conditional_t<std::is_object_v<R>, R, std::conditional_t<std::is_void_v<R>, char, std::remove_reference_t<R>*>>;
  late<kept> result_;
};

/// A counted reference.
template <class State>
class state_ref {
 public:
  state_ref() noexcept = default;
  explicit state_ref(State* taken_over) noexcept : state_(taken_over) {}
  state_ref(const state_ref& from) noexcept : state_(from.state_) {
    if (state_ != nullptr) state_->keep();
  }
  template <class Derived>
    requires std::is_convertible_v<Derived*, State*>
  state_ref(const state_ref<Derived>& from) noexcept : state_(from.get()) {  // implicit: as pointers
    if (state_ != nullptr) state_->keep();
  }
  state_ref(state_ref&& from) noexcept : state_(std::exchange(from.state_, nullptr)) {}
  state_ref& operator=(state_ref from) noexcept {
    std::swap(state_, from.state_);
    return *this;
  }
  ~state_ref() {
    if (state_ != nullptr) state_->drop();
  }
  [[nodiscard]] State* get() const noexcept { return state_; }
  State* operator->() const noexcept { return state_; }
  explicit operator bool() const noexcept { return state_ != nullptr; }
  /// The state. Throws future_error: no_state.
  [[nodiscard]] State& checked() const {
    if (state_ == nullptr) throw_future_error(std::future_errc::no_state);
    return *state_;
  }

 private:
  State* state_ = nullptr;
};

/// A state in memory of an allocator, which it takes along.
template <class State, class Allocator>
class allocated final : public State {
 public:
  using own_allocator = typename std::allocator_traits<Allocator>::template rebind_alloc<allocated>;

  template <class... From>
  static state_ref<State> make(const Allocator& from, From&&... arguments) {
    own_allocator memory(from);
    using traits = std::allocator_traits<own_allocator>;
    allocated* const place = std::to_address(traits::allocate(memory, 1));
    try {
      return state_ref<State>(::new (static_cast<void*>(place)) allocated(memory, std::forward<From>(arguments)...));
    } catch (...) {
      give_back(memory, place);
      throw;
    }
  }

 private:
  template <class... From>
  explicit allocated(const own_allocator& memory, From&&... arguments) : State(std::forward<From>(arguments)...), memory_(memory) {}
  ~allocated() override = default;

  static void give_back(own_allocator& memory, allocated* place) noexcept {
    using traits = std::allocator_traits<own_allocator>;
    traits::deallocate(memory, std::pointer_traits<typename traits::pointer>::pointer_to(*place), 1);
  }
  void destroy() noexcept override {
    State::before_destruction();
    own_allocator memory(std::move(memory_));
    this->~allocated();
    give_back(memory, this);
  }
  [[no_unique_address]] own_allocator memory_;
};

}  // namespace weft::detail
