// SPDX-License-Identifier: BSL-1.0
// Signals of the program, with threads that move between kernel threads.
//
// The kernel delivers to kernel threads, and each carrier's mask is that of the thread it runs (the switch sees to it),
// so a signal goes to a carrier whose thread wants it, and the handler runs right there. Three cases need care, and a
// wrapper around every handler of the program knows them:
//   inside an engine section  the handler could find locks held that it needs (sem_post is allowed in handlers). The
//                             signal is queued to the process again, all signals are blocked on this carrier, and the
//                             end of the section opens them: it arrives there, or sooner at another carrier.
//   on a sleeping carrier     (all threads parked): queued again; then a parked thread that does not block it is
//                             interrupted, and when it runs its mask lets the signal in.
//   a fault                   is the running code's own and is never put off; see overflow.hpp for stacks.
// A sleeping carrier blocks only what every thread blocks, so a signal with a default action still acts, and one that all
// threads block waits for sigwait.
#pragma once
#include <signal.h>

#include <cstdint>

#include "posix/user_thread.hpp"

namespace weft::posix {

/// At the engine's start: takes over the handlers that the program has installed so far, and installs the engine's own.
void install_engine_signals() noexcept;

/// Scheduler hook: a signal reached a sleeping carrier. True if a thread was interrupted for it.
bool interrupt_somebody() noexcept;
/// Scheduler hook: what every thread blocks.
std::uint64_t mask_while_idle() noexcept;
/// Scheduler hook: signals that pthread_kill sent while the thread did not run.
void deliver_directed(thread& t) noexcept;

/// How the program handles `signal` now, and one step of it: the program's handler for this occurrence.
struct handler_choice {
  void (*function)(int, siginfo_t*, void*);  ///< Null: default or ignored.
  int flags;
};
[[nodiscard]] handler_choice program_handler(int signal) noexcept;
void run_program_handler(user_thread* me, const handler_choice& h, int signal, siginfo_t* info, void* context) noexcept;

/// In a forked child: no lock is held by anybody.
void signals_after_fork() noexcept;

/// sigaction for the program's eyes: 0, or -1 with errno.
int change_action(int signal, const struct sigaction* wanted, struct sigaction* before) noexcept;

/// A wait of `me` was ended by a signal; its handlers have run by now. Should the call return EINTR?
/// (`seen`: handlers_run before the wait.)
[[nodiscard]] inline bool interrupted_for_good(const user_thread& me, std::uint32_t seen) noexcept {
  return me.handlers_run != seen && !me.handler_restarts;
}

}  // namespace weft::posix
