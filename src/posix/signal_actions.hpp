// SPDX-License-Identifier: BSL-1.0
// What the program wants to happen on each signal, and what the kernel is told.
//
// I1  The kernel has our wrapper for every signal that has a handler, and for every signal that any thread has blocked or
//     waited for since the engine started (`cover`), even if its action is the default: which threads block it is our
//     knowledge, and the wrapper carries out the default itself. Other signals have the program's own action.
// I2  What is ignored is ignored by the kernel: it is inherited through exec. Handlers become defaults there, as they should.
// I3  Kernel actions have no mask and SA_NODEFER: a handler's mask is the thread's, not its carrier's; and always SA_RESTART:
//     whether a system call is to return EINTR is decided when the handler has run on the thread that made it (signals.cpp).
#pragma once
#include <signal.h>

#include <cstdint>

namespace weft::engine::posix {

/// What a signal does to whoever takes it, as of now.
enum class effect : std::uint8_t { run, ignore, stop, terminate };

/// The program's handler for one occurrence.
struct handler_choice {
  void (*function)(int, siginfo_t*, void*);  ///< Null: default or ignored.
  int flags;
  std::uint64_t mask;  ///< What the handler blocks: its mask, and the signal itself unless SA_NODEFER.
};

// [no_preempt raised] these three: they take a spinlock.
[[nodiscard]] effect effect_of(int signal) noexcept;
/// Choosing counts as its delivery: SA_RESETHAND resets it.
[[nodiscard]] handler_choice choose_handler(int signal) noexcept;
/// The default action: ends the process, stops it until it is continued, or nothing.
void act_by_default(int signal) noexcept;

/// Outside sections: from now on some thread may block these, or wait for them (I1).
void cover_signals(std::uint64_t which) noexcept;

/// At the engine's start: takes over the actions that the program has installed so far, and installs the engine's own.
void install_engine_signals() noexcept;
/// In a forked child: no lock is held by anybody.
void actions_after_fork() noexcept;

/// sigaction for the program's eyes: 0, or -1 with errno.
int change_action(int signal, const struct sigaction* wanted, struct sigaction* before) noexcept;

}  // namespace weft::engine::posix
