// SPDX-License-Identifier: BSL-1.0
// How many kernel threads the system would let this process have.
#pragma once
#include <cstdint>

namespace weft::engine::os {

/// The smallest of pid_max, threads-max, RLIMIT_NPROC and the cgroup's pids.max; a few system calls.
[[nodiscard]] std::uint32_t kernel_thread_room() noexcept;

}  // namespace weft::engine::os
