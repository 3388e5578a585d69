// SPDX-License-Identifier: BSL-1.0
// Threads as in <thread>: user-level threads with thread-local storage of their own, preempted, parked where they wait.
//
// Who may create and join them: threads, fibers and kernel threads alike. Cost: about 250 ns to create and join with warm stacks; a switch
// 30 ns; memory from 12 KiB for one that waits.
// What a thread runs on: one of a few kernel threads (carriers), not always the same. thread_local variables, errno and exceptions are its
// own. A call that blocks the kernel thread is noticed after about a millisecond, and others go on; weft::blocking announces it.
#pragma once
#include <compare>
#include <functional>
#include <memory>
#include <new>
#include <ostream>
#include <stop_token>
#include <system_error>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>

#include "weft/detail/strand.hpp"

namespace weft {

class thread;
class fiber;

namespace detail {

/// What std::thread makes of its arguments: copies, which the new strand invokes and destroys.
template <class F, class... Arguments>
class call {
 public:
  template <class... From>
  explicit call(From&&... from) : parts_(std::forward<From>(from)...) {}
  static void run(void* place) {
    auto* self = static_cast<call*>(place);
    const std::unique_ptr<call, destroyer> owner(self);
    std::apply([](auto&&... parts) { std::invoke(std::move(parts)...); }, std::move(self->parts_));
  }

 private:
  struct destroyer {
    void operator()(call* c) const noexcept { c->~call(); }
  };
  std::tuple<F, Arguments...> parts_;
};

template <class F, class... Arguments>
strand_handle* spawn(const spawn_options& options, bool fiber, F&& f, Arguments&&... arguments) {
  using made = call<std::decay_t<F>, std::decay_t<Arguments>...>;
  static_assert(std::is_invocable_v<std::decay_t<F>, std::decay_t<Arguments>...>, "weft: the arguments must be invocable after conversion to rvalues");
  const prepared p = prepare(options, fiber, sizeof(made), alignof(made));
  if (p.strand == nullptr)
    throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again), "weft: a thread cannot be started");
  struct undo {
    strand_handle* strand;
    ~undo() {
      if (strand != nullptr) abandon(strand);
    }
  } guard{p.strand};
  auto* callable = new (p.place) made(std::forward<F>(f), std::forward<Arguments>(arguments)...);
  try {
    start(p.strand, made::run);
  } catch (...) {
    callable->~made();
    throw;
  }
  guard.strand = nullptr;
  return options.detached ? nullptr : p.strand;
}

/// What threads and fibers have in common: a name for something that runs, to be joined or detached.
class joinable_handle {
 public:
  /// Names a thread, also after its end: numbers are not used again. A default one names none.
  class id {
   public:
    constexpr id() noexcept = default;
    /// Do they name the same thread, or both none?
    friend bool operator==(id, id) noexcept = default;
    /// In order of creation; none is first.
    friend std::strong_ordering operator<=>(id, id) noexcept = default;
    /// Writes the number, or that it names none.
    template <class Character, class Traits>
    friend std::basic_ostream<Character, Traits>& operator<<(std::basic_ostream<Character, Traits>& out, id which) {
      if (which.number_ == 0) return out << "weft::thread::id of none";
      return out << which.number_;
    }
    /// For people and hashes.
    [[nodiscard]] constexpr std::uint64_t number() const noexcept { return number_; }
    /// For the library.
    constexpr explicit id(std::uint64_t number) noexcept : number_(number) {}

   private:
    std::uint64_t number_ = 0;
  };

  joinable_handle(const joinable_handle&) = delete;
  joinable_handle& operator=(const joinable_handle&) = delete;

  /// Is there something to join or detach?
  [[nodiscard]] bool joinable() const noexcept { return strand_ != nullptr; }
  /// Of what it names; the id of none if it is not joinable.
  [[nodiscard]] id get_id() const noexcept { return strand_ != nullptr ? id(number_of(strand_)) : id(); }

  /// Waits for the end. Throws std::system_error: invalid_argument if there is nothing to join, resource_deadlock_would_occur if it is
  /// the caller itself.
  void join() {
    check_join();
    (void)detail::join(std::exchange(strand_, nullptr), no_deadline);
  }
  /// The same, for so long at most, or until stop is requested. True if it has ended and was joined.
  template <class Rep, class Period>
  [[nodiscard]] bool join_for(const std::chrono::duration<Rep, Period>& span, const std::stop_token& stop = {}) {
    return join_by({deadline_after(span), stop});
  }
  /// The same, until then at most, or until stop is requested.
  template <class Clock, class Duration>
  [[nodiscard]] bool join_until(const std::chrono::time_point<Clock, Duration>& when, const std::stop_token& stop = {}) {
    return until(when, [&](deadline d) { return join_by({d, stop}); }, stop);
  }
  /// The same, until stop is requested at most. (The caller's: it has nothing to do with whether the one that is joined shall stop.)
  [[nodiscard]] bool join(const std::stop_token& stop) { return join_by(patience(stop)); }
  /// Nobody will join it: its memory goes back by itself. Throws std::system_error as join.
  void detach() {
    if (strand_ == nullptr) throw std::system_error(std::make_error_code(std::errc::invalid_argument));
    detail::detach(std::exchange(strand_, nullptr));
  }

