// SPDX-License-Identifier: BSL-1.0
// Who gets a signal: the inbox of the process, the threads that wait for signals, and telling a thread that it has one.
// The order is the kernel's: a thread that waits for it (sigwait); main, if it does not block it; the thread at hand; any.
// I1  `process_lock` guards the process's list and the waiters; the registry's lock is taken inside it. Notes go into a
//     thread's inbox under the registry's lock only: a thread that leaves the registry empties its inbox after that.
// I2  What nobody can take stays in the process's inbox; whoever opens its mask or begins to wait looks there.
#pragma once
#include <signal.h>

#include <cstdint>

#include "core/wait_word.hpp"
#include "posix/signal_inbox.hpp"
#include "posix/user_thread.hpp"

namespace weft::engine::posix {

/// One thread that waits for signals; lies on its stack.
struct signal_waiter {
  user_thread& who;
  std::uint64_t wanted;
  ticket wait{};
  siginfo_t info{};
  bool linked = false;
  bool served = false;
  signal_waiter* next = nullptr;
  signal_waiter* prev = nullptr;
};

/// Any context: posts a signal to the process, for route_signals. False: no room for a real-time signal.
bool post_to_process(int signal, const siginfo_t& info) noexcept;
/// [section] or on a carrier that is about to sleep (`me` null): gives threads what came for the process.
void route_signals(user_thread* me) noexcept;
/// [section] 0, or EAGAIN when there is no room.
int send_to_thread(user_thread& me, user_thread& t, int signal, const siginfo_t& info) noexcept;

// [section], by the thread itself:
/// The next signal for it out of `wanted`, from its own inbox or the process's. Null: none.
signal_note* take_signal(user_thread& me, std::uint64_t wanted) noexcept;
/// It has been taken for good: no longer pending anywhere.
void settle_signal(signal_note& note) noexcept;
/// What the process was sent and this thread does not want: to others.
void give_back_signals(user_thread& me, std::uint64_t unwanted) noexcept;
/// All that is pending for the thread and the process, in our inboxes.
[[nodiscard]] std::uint64_t pending_signals(user_thread& me) noexcept;

/// Enters `w`, whose wait is prepared, or finds a signal right away (then w.info has it and nobody knows of w).
bool enter_signal_waiter(signal_waiter& w) noexcept;
/// After the wait. True if w was served.
bool leave_signal_waiter(signal_waiter& w) noexcept;

void routing_after_fork() noexcept;

}  // namespace weft::engine::posix
