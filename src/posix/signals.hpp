// SPDX-License-Identifier: BSL-1.0
// Signals of the program, with threads that move between kernel threads: how one gets from the kernel to its handler.
//
// The kernel is the way in, and no more. A wrapper (on_signal) takes whatever reaches a kernel thread of ours, wherever
// that is: in a thread's code, inside an engine section, on a sleeping carrier. It posts the signal in the inbox of the
// process, or of the current thread if it was meant for it, and leaves a mark. From there on everything is ours:
//   routing    (signal_routing) gives what is in the process's inbox to a thread: one that waits for it, or main, or
//              another that does not block it; and tells the thread.
//   delivery   (look_at_signals) is the thread's own business, on its own stack, at a point where it is provably itself:
//              at the end of a section, or in the frame of a signal that interrupted it outside of any.
// A carrier's kernel mask is that of the thread it runs (for exec and for children), at least when it starts to run it; a
// sleeping carrier has none. Where the kernel lets in what the thread blocks, as in handlers, it is routed elsewhere or waits.
//
// No signal is left lying: the sender's column and the thread's
//   sender (any thread, in a section)              receiver T
//   s1 posts the note (exchange)                   r1 leaves a section: no_preempt = 0, reads `pending`
//   s2 reads T's mask: blocked? done               r2 takes `pending` (exchange), takes the notes (exchange), delivers
//   s3 sets T's `pending` (exchange); was set?     r3 parks: commits its wait (exchange), reads `pending`: set? interrupts
//      done, somebody else is at s4                   itself, and comes to r1 (scheduler::commit_park)
//   s4 T waits? claims the wait: T comes to r1     r4 changes its mask, then comes to r2
//   s5 T runs on carrier c? SIGURG to c            r5 SIGURG outside sections: comes to r2; inside: r1 follows
//   s6 heavy fence, s4 and s5 once more; else T
//      is in a run queue: r1 lies before it
// L1  s3 before the read in r1 or r3: T sees the mark. Otherwise the sender's look at s4/s5 comes after T's exchange at r3
//     (finds it parked), or finds it running, and the SIGURG reaches c while T is there (r5), or after T has left c: then T
//     was switched away in a section that ended, or parked, after s3.
// L2  T between "in a queue" and "running" may have its store of `current` still under way while it reads `pending` at r1;
//     the fence at s6 (on every CPU) completes the one or shows the other.
// L3  Masks (s2, r4): both sides have an exchange in between, so one sees the other.
// L4  Marks that a wrapper leaves inside a section: T's `pending`, and the carrier's `arrived`, because T may be on its way
//     out of a switch; whoever comes in next looks at the latter (finish_switch), a sleeper before it sleeps (sleep).
// No kernel thread id is kept over a switch, so nothing is ever delivered to whoever came next.
//
// Rejected: queueing again to the kernel (loses the thread, and the frame); handlers wherever the carrier stands (wrong
// thread); one kernel thread that takes all signals (children and exec would inherit its masks from nobody).
#pragma once
#include <signal.h>

#include <cstdint>

#include "posix/signal_actions.hpp"
#include "posix/user_thread.hpp"

namespace weft::engine::posix {

/// What the kernel calls: for the program's signals, and for os::preempt_signal.
void on_signal(int signal, siginfo_t* info, void* context) noexcept;
void on_preempt_signal(int signal, siginfo_t* info, void* context) noexcept;

/// Scheduler hooks: a signal reached a sleeping carrier; a thread is to look; what a sleeping carrier blocks.
void signal_arrived_idle() noexcept;
void look_at_signals(thread& t) noexcept;
std::uint64_t mask_while_idle() noexcept;

/// A signalfd reads these from now on.
void leave_to_kernel(std::uint64_t which) noexcept;
/// Makes a signal pending for the process in the kernel, where a signalfd shows it. An errno code.
int give_to_kernel(siginfo_t info) noexcept;

/// Runs `h` on the calling thread, in the frame `context`: a fault's handler.
void run_fault_handler(user_thread* me, const handler_choice& h, int signal, siginfo_t* info, void* context) noexcept;
/// A signal that is no fault reached the calling thread in a handler that cannot deliver: keeps it for later.
void keep_for_later(int signal, const siginfo_t& info) noexcept;

/// The calling thread's mask, and what becomes deliverable by the change. Outside sections.
void set_mask(user_thread& me, std::uint64_t mask) noexcept;

/// Waits until a handler has run, with `mask` in the meantime (sigsuspend).
void wait_for_handler(user_thread& me, std::uint64_t mask) noexcept;

/// In a forked child, by its only thread.
void signals_after_fork(user_thread& me) noexcept;
/// When the engine starts: what the kernel holds for the calling kernel thread, because it blocks it, comes into our inboxes.
/// What was sent to this one thread would reach whoever its carrier runs later.
void take_over_pending(user_thread& me) noexcept;
/// [section] `me` ends: what the process was sent goes to others.
void leave_signals(user_thread& me) noexcept;

/// A wait of `me` was ended by a signal; its handlers have run by now. Should the call return EINTR?
/// (`seen`: handlers_run before the wait.)
[[nodiscard]] inline bool interrupted_for_good(const user_thread& me, std::uint32_t seen) noexcept {
  return me.handlers_run != seen && !me.handler_restarts;
}

}  // namespace weft::engine::posix
