// SPDX-License-Identifier: BSL-1.0
// Deadlines of parked threads. Each slot has a queue of its own, so that arming is mostly uncontended; any carrier that
// runs dry, and the monitor when none does, fires all of them. Running carriers never read a clock.
#include "base/fault.hpp"
#include "core/scheduler.hpp"
#include "os/clock.hpp"
#include "os/futex.hpp"

namespace weft::engine {

namespace {
/// So many are taken out of a queue at a time: others who arm their deadlines there wait for no more than that.
constexpr std::uint32_t fired_at_once = 32;
}  // namespace

void scheduler::arm(thread& me, ticket t, nanoseconds_at deadline) noexcept {
  slot& s = *me.on->holding;
  locked hold(s.timer_lock);
  deadline_node* node = s.nodes.take();
  if (node == nullptr) node = &me.own_timer;
  node->owner = &me;
  node->wait = t;
  me.timer = node;
  me.timer_slot = &s;
  s.timers.arm(*node, deadline);
  // [lookout-1] publish, then (watch_deadline, or sleep() of this carrier) read who looks when.
  s.next_deadline.store(s.timers.next(), memory_order::seq_cst);
}

void scheduler::disarm(thread& me, ticket t) noexcept {
  // A slot's timers outlive every carrier change; the thread remembers where it armed.
  slot& s = *me.timer_slot;
  deadline_node& node = *me.timer;
  locked hold(s.timer_lock);
  if (node.owner != &me || node.wait != t || !node.armed()) return;  // it has just fired, in vain
  s.timers.disarm(node);
  if (&node != &me.own_timer) s.nodes.put(node);
  s.next_deadline.store(s.timers.next(), memory_order::relaxed);  // relaxed: later than before; an early look is harmless
}

nanoseconds_at scheduler::now() const noexcept {
  const nanoseconds_at own = virtual_now_.load(memory_order::relaxed);  // relaxed: see jump_to_next_deadline
  return own != 0 ? own : os::now();
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
  // Threads are claimed and made ready outside the lock: it may have to wake a carrier, and each of them is a page that
  // nobody has touched for long. Meanwhile a thread may be woken otherwise and wait again: its ticket is another then.
  struct {
    thread* who;
    ticket wait;
  } due[fired_at_once];
  std::uint32_t n = 0;
  do {
    n = 0;
    {
      locked hold(s.timer_lock);
      while (n < fired_at_once) {
        auto* node = static_cast<deadline_node*>(s.timers.pop_due(now));
        if (node == nullptr) break;
        thread* who = node->owner;
        due[n++] = {who, node->wait};
        __builtin_prefetch(&who->wait, 1);
        if (node != &who->own_timer) s.nodes.put(*node);
      }
      s.next_deadline.store(s.timers.next(), memory_order::seq_cst);  // [lookout-1]
    }
    for (std::uint32_t i = 0; i < n; ++i) (void)wake(*due[i].who, due[i].wait, wake_reason::deadline);
  } while (n == fired_at_once);
}

void scheduler::fire_timers(nanoseconds_at now) noexcept {
  for (std::uint32_t i = 0; i < options_.parallelism; ++i) {
    slot& s = slots_[i];
    if (s.next_deadline.load(memory_order::relaxed) <= now) fire_timers_of(s, now);  // relaxed: the lock decides
  }
}

}  // namespace weft::engine
