// SPDX-License-Identifier: BSL-1.0
// Wake-ups: where a thread that became ready is put, and who must be told.
//
// Waking a sleeping carrier on another CPU costs as much as 500 system calls, so a wake-up on a slot stays on the slot:
// its running thread will get there sooner. A sleeping carrier is woken when something waits *behind* the newest, and by
// the monitor, which is awake while anything waits, when the running thread does not get there after all.
#include "base/fault.hpp"
#include "core/scheduler.hpp"
#include "core/section.hpp"
#include "os/fence.hpp"
#include "os/clock.hpp"
#include "os/futex.hpp"
#include "os/kernel_thread.hpp"
#include "os/signal_mask.hpp"

namespace weft::engine {

/// That of this scheduler on which the caller runs, as a thread or as the carrier's loop.
[[gnu::always_inline]] inline carrier* scheduler::callers_carrier() const noexcept {
  const thread* me = current();
  carrier* c = me != nullptr && me->kind == thread_kind::user ? me->on : current_carrier;
  return c != nullptr && c->home == this ? c : nullptr;
}

void scheduler::make_ready(thread& t) noexcept {
  if (t.kind == thread_kind::foreign) {
    t.foreign_wake.fetch_or(thread::made_ready, memory_order::release);  // [foreign-1] see park_foreign
    os::futex_wake(t.foreign_wake, 1);
    return;
  }
  if (t.home != this) [[unlikely]] return t.home->make_ready(t);
  carrier* c = callers_carrier();
  if (c == nullptr || !c->claim.holds()) return push_global(t);
  slot& s = *c->holding;
  if (t.placed && (ordered() || &s != &slots_[t.pinned])) [[unlikely]] return push_placed(t, became_ready::woken);
  thread* displaced = s.swap_newest(&t);
  if (displaced != nullptr) {
    push_local(s, *displaced);
    if (idle_.slots() != 0 && searching_.load(memory_order::relaxed) == 0)  // relaxed: only saves a wake-up
      wake_one_more();
  }
  tell_monitor();
}

// Threads begin in the order of their creation, unlike woken ones: programs count on it more than they should (a thread that
// installs the handler of a signal, the next one that sends it), and native threads mostly do so.
void scheduler::start_thread(thread& t) noexcept {
  t.home = this;
  t.placed = t.pinned >= 0 || ordered();
  if (t.placed) [[unlikely]] return push_placed(t, became_ready::started);
  carrier* c = callers_carrier();
  if (c == nullptr || !c->claim.holds() || !c->holding->has_work()) return make_ready(t);
  slot& s = *c->holding;
  if (thread* before = s.swap_newest(nullptr)) push_local(s, *before);
  push_local(s, t);
  if (idle_.slots() != 0 && searching_.load(memory_order::relaxed) == 0)  // relaxed: only saves a wake-up
    wake_one_more();
  tell_monitor();
}

bool scheduler::wake(thread& t, ticket ticket, wake_reason why) noexcept {
  switch (t.wait.claim(ticket, why)) {
    case claim_result::lost:
      return false;
    case claim_result::running:
      return true;
    case claim_result::parked:
      make_ready(t);
      return true;
  }
  return false;
}

/// The thread has another place, or the slot's queue is full.
[[gnu::noinline]] void scheduler::push_beyond(slot& s, thread& t) noexcept {
  if (t.placed) return push_placed(t, became_ready::yielded);
  // Full: half of it goes to the global queue, oldest first, and this one behind them.
  thread* batch[256];
  const std::uint32_t n = s.queue.take_half([&](std::uint32_t i, thread* element) { batch[i] = element; });
  for (std::uint32_t i = 0; i < n; ++i) (void)global_.push(*batch[i]);
  push_global(t);
}

void scheduler::push_global(thread& t) noexcept {
  if (t.placed) [[unlikely]] return push_placed(t, became_ready::woken);
  (void)global_.push(t);
  if (idle_.slots_ordered() != 0) {  // [idle-1] see global_queue::push
    wake_one_more();
  } else {
    tell_monitor();
  }
}

void scheduler::push_placed(thread& t, became_ready why) noexcept {
  if (t.pinned >= 0) return push_pinned(t);
  const std::int64_t rank = global_.push(t, why);
  if (idle_.slots_ordered() != 0) {  // [idle-1] see global_queue::push
    wake_one_more();
  } else {
    tell_monitor();
    if (why != became_ready::yielded) displace_for(rank);
  }
}

void scheduler::push_pinned(thread& t) noexcept {
  slot& s = slots_[t.pinned];
  (void)s.pinned.push(t);
  // [idle-1] see global_queue::push. Where no carrier is to be had, the monitor tries again.
  if (idle_.slots_ordered() == 0 || !idle_.take_slot(s) || !give_slot(s)) tell_monitor();
}

/// Something has become ready, and no slot is idle: of those that run, the one with the greatest rank gives way, if that is greater.
void scheduler::displace_for(std::int64_t rank) noexcept {
  carrier* last = nullptr;
  std::int64_t greatest = rank;
  for (std::uint32_t i = 0; i < options_.parallelism; ++i) {
    carrier* c = slots_[i].holder.load(memory_order::acquire);                           // [holder-1] as in the monitor
    const thread* t = c != nullptr ? c->current.load(memory_order::acquire) : nullptr;  // [current-1] as in the monitor
    if (t == nullptr || t->rank.load(memory_order::relaxed) <= greatest) continue;      // relaxed: who asks in vain does no harm
    greatest = t->rank.load(memory_order::relaxed);                                     // relaxed: as above
    last = c;
  }
  if (last == nullptr) return;
  if (thread* me = current(); me != nullptr && me->on == last && me->kind == thread_kind::user)
    me->pending.fetch_or(pending_work::preempt, memory_order::seq_cst);  // [pending-1] for the end of this section
  else
    os::signal_kernel_thread(last->tid.load(memory_order::relaxed), os::preempt_signal);  // relaxed: does not change
}

[[gnu::noinline]] void scheduler::wake_monitor() noexcept {
  // [doze-1] One waker is enough; acq_rel keeps the word's store behind the exchange.
  if (monitor_dozes.exchange(0, memory_order::acq_rel) == 0) return;
  monitor_word.store(1, memory_order::release);  // [doze-1]
  os::futex_wake(monitor_word, 1);
}

void scheduler::hand(carrier& c, slot& s) noexcept {
  c.holding = &s;
  s.holder.store(&c, memory_order::release);  // [holder-1]
  c.claim.give(static_cast<std::uint32_t>(&s - slots_));
}

void scheduler::wake_one_more() noexcept {
  if (slot* s = idle_.take_slot()) (void)give_slot(*s);
}

bool scheduler::give_slot(slot& s) noexcept {
  // The monitor has left the process's descriptor table, and a carrier inherits its maker's: it must not make any. For
  // its sake one carrier more than needed always sleeps (keep_a_spare).
  // Nor must a bound thread: a carrier would inherit its policy and its CPUs.
  const thread* me = current();
  const carrier* mine = me != nullptr ? me->on : current_carrier;
  const bool may_make = mine != nullptr ? !mine->bound.load(memory_order::relaxed) : me != nullptr;  // relaxed: its own
  for (;;) {
    if (carrier* sleeper = idle_.take_sleeper()) {
      hand(*sleeper, s);
      rouse(*sleeper, 1);
      return true;
    }
    if (may_make && new_carrier(&s) != nullptr) return true;
    // A carrier that went to sleep meanwhile looked before the slot was free again: then it is for us to wake it.
    if (idle_.put_slot_if_nobody_sleeps(s)) return false;
  }
}

void scheduler::rouse(carrier& c, std::uint32_t why) noexcept {
  // relaxed: written under the idle lock, under which it was taken off the list. Read before the store: from then on the
  // carrier may be on its way into another sleep (and a wake-up in vain does no harm).
  event_source* source = c.watches.load(memory_order::relaxed) ? events() : nullptr;
  c.wake_word.store(why, memory_order::seq_cst);  // [sleep-1] [rouse-1] after hand(); ends the sleep
  if (source == nullptr) {
    os::futex_wake(c.wake_word, 1);
  } else if (current() != nullptr || current_carrier != nullptr) {
    source->interrupt();
  } else {
    // The monitor has none of the source's descriptors. A signal that comes just before the carrier begins to wait has no
    // effect, hence again and again: until it is out, or begins another sleep (with the word at 0).
    while (c.in_wait.load(memory_order::seq_cst) &&                // [rouse-1]
           c.wake_word.load(memory_order::relaxed) == why) {       // relaxed: a later look does as well
      os::signal_kernel_thread(c.tid.load(memory_order::relaxed), os::preempt_signal);  // relaxed: it does not change
      os::sleep_for(20 * microsecond);
    }
  }
}

void scheduler::keep_a_spare() noexcept {
  if (!idle_.somebody_sleeps()) (void)new_carrier(nullptr);
}

}  // namespace weft::engine
