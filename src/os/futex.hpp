// SPDX-License-Identifier: BSL-1.0
// The kernel's wait queue by address, for carriers and for kernel threads that Weft did not make.
// In the explorer, tests/explore provides a virtual one with the same interface.
#pragma once
#include <cstdint>

#include "base/atomic.hpp"

#ifndef WEFT_EXPLORE
#include <linux/futex.h>
#include <time.h>

#include "os/syscall.hpp"
#endif

namespace weft::engine::os {

#ifdef WEFT_EXPLORE
using explore::futex_wait;
using explore::futex_wake;
#else
/// Sleeps while `word` holds `expected`, until a wake, a signal or `deadline` (CLOCK_MONOTONIC in ns; negative: none).
/// Returns 0 or a negated errno (EAGAIN: the word differed; EINTR; ETIMEDOUT). Blocks the kernel thread.
inline int futex_wait(atomic<std::uint32_t>& word, std::uint32_t expected, std::int64_t deadline = -1) noexcept {
  timespec until{deadline / 1'000'000'000, deadline % 1'000'000'000};
  return static_cast<int>(raw_syscall(SYS_futex, arg(&word), FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
                                      deadline < 0 ? 0 : arg(&until), 0, static_cast<long>(FUTEX_BITSET_MATCH_ANY)));
}

/// Wakes up to `count` sleepers on `word`. Never waits; callable from anywhere.
inline void futex_wake(atomic<std::uint32_t>& word, int count) noexcept {
  raw_syscall(SYS_futex, arg(&word), FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count);
}
#endif

}  // namespace weft::engine::os
