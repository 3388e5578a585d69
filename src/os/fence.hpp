// SPDX-License-Identifier: BSL-1.0
// The cheap side of an asymmetric barrier: nothing but a compiler barrier where the other side can call
// barrier_everywhere(), a full fence where the kernel has no membarrier.
#pragma once
#include "base/atomic.hpp"
#include "os/features.hpp"

namespace weft::engine::os {

// gcc warns that ThreadSanitizer does not model fences. It does not have to: what it must know of the pairs below is said
// in its own words where they are used (preempt_count).
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif

inline void light_fence() noexcept {
  compiler_barrier();
  if (!machine.global_barrier) [[unlikely]]
    atomic_thread_fence(memory_order::seq_cst);  // [asym-1] stands in for the other side's barrier_everywhere()
}

/// The dear side; the caller writes first, then calls this, then reads what the cheap side wrote.
inline void heavy_fence() noexcept {
  if (machine.global_barrier) [[likely]] {
    barrier_everywhere();
  } else {
    // [asym-1] With a full fence on both sides one of the two sees the other, as with membarrier.
    atomic_thread_fence(memory_order::seq_cst);
  }
}

#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

}  // namespace weft::engine::os