  /// How many threads of the default runtime run at once.
  [[nodiscard]] static unsigned hardware_concurrency() noexcept { return parallelism(); }

 protected:
  joinable_handle() noexcept = default;
  explicit joinable_handle(strand_handle* strand) noexcept : strand_(strand) {}
  joinable_handle(joinable_handle&& from) noexcept : strand_(std::exchange(from.strand_, nullptr)) {}
  joinable_handle& operator=(joinable_handle&& from) noexcept {
    if (joinable()) std::terminate();
    strand_ = std::exchange(from.strand_, nullptr);
    return *this;
  }
  ~joinable_handle() {
    if (joinable()) std::terminate();
  }
  void swap_with(joinable_handle& other) noexcept { std::swap(strand_, other.strand_); }

 private:
  void check_join() const {
    if (strand_ == nullptr) throw std::system_error(std::make_error_code(std::errc::invalid_argument));
    if (is_caller(strand_)) throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur));
  }
  bool join_by(patience p) {
    check_join();
    if (!detail::join(strand_, p)) return false;
    strand_ = nullptr;
    return true;
  }
  strand_handle* strand_ = nullptr;
};

template <class T, class... Not>
concept callable_for = (!std::is_same_v<std::remove_cvref_t<T>, Not> && ...);

}  // namespace detail

/// std::thread.
class thread : public detail::joinable_handle {
 public:
  /// None; not joinable.
  thread() noexcept = default;
  /// Takes over what the other one names.
  thread(thread&&) noexcept = default;
  /// The same. The program ends (std::terminate) if this one is joinable; so it does where a joinable one is destroyed.
  thread& operator=(thread&&) noexcept = default;

  /// Starts a thread that invokes copies of `f` and `arguments`. An exception that leaves `f` ends the program (std::terminate). Throws
  /// std::system_error (resource_unavailable_try_again) when there is no memory or, for kernel threads, the system's limit is reached.
  template <class F, class... Arguments>
    requires detail::callable_for<F, thread, spawn_options>
  explicit thread(F&& f, Arguments&&... arguments)
      : joinable_handle(detail::spawn({}, false, std::forward<F>(f), std::forward<Arguments>(arguments)...)) {}
  /// The same, as the options say. Throws also std::system_error (invalid_argument) for options that contradict each other or the runtime.
  template <class F, class... Arguments>
  thread(const spawn_options& options, F&& f, Arguments&&... arguments)
      : joinable_handle(detail::spawn(options, false, std::forward<F>(f), std::forward<Arguments>(arguments)...)) {}

  /// Exchanges what the two name.
  void swap(thread& other) noexcept { swap_with(other); }
  /// The same.
  friend void swap(thread& a, thread& b) noexcept { a.swap(b); }
};

/// std::jthread: asks to stop and joins where it is destroyed.
class jthread {
 public:
  /// As thread's.
  using id = thread::id;

  /// None; not joinable, nothing to stop.
  jthread() noexcept : stop_(std::nostopstate) {}
  /// Takes over what the other one names.
  jthread(jthread&&) noexcept = default;
  /// The same; what this one named before is asked to stop and joined.
  jthread& operator=(jthread&& from) noexcept {
    if (this == &from) return *this;
    end();
    thread_ = std::move(from.thread_);
    stop_ = std::move(from.stop_);
    return *this;
  }
  /// As thread's; `f` gets a std::stop_token first if it takes one.
  template <class F, class... Arguments>
    requires detail::callable_for<F, jthread, spawn_options>
  explicit jthread(F&& f, Arguments&&... arguments)
      : thread_(start({}, stop_, std::forward<F>(f), std::forward<Arguments>(arguments)...)) {}
  /// The same, as the options say. Throws also std::system_error (invalid_argument) for options that contradict each other or the runtime.
  template <class F, class... Arguments>
  jthread(const spawn_options& options, F&& f, Arguments&&... arguments)
      : thread_(start(options, stop_, std::forward<F>(f), std::forward<Arguments>(arguments)...)) {}
  /// Requests stop and joins, if it is joinable.
  ~jthread() { end(); }

