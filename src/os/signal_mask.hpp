// SPDX-License-Identifier: BSL-1.0
// The kernel's signal mask of the calling kernel thread, as one word (bit n-1 is signal n).
#pragma once
#include <signal.h>

#include <cstdint>

#include "os/syscall.hpp"

namespace weft::engine::os {

constexpr std::uint64_t signal_bit(int signal) noexcept { return std::uint64_t{1} << (signal - 1); }

/// The signal by which a carrier is asked to switch. Ignored by default, so a stray one harms nobody.
inline constexpr int preempt_signal = SIGURG;

/// What no thread can block: what the kernel refuses, and what libc keeps for itself (32 and 33).
inline constexpr std::uint64_t unblockable = signal_bit(SIGKILL) | signal_bit(SIGSTOP) | signal_bit(32) | signal_bit(33);
/// What the kernel never blocks for a thread: that, and the engine's own signal, which a thread may block only in our books.
inline constexpr std::uint64_t never_blocked = unblockable | signal_bit(preempt_signal);
inline constexpr std::uint64_t block_all = ~never_blocked;

inline void set_signal_mask(std::uint64_t mask) noexcept {
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, arg(&mask), 0, sizeof mask);
}
/// The mask of a thread, as far as it is the kernel's business.
inline void set_thread_mask(std::uint64_t mask) noexcept { set_signal_mask(mask & ~signal_bit(preempt_signal)); }
inline std::uint64_t signal_mask() noexcept {
  std::uint64_t mask = 0;
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, 0, arg(&mask), sizeof mask);
  return mask;
}

}  // namespace weft::engine::os
