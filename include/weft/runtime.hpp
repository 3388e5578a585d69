// SPDX-License-Identifier: BSL-1.0
// The runtimes that carry threads and fibers.
//
// The default runtime starts by itself with the first use of the library and lives as long as the process. What it is like is chosen in the
// environment, WEFT_OPTIONS=key=value,..., the same keys as for `weft run`: model (m:n, n:1, 1:1), parallelism, slice, io and others.
//
// Others stand beside it, with their own carriers and their own order:
//
//   weft::runtime urgent({.parallelism = 2, .order = weft::scheduling::priority});
//   weft::thread alarm({.in = &urgent, .priority = 10}, watch);
//   int n = urgent.run([] { return count(); });      // on a thread of it; waits
//
// Threads belong to the runtime in which they were started; what they start belongs there, too, unless they say otherwise. All of the library's
// objects work across runtimes, and with kernel threads.
#pragma once
#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "weft/clock.hpp"
#include "weft/detail/strand.hpp"
#include "weft/policy.hpp"
#include "weft/thread.hpp"

/// User-level threads and fibers, and what they wait for.
namespace weft {

/// Who of a runtime's ready threads runs next.
enum class scheduling : std::uint8_t {
  stealing,  ///< A queue for each carrier; who has nothing to do takes from others. The fastest, and the default.
  fifo,      ///< In the order in which they become ready, over all carriers; each until it waits or yields.
  priority,  ///< The most urgent, always; equals by turns. Who holds a mutex is as urgent as the most urgent one that waits for it.
  fair,      ///< Who has used least CPU time for its weight.
  deadline,  ///< Whose deadline is next; those without one when nobody has one.
  seeded,    ///< One at a time, chosen by a seed at every call into the library, in a time of its own: the same seed, the same run (testing.hpp).
};

/// What a runtime shall be like.
struct runtime_options {
  unsigned parallelism = 0;              ///< How many threads run at once, 1 to 1024; 0: as in the default runtime. 1 if seeded.
  std::chrono::nanoseconds slice{0};     ///< Who computes for so long gives way; 0: the default runtime's, 4 ms if fair, none if fifo or seeded.
  scheduling order = scheduling::stealing;  ///< Who runs next.
  policy* own_policy = nullptr;          ///< Instead of `order`: see policy.hpp.
  std::uint64_t seed = 0;                ///< If seeded.
};

/// Carriers with an order, beside the default runtime's.
class runtime {
 public:
  /// Starts its first carrier; the others as they are needed. Cost: about 100 us, less if one with the same parallelism has ended before, whose kernel
  /// threads it takes over. Throws std::system_error: invalid_argument for options that contradict each other, not_supported for
  /// seeded under model=1:1 (there the kernel schedules, and no other order has an effect), resource_unavailable_try_again when the
  /// system has no memory or kernel threads left.
  WEFT_EXPORT explicit runtime(const runtime_options& options = {});
  /// Waits until all of its threads have ended; not to be called in one of them.
  WEFT_EXPORT ~runtime();
  runtime(const runtime&) = delete;
  runtime& operator=(const runtime&) = delete;

  /// How many of its threads run at once.
  [[nodiscard]] WEFT_EXPORT unsigned parallelism() const noexcept;

  /// Invokes f(arguments...) on a new thread of this runtime, waits, and returns its result or rethrows its exception.
  template <class F, class... Arguments>
  std::invoke_result_t<F, Arguments...> run(F&& f, Arguments&&... arguments) {
    using result = std::invoke_result_t<F, Arguments...>;
    using kept = std::conditional_t<std::is_reference_v<result>, std::add_pointer_t<result>, result>;
    std::exception_ptr failure;
    const auto attempt = [&](auto keep) {
      thread({.in = this}, [&] {
        try {
          keep();
        } catch (...) {
          failure = std::current_exception();
        }
      }).join();
      if (failure) std::rethrow_exception(failure);
    };
    const auto call = [&]() -> result { return std::invoke(std::forward<F>(f), std::forward<Arguments>(arguments)...); };
    if constexpr (std::is_void_v<result>) {
      attempt(call);
    } else {
      std::optional<kept> value;
      attempt([&] {
        if constexpr (std::is_reference_v<result>)
          value = std::addressof(call());
        else
          value.emplace(call());
      });
      if constexpr (std::is_reference_v<result>)
        return static_cast<result>(**value);
      else
        return std::move(*value);
    }
  }

 private:
  friend struct detail::runtime_access;
  detail::runtime_state* state_;
};

/// Announces that `f` may block the kernel thread (a foreign library, a file lock): others get the caller's place meanwhile, at once. Without
/// the announcement it is noticed, about a millisecond later. Returns what `f` returns. Any caller; cost about 100 ns.
template <class F>
decltype(auto) blocking(F&& f) {
  struct stretch {
    stretch() noexcept { detail::begin_blocking(); }
    ~stretch() { detail::end_blocking(); }
  };
  const stretch now;
  return static_cast<F&&>(f)();
}

namespace this_thread {

/// The caller's priority from now on, -32 to 31 (others are taken for the nearest). It gives way if somebody ready is more urgent now. Without
/// effect in runtimes whose order does not ask for it, and for kernel threads.
inline void set_priority(int priority) noexcept { detail::set_priority(priority); }
/// What the caller now does is due then. Without effect as above.
inline void set_deadline(clock::time_point when) noexcept { detail::set_deadline(when.time_since_epoch().count()); }

}  // namespace this_thread
}  // namespace weft
