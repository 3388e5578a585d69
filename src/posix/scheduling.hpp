// SPDX-License-Identifier: BSL-1.0
// What the kernel's scheduler shall know of a thread: policy and priority, nice value, CPUs. Linux keeps each per kernel
// thread. A thread that has not asked for anything of its own has what every carrier has (what the process had when the
// engine started), and moves between them; one that asks for something else is bound (posix/binding.hpp).
//
// For another thread the wish is noted, and that thread carries it out itself, at its next section's end or when it runs
// next; until then the answers are already the new ones. Whether the kernel would allow it is tried out on the spot.
#pragma once
#include <sched.h>

#include <cstdint>

namespace weft::engine::posix {

struct user_thread;

/// Some or all of the settings; all zero: nothing.
struct scheduling {
  static constexpr std::uint8_t of_policy = 1, of_nice = 2, of_cpus = 4;
  std::uint8_t which = 0;
  int policy = SCHED_OTHER;  ///< With SCHED_RESET_ON_FORK, if asked for.
  int priority = 0;
  int nice = 0;
  cpu_set_t cpus{};

  /// Takes over what `other` says.
  void merge(const scheduling& other) noexcept;
};

/// Changes settings of a thread of ours. 0 or an errno code. Outside sections.
int change_scheduling(user_thread& t, const scheduling& wanted) noexcept;
/// All settings of a thread of ours.
[[nodiscard]] scheduling scheduling_of(user_thread& t) noexcept;

/// For pthread_create: would the kernel grant it? 0 or an errno code.
int may_have(const scheduling& wanted) noexcept;
/// What a new thread inherits from the calling one.
[[nodiscard]] scheduling inherited_scheduling(const user_thread& me) noexcept;

/// Carries out, for the calling thread, what others or its creation wished. Outside sections; no libc.
void settle_scheduling(user_thread& me) noexcept;

/// In a forked child: what the calling thread had is what its kernel thread has.
void scheduling_after_fork(user_thread& me) noexcept;

}  // namespace weft::engine::posix
