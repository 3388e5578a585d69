// SPDX-License-Identifier: BSL-1.0
// Deadlines of parked threads. Each slot has a queue of its own, so that arming is mostly uncontended; any carrier that
// runs dry, and the monitor when none does, fires all of them. Running carriers never read a clock.
#include "base/fault.hpp"
#include "core/scheduler.hpp"
#include "os/futex.hpp"

namespace weft {

namespace {
thread& thread_of(timer_node& node) noexcept {
  return *reinterpret_cast<thread*>(reinterpret_cast<char*>(&node) - __builtin_offsetof(thread, timer));
}
}  // namespace

void scheduler::arm(thread& me, ticket t, nanoseconds_at deadline) noexcept {
  slot& s = *me.on->holding;
  locked hold(s.timer_lock);
  me.timer_slot = &s;
  me.timer_ticket = t;
  s.timers.arm(me.timer, deadline);
  // [lookout-1] publish, then (watch_deadline, or sleep() of this carrier) read who looks when.
  s.next_deadline.store(s.timers.next(), memory_order::seq_cst);
}

void scheduler::disarm(thread& me) noexcept {
  // A slot's timers outlive every carrier change; the thread remembers where it armed.
  slot& s = *me.timer_slot;
  locked hold(s.timer_lock);
  s.timers.disarm(me.timer);
  s.next_deadline.store(s.timers.next(), memory_order::relaxed);  // relaxed: later than before; an early look is harmless
}

nanoseconds_at scheduler::earliest_deadline() const noexcept {
  nanoseconds_at earliest = never;
  for (std::uint32_t i = 0; i < options_.parallelism; ++i) {
    const nanoseconds_at t = slots_[i].next_deadline.load(memory_order::seq_cst);  // [lookout-1]
    if (t < earliest) earliest = t;
  }
  return earliest;
}

void scheduler::watch_deadline(nanoseconds_at deadline) noexcept {
  if (fault("timers.no_lookout") || deadline >= idle_.lookout()) return;
  if (deadline >= monitor_lookout.load(memory_order::seq_cst)) return;  // [lookout-1]
  monitor_dozes.store(0, memory_order::relaxed);  // relaxed: the futex call orders
  monitor_word.store(1, memory_order::release);   // [doze-1]
  os::futex_wake(monitor_word, 1);
}

void scheduler::fire_timers_of(slot& s, nanoseconds_at now) noexcept {
  // Threads are made ready outside the lock: it may have to wake a carrier.
  fifo<thread, &thread::next> due;
  {
    locked hold(s.timer_lock);
    while (timer_node* node = s.timers.pop_due(now)) {
      thread& t = thread_of(*node);
      // Claimed under the lock: disarm() takes it too, so a thread whose wait ended otherwise cannot begin another.
      if (t.wait.claim(t.timer_ticket, wake_reason::deadline) == claim_result::parked) due.push(t);
    }
    s.next_deadline.store(s.timers.next(), memory_order::seq_cst);  // [lookout-1]
  }
  while (thread* t = due.pop()) make_ready(*t);
}

void scheduler::fire_timers(nanoseconds_at now) noexcept {
  for (std::uint32_t i = 0; i < options_.parallelism; ++i) {
    slot& s = slots_[i];
    if (s.next_deadline.load(memory_order::relaxed) <= now) fire_timers_of(s, now);  // relaxed: the lock decides
  }
}

}  // namespace weft
