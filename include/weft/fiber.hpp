// SPDX-License-Identifier: BSL-1.0
// Fibers: threads that cost less and promise less. The interface is weft::thread's.
//
// A fiber borrows the carrier's thread-local storage: errno and thread_local variables are not its own, and another fiber's after every wait.
// It is not preempted: one that computes for long keeps its carrier. In return a switch costs a third of a thread's, starting one less than
// half, and one that waits 4.5 KiB. Exceptions work, also across waits.
#pragma once
#include "weft/thread.hpp"

namespace weft {

/// A thread that is not preempted and has no thread-local storage of its own: fiber.hpp says what that costs and saves.
class fiber : public detail::joinable_handle {
 public:
  /// None; not joinable.
  fiber() noexcept = default;
  /// Takes over what the other one names.
  fiber(fiber&&) noexcept = default;
  /// The same. The program ends (std::terminate) if this one is joinable; so it does where a joinable one is destroyed.
  fiber& operator=(fiber&&) noexcept = default;

  /// As thread's.
  template <class F, class... Arguments>
    requires detail::callable_for<F, fiber, spawn_options>
  explicit fiber(F&& f, Arguments&&... arguments)
      : joinable_handle(detail::spawn({}, true, std::forward<F>(f), std::forward<Arguments>(arguments)...)) {}
  /// The same, as the options say; throws as thread's.
  template <class F, class... Arguments>
  fiber(const spawn_options& options, F&& f, Arguments&&... arguments)
      : joinable_handle(detail::spawn(options, true, std::forward<F>(f), std::forward<Arguments>(arguments)...)) {}

  /// Exchanges what the two name.
  void swap(fiber& other) noexcept { swap_with(other); }
  /// The same.
  friend void swap(fiber& a, fiber& b) noexcept { a.swap(b); }
};

/// std::this_thread's functions, under a name that says who calls.
namespace this_fiber = this_thread;

}  // namespace weft