  /// Is there something to join or detach?
  [[nodiscard]] bool joinable() const noexcept { return thread_.joinable(); }
  /// Waits for the end. Throws as thread's.
  void join() { thread_.join(); }
  /// As thread's, with a stop token of the caller's.
  [[nodiscard]] bool join(const std::stop_token& stop) { return thread_.join(stop); }
  /// As thread's.
  template <class Rep, class Period>
  [[nodiscard]] bool join_for(const std::chrono::duration<Rep, Period>& span, const std::stop_token& stop = {}) {
    return thread_.join_for(span, stop);
  }
  /// As thread's.
  template <class Clock, class Duration>
  [[nodiscard]] bool join_until(const std::chrono::time_point<Clock, Duration>& when, const std::stop_token& stop = {}) {
    return thread_.join_until(when, stop);
  }
  /// Nobody will join it, and the end of this object does not stop it. Throws as thread's.
  void detach() { thread_.detach(); }
  /// Of what it names; the id of none if it is not joinable.
  [[nodiscard]] id get_id() const noexcept { return thread_.get_id(); }
  /// As thread's.
  [[nodiscard]] static unsigned hardware_concurrency() noexcept { return thread::hardware_concurrency(); }
  /// Where its stop is requested from.
  [[nodiscard]] std::stop_source get_stop_source() noexcept { return stop_; }
  /// What it looks at to see whether it shall stop.
  [[nodiscard]] std::stop_token get_stop_token() const noexcept { return stop_.get_token(); }
  /// Asks it to stop; never waits for it. False if it was asked before, or there is nothing to stop.
  bool request_stop() noexcept { return stop_.request_stop(); }
  /// Exchanges what the two name.
  void swap(jthread& other) noexcept {
    std::swap(stop_, other.stop_);
    thread_.swap(other.thread_);
  }
  /// The same.
  friend void swap(jthread& a, jthread& b) noexcept { a.swap(b); }

 private:
  template <class F, class... Arguments>
  static thread start(const spawn_options& options, std::stop_source& stop, F&& f, Arguments&&... arguments) {
    if constexpr (std::is_invocable_v<std::decay_t<F>, std::stop_token, std::decay_t<Arguments>...>)
      return thread(options, std::forward<F>(f), stop.get_token(), std::forward<Arguments>(arguments)...);
    else
      return thread(options, std::forward<F>(f), std::forward<Arguments>(arguments)...);
  }
  void end() noexcept {
    if (!joinable()) return;
    request_stop();
    join();
  }

  std::stop_source stop_;
  thread thread_;
};

/// std::this_thread, for whoever calls: a thread, a fiber or a kernel thread.
namespace this_thread {

/// The caller's; kernel threads of the program's own have one, too.
[[nodiscard]] inline thread::id get_id() noexcept { return thread::id(detail::own_number()); }
/// Lets others run that wait for the caller's carrier.
inline void yield() noexcept { detail::yield(); }
/// Parks; a kernel thread sleeps. Cost: one timer.
template <class Rep, class Period>
void sleep_for(const std::chrono::duration<Rep, Period>& span) {
  if (span > span.zero()) (void)detail::sleep_until(detail::deadline_after(span));
}
/// The same, until stop is requested at most. False: it was.
template <class Rep, class Period>
[[nodiscard]] bool sleep_for(const std::chrono::duration<Rep, Period>& span, const std::stop_token& stop) {
  return detail::sleep_until({detail::deadline_after(span), stop});
}
/// Until then, by that clock, also if it is set meanwhile.
template <class Clock, class Duration>
void sleep_until(const std::chrono::time_point<Clock, Duration>& when) {
  while (Clock::now() < when) {
    (void)detail::sleep_until(detail::deadline_at(when));
    if (detail::time_is_virtual()) return;
  }
}
/// The same, until stop is requested at most. False: it was.
template <class Clock, class Duration>
[[nodiscard]] bool sleep_until(const std::chrono::time_point<Clock, Duration>& when, const std::stop_token& stop) {
  return Clock::now() >= when || detail::until(when, [&](detail::deadline d) { return detail::sleep_until({d, stop}) && (detail::is_own_clock<Clock> || Clock::now() >= when || detail::time_is_virtual()); }, stop);
}

}  // namespace this_thread

using std::nostopstate;
using std::nostopstate_t;
using std::stop_callback;
using std::stop_source;
using std::stop_token;

}  // namespace weft

/// Ids as keys of unordered containers.
template <>
struct std::hash<weft::thread::id> {
  /// Equal for equal ids.
  std::size_t operator()(weft::thread::id which) const noexcept { return std::hash<std::uint64_t>()(which.number()); }
};
