// SPDX-License-Identifier: BSL-1.0
// What the kernel's accounting says of one of our kernel threads: is it blocked, or does it burn its CPU?
// For the monitor, whose descriptor table is its own: nothing here can collide with the program's descriptors.
#pragma once
#include <cstdint>

#include "base/clock.hpp"

namespace weft::engine::os {

enum class task_state : std::uint8_t {
  running,  ///< On a CPU or waiting for one.
  blocked,  ///< Asleep in the kernel.
  unknown,  ///< No /proc, or the kernel thread has ended.
};

/// About 5 us.
[[nodiscard]] task_state state_of_task(std::int32_t tid) noexcept;

/// How often the kernel thread has gone to sleep of its own accord; 0 when unknown. About 15 us.
[[nodiscard]] std::uint64_t voluntary_switches(std::int32_t tid) noexcept;

/// Gives the calling kernel thread an empty descriptor table of its own.
void leave_descriptor_table() noexcept;

/// Writes to the process's stderr from a kernel thread with a table of its own; silent when that cannot be reached.
void write_to_process_stderr(const char* text, unsigned long bytes) noexcept;

/// Asks the kernel for slices of this length for the calling kernel thread, 0 for its own choice. A short one makes it run
/// sooner after it wakes, and not for long: the scheduler's measure of urgency since Linux 6.12. Older kernels ignore it.
void set_slice(nanoseconds slice) noexcept;
inline constexpr nanoseconds short_slice = 100 * microsecond;

/// Asks the kernel to run the calling kernel thread soon after it wakes: no timer slack, a short slice.
void become_punctual() noexcept;

}  // namespace weft::engine::os
