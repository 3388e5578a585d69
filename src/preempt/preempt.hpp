// SPDX-License-Identifier: BSL-1.0
// Preemption: the signal handler that makes a carrier's thread give way. Who asks, and when, is the monitor's business.
#pragma once
#include <signal.h>

#include <cstdint>

namespace weft::engine {

/// The handler for os::preempt_signal; install with SA_NODEFER | SA_RESTART | SA_SIGINFO and without SA_ONSTACK: the
/// interrupted thread is suspended inside it, on its own stack, and goes on when it is resumed. Never unwinds.
void preempt_current(int signal, siginfo_t* info, void* context) noexcept;

/// Installs the handler. Returns 0 or an errno code. For programs without a signal layer of their own (tests, tools).
int install_preemption() noexcept;

/// No thread is preempted while it stands in this code: it may hold a lock that makers of kernel threads need (malloc's). Before the
/// first preemption.
void spare_code(std::uintptr_t low, std::uintptr_t high) noexcept;

}  // namespace weft::engine
