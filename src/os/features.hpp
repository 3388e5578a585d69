// SPDX-License-Identifier: BSL-1.0
// What the kernel and the CPU offer, found out once; what is missing has a fallback, and each can be forced for a test.
#pragma once
#include <cstdint>

namespace weft::engine::os {

/// How a guard page under a stack is made.
enum class guard_method : std::uint8_t {
  advice,   ///< MADV_GUARD_INSTALL (Linux 6.13): costs no mapping.
  protect,  ///< mprotect: each guard splits a mapping, counted against vm.max_map_count.
  none,     ///< Only when asked for.
};

struct features {
  bool fsgsbase = false;         ///< wrfsbase in user mode; else arch_prctl, 400 to 870 ns a switch.
  bool global_barrier = false;   ///< membarrier; else every engine entry pays a fence.
  guard_method guard = guard_method::protect;
};

/// Valid after probe(). Read-only then.
extern constinit features machine;

/// Asks the kernel. Once, before any carrier exists. Makes at most five system calls.
void probe() noexcept;

/// Makes every running thread of the process pass a full memory barrier. Only if machine.global_barrier. Microseconds.
void barrier_everywhere() noexcept;

}  // namespace weft::engine::os
