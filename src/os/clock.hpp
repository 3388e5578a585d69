// SPDX-License-Identifier: BSL-1.0
// Reads the kernel's clocks through the vDSO (28 ns, no system call): not on a switch or wake path. And sleeps.
#pragma once
#include <time.h>

#include "base/atomic.hpp"
#include "base/clock.hpp"
#include "os/syscall.hpp"

namespace weft::engine::os {

inline nanoseconds_at now() noexcept {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * second + t.tv_nsec;
}

#ifdef WEFT_EXPLORE
using explore::sleep_for;
#else
/// Blocks the kernel thread.
inline void sleep_for(nanoseconds span) noexcept {
  const timespec t{.tv_sec = span / second, .tv_nsec = span % second};
  raw_syscall(SYS_nanosleep, arg(&t), 0);
}
#endif

/// The time of the last tick, 1 to 10 ms ago at most. 5 ns.
inline nanoseconds_at coarse_now() noexcept {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return t.tv_sec * second + t.tv_nsec;
}

/// CPU time of the calling kernel thread. A system call.
inline nanoseconds thread_cpu_time() noexcept {
  timespec t{};
  raw_syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, arg(&t));
  return t.tv_sec * second + t.tv_nsec;
}
/// Of another one in this process; 0 if it has ended.
inline nanoseconds cpu_time_of_kernel_thread(int tid) noexcept {
  timespec t{};
  raw_syscall(SYS_clock_gettime, static_cast<int>((~static_cast<unsigned>(tid) << 3) | 6), arg(&t));  // CPUCLOCK_SCHED, per thread
  return t.tv_sec * second + t.tv_nsec;
}

}  // namespace weft::engine::os
