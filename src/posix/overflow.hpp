// SPDX-License-Identifier: BSL-1.0
// Faults: says which thread ran out of stack, and what to do; everything else about a fault is as without Weft.
// The handler runs on the carrier's own signal stack, because the thread has none left.
#pragma once
#include <signal.h>

namespace weft::engine::posix {

[[nodiscard]] constexpr bool handles_overflow(int signal) noexcept { return signal == SIGSEGV || signal == SIGBUS; }
void overflow_handler(int signal, siginfo_t* info, void* context) noexcept;

}  // namespace weft::engine::posix
