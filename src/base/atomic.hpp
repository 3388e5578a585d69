// SPDX-License-Identifier: BSL-1.0
// The one name for every atomic in the engine, so that the same source runs in a normal build and in the schedule
// explorer, where each operation is a point at which the explorer may run another thread (tests/explore).
#pragma once

#ifdef WEFT_EXPLORE
#include "explored_atomic.hpp"
#else
#include <atomic>
#endif

namespace weft::engine {

#ifdef WEFT_EXPLORE
template <class T>
using atomic = explore::atomic<T>;
using explore::atomic_thread_fence;
#else
template <class T>
using atomic = std::atomic<T>;
using std::atomic_thread_fence;
#endif
using std::memory_order;

/// Keeps the compiler from moving memory accesses across this point; costs no instruction. Enough between a thread and
/// a signal handler on it, and on the cheap side of a protocol whose other side calls os::barrier_everywhere().
inline void compiler_barrier() noexcept { asm volatile("" ::: "memory"); }

}  // namespace weft::engine
