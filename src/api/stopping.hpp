// SPDX-License-Identifier: BSL-1.0
// Waits that end when a stop is requested.
//
//   waiter                                          stop callback, in whoever requests the stop
//   (in a section) is stop requested? give up       (stop is requested)
//   prepare, publish the ticket, park:              mark it: pending.settle
//     commit, then look at the mark [parked-1]      has it a wait? claim that: interrupt
// A waiter that does not see the request goes on to its commit, and nothing takes the mark away before, for it stays in its section: so it sees the mark
// there, or the callback finds the wait. A hand-over and the callback claim the same ticket, and one of them wins (core/wait_word.hpp): who was
// handed something has it, although stop was requested as well.
// A kernel thread looks at the mark when its futex word is poked (sync/wait.cpp).
// The callback touches the strand only, whose memory stays, and not its stack: it does not matter when std::stop_callback's destructor takes a fiber of
// the same carrier for the one that runs the callback, and does not wait for it.
#pragma once
#include <stop_token>

#include "api/strand.hpp"
#include "os/futex.hpp"

namespace weft::engine::api {

class stop_watch {
 public:
  /// [not in a section, nor is its end] `stop`: null if nobody stops it.
  stop_watch(strand& me, const std::stop_token* stop) : stop_(stop), on_stop_(stop != nullptr ? *stop : std::stop_token(), wish{&me}) {}
  /// [section] To be asked before each wait.
  [[nodiscard]] bool requested() const noexcept { return stop_ != nullptr && stop_->stop_requested(); }

 private:
  struct wish {
    strand* who;
    void operator()() const noexcept {
      who->pending.fetch_or(pending_work::settle, memory_order::seq_cst);  // [parked-1]
      if (who->kind == thread_kind::foreign) {
        who->foreign_wake.fetch_or(thread::poked, memory_order::release);  // [foreign-1]
        os::futex_wake(who->foreign_wake, 1);
        return;
      }
      const section in(self());
      ticket t{};
      if (who->wait.current_ticket(t)) (void)who->home->wake(*who, t, wake_reason::interrupt);
    }
  };
  const std::stop_token* stop_;
  std::stop_callback<wish> on_stop_;  // costs next to nothing with an empty token
};

}  // namespace weft::engine::api
