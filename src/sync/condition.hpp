// SPDX-License-Identifier: BSL-1.0
// A condition: a list of waiters under a lock of one word, to be laid into whatever the program calls its condition
// variable.
//
// I1  A waiter links itself before it releases the caller's mutex: a signaller that changed the predicate under that
//     mutex finds it.
// I2  Each signal claims one waiter that still waits; one whose deadline or signal was faster is passed over, so a
//     signal is never spent on a thread that does not need it.
// I3  Only waiters whose wait ended otherwise come back to unlink themselves: when the list is empty, nobody will touch
//     the condition again (destroy waits for that).
#pragma once
#include "sync/generation.hpp"
#include "sync/wait.hpp"
#include "sync/waiter.hpp"

namespace weft::engine::sync {

class condition {
 public:
  /// [section] Links the caller, calls release_mutex(), parks. Returns why it ended. The caller locks its mutex again.
  template <class Release>
  wake_reason wait(thread& me, nanoseconds_at deadline, Release release_mutex) noexcept {
    waiter w(me);
    {
      const locked_list hold(*this);
      w.wait = me.wait.prepare();
      list_.push_back(w);
      count_.store(1, memory_order::relaxed);  // relaxed: signallers are ordered by the caller's mutex (I1)
    }
    release_mutex();
    const wake_reason why = park(me, w.wait, deadline);
    if (why != wake_reason::owner) {
      const locked_list hold(*this);
      list_.remove(w);
      if (list_.empty()) count_.store(0, memory_order::relaxed);  // relaxed: as above
    }
    return why;
  }

  [[nodiscard]] bool anybody() const noexcept { return count_.load(memory_order::relaxed) != 0; }  // relaxed: see wait

  /// [section] Wakes one waiter, or all.
  void signal() noexcept;
  void broadcast() noexcept;
  /// [section] Is a thread still on its way out (I3)?
  [[nodiscard]] bool anybody_inside() noexcept {
    const locked_list hold(*this);
    return !list_.empty();
  }
  /// [section] Does a thread wait, neither woken nor out of time?
  [[nodiscard]] bool anybody_waits() noexcept {
    const locked_list hold(*this);
    for (const waiter* w = list_.first(); w != nullptr; w = w->next)
      if (ticket now{}; w->who->wait.current_ticket(now) && now == w->wait) return true;
    return false;
  }

 private:
  class locked_list {
   public:
    explicit locked_list(condition& c) noexcept : c_(c) {
      if (c.lock_.lock() == generation_lock::found::as_left) return;
      c.list_.clear();
      c.count_.store(0, memory_order::relaxed);  // relaxed: a hint
    }
    ~locked_list() { c_.lock_.unlock(); }
    locked_list(const locked_list&) = delete;
    locked_list& operator=(const locked_list&) = delete;

   private:
    condition& c_;
  };

  generation_lock lock_;
  atomic<std::uint32_t> count_{0};
  wait_list list_;
};

}  // namespace weft::engine::sync
