// SPDX-License-Identifier: BSL-1.0
// Cancellation. The request is libc's own mark in the thread's block, so libc's cancellation points see it; the unwinding
// is libc's, too, up to run_until_exit. How a request reaches a thread:
//   in a wait of ours        the wait is ended (wake_reason::interrupt), and whoever waited calls cancellation_point
//   in a blocking call of    by libc's cancel signal: libc allows asynchronous cancellation for the time of the call
//   libc's
//   computing                deferred: at its next cancellation point. Asynchronous: by the signal
//   ready, in some queue     the same when it runs: it sends itself the signal (pending_work::settle)
// The signal's handler is ours. Threads move between kernel threads, so it may find another thread than was meant, or one
// inside a section.
#pragma once
#include "posix/user_thread.hpp"

namespace weft::engine::posix {

/// A cancellation point: does not return if the calling thread is to be cancelled and allows it. Outside sections, with
/// everything in the state in which cleanup handlers may find it.
void cancellation_point(user_thread& me);

/// Asynchronous cancellation of the calling thread, if it is asked for and allowed, happens now.
void act_on_request(user_thread& me);

/// Scheduler hook: does what others wished of the calling thread (pending_work::settle). Outside sections.
void settle_thread(thread& t) noexcept;

/// In a function whose own steps must not be torn apart by asynchronous cancellation (it calls cancellation_point where it
/// may happen). After a cancellation inside it stays in force: the thread is about to end.
class no_asynchronous_cancel {
 public:
  explicit no_asynchronous_cancel(user_thread& me) noexcept : me_(me) { ++me_.cancel_held; }
  ~no_asynchronous_cancel() {
    if (--me_.cancel_held == 0) act_on_request(me_);
  }
  no_asynchronous_cancel(const no_asynchronous_cancel&) = delete;
  no_asynchronous_cancel& operator=(const no_asynchronous_cancel&) = delete;

 private:
  user_thread& me_;
};

}  // namespace weft::engine::posix
