// SPDX-License-Identifier: BSL-1.0
// The switch itself and what is built from it: park, yield, retire, and what to do at the end of a section.
#include <utility>

#include "arch/thread_pointer.hpp"
#include "base/assert.hpp"
#include "core/cpu_time.hpp"
#include "core/scheduler.hpp"
#include "core/section.hpp"
#include "os/features.hpp"
#include "os/futex.hpp"
#include "os/signal_mask.hpp"
#include "os/thread_pointer.hpp"

namespace weft::engine {

[[gnu::used]] thread_local constinit thread* current_thread = nullptr;  // named in assembly
thread_local constinit carrier* current_carrier = nullptr;

namespace {

/// A thread that borrows storage must find there what it left in another carrier's: who runs, and its exceptions.
void lend_storage(carrier& c, thread& t) noexcept {
  *c.shown = &t;
  if (c.exceptions != nullptr && (t.exceptions.caught != nullptr || t.exceptions.under_way != 0)) [[unlikely]]
    *c.exceptions = std::exchange(t.exceptions, {});
}
void take_storage_back(carrier& c, thread& t) noexcept {
  if (c.exceptions != nullptr && (c.exceptions->caught != nullptr || c.exceptions->under_way != 0)) [[unlikely]]
    t.exceptions = std::exchange(*c.exceptions, {});
}

/// What the switch must write to the thread-pointer register: 0 if it holds the right value already.
std::uintptr_t pointer_change(std::uintptr_t from, std::uintptr_t to) noexcept {
  if (from == to) return 0;
  if (os::machine.fsgsbase) [[likely]] return to;
  os::set_thread_pointer_slowly(to);
  return 0;
}

std::uintptr_t pointer_of(const thread& t, const carrier& c) noexcept {
  return t.thread_pointer != 0 ? t.thread_pointer : c.thread_pointer;
}

}  // namespace

/// [section] Whatever has to be true before the first instruction of `next`.
[[gnu::always_inline]] inline void scheduler::prepare_to_run(carrier& c, thread& next) noexcept {
  slot::bump(c.holding->switches);
  next.on = &c;
  c.current.store(&next, memory_order::release);  // [current-1] see monitor::inside
  if (next.signal_mask != c.kernel_mask) [[unlikely]] {
    c.kernel_mask = next.signal_mask;
    os::set_thread_mask(next.signal_mask);
  }
  if (threads_may_borrow && next.thread_pointer == 0) lend_storage(c, next);
}

void scheduler::resume_from_loop(carrier& c, thread& next) noexcept {
  if (accounting_switches.load(memory_order::relaxed) != 0) [[unlikely]]  // relaxed: late by a switch is early enough
    account_switch(c);
  prepare_to_run(c, next);
  c.stack.leave_for(next.stack, false);
  arch::switch_context(c.context, next.context, pointer_change(c.thread_pointer, pointer_of(next, c)));
}

void scheduler::commit_park(thread& left) noexcept {
  if (!left.wait.commit()) return make_ready(left);
  // [parked-1] Who sends a signal, or cancels, sets the bit, then looks whether the thread waits; we commit, then look at the
  // bit. Both are exchanges followed by a load, so one of the two sees the other: no thread parks with something to be done.
  if ((left.pending.load(memory_order::seq_cst) & (pending_work::signals | pending_work::settle)) == 0) [[likely]] return;
  ticket wait{};
  if (left.wait.current_ticket(wait)) (void)wake(left, wait, wake_reason::interrupt);
}

[[gnu::always_inline]] inline void scheduler::after_here(carrier& c) noexcept {
  thread* left = c.previous;
  if (left == nullptr) return;
  c.previous = nullptr;
  switch (c.after) {
    case after_switch::nothing:
      break;
    case after_switch::commit_park:
      commit_park(*left);
      break;
    case after_switch::requeue:
      push_local(*c.holding, *left);
      break;
    case after_switch::requeue_global:
      if (left->placed) [[unlikely]] {
        push_placed(*left, became_ready::put_back);
      } else {
        push_global(*left);
      }
      break;
    case after_switch::retire:
      left->stack.destroyed();
      hooks_.retired(*left);
      break;
  }
}

[[gnu::always_inline]] inline void scheduler::finish_switch_here(thread& me) noexcept {
  me.stack.entered();
  carrier& c = *me.on;
  after_here(c);
  if (c.arrived.load(memory_order::relaxed)) [[unlikely]] {  // relaxed: same kernel thread
    // It found somebody on the way out, or the loop: whoever runs now sees to it at the end of this section.
    c.arrived.store(false, memory_order::relaxed);                 // relaxed: as above
    me.pending.fetch_or(pending_work::signals, memory_order::seq_cst);  // [pending-1]
  }
}

void scheduler::finish_switch(thread& me) noexcept { finish_switch_here(me); }
void scheduler::after(carrier& c) noexcept { after_here(c); }

/// The one place where a thread is left. Inlined with all that follows, and with one switch in it: what a thread returns
/// through after a switch should be few addresses, and the same for all of them, or the CPU mispredicts each.
[[gnu::always_inline]] inline void scheduler::switch_away(thread& me, after_switch what, thread* next) noexcept {
  carrier& c = *me.on;
  c.previous = &me;
  c.after = what;
  const bool for_ever = what == after_switch::retire;
  const bool accounting = accounting_switches.load(memory_order::relaxed) != 0;  // relaxed: late by a switch is early enough
  if (accounting) [[unlikely]] account_switch(c);
  if (threads_may_borrow && me.thread_pointer == 0) take_storage_back(c, me);
  const arch::context* to = &c.context;
  std::uintptr_t pointer = c.thread_pointer;
  if (next != nullptr) {
    prepare_to_run(c, *next);
    to = &next->context;
    pointer = pointer_of(*next, c);
    me.stack.leave_for(next->stack, for_ever);
  } else {
    if (!accounting) account_when_due(c);
    c.current.store(nullptr, memory_order::relaxed);  // relaxed: see monitor::inside
    if (threads_may_borrow) *c.shown = nullptr;
    me.stack.leave_for(c.stack, for_ever);
  }
  arch::switch_context(me.context, *to, pointer_change(pointer_of(me, c), pointer));
  finish_switch_here(me);
}

[[gnu::always_inline]] inline thread* scheduler::pick(slot& s) noexcept {
  const rotation asked = s.rotate.load(memory_order::relaxed);  // relaxed: a request that may come a little late
  if (asked != rotation::none) [[unlikely]] return pick_rotated(s, asked);
  if (thread* t = s.swap_newest(nullptr)) return t;
  slot::bump(s.slices);
  // Now and then the global queue first, so that two threads that feed each other cannot keep it waiting for ever.
  if (s.slices.load(memory_order::relaxed) % 61 == 0 || !s.pinned.empty()) [[unlikely]]  // relaxed: ours
    if (thread* t = pick_elsewhere_first(s)) return t;
  if (thread* t = s.queue.pop()) return t;
  return pick_elsewhere(s);
}

[[gnu::noinline]] thread* scheduler::pick_elsewhere_first(slot& s) noexcept {
  if (!s.pinned.empty()) {  // by turns with all others
    s.pinned_turn = !s.pinned_turn;
    s.expects_pinned = true;
    if (s.pinned_turn)
      if (thread* t = s.pinned.pop()) return t;
  }
  if (s.slices.load(memory_order::relaxed) % 61 != 0) return nullptr;  // relaxed: ours
  // A whole share of the global queue, and no new events before it is empty: ten thousand ready descriptors would otherwise fill the slot's own
  // queue faster than it drains, and what overflowed from there into the global queue would wait for seconds.
  if (global_.empty()) poll_events();
  return take_global(s);
}

[[gnu::noinline]] thread* scheduler::pick_elsewhere(slot& s) noexcept {
  if (thread* t = take_global(s)) return t;
  return s.pinned.pop();
}

thread* scheduler::pick_for_loop(slot& s) noexcept { return pick(s); }

[[gnu::noinline]] thread* scheduler::pick_rotated(slot& s, rotation asked) noexcept {
  s.rotate.store(rotation::none, memory_order::relaxed);  // relaxed: a request
  thread* newest = s.swap_newest(nullptr);
  slot::bump(s.slices);
  const bool global_first = asked == rotation::global_first || !s.global_turn;
  s.global_turn = global_first;
  thread* t = global_first ? global_.pop() : s.queue.pop();
  if (t == nullptr) t = global_first ? s.queue.pop() : global_.pop();
  if (t == nullptr) t = s.pinned.pop();
  if (t == nullptr) return newest;
  if (newest != nullptr) push_local(s, *newest);
  return t;
}

thread* scheduler::take_global(slot& s) noexcept {
  if (global_.empty()) return nullptr;
  thread* first = global_.pop();
  if (ordered()) return first;
  // A fair share for this slot, so that the lock is taken once in a while and not for each thread.
  std::uint32_t more = global_.size() / options_.parallelism;
  if (more > 64) more = 64;
  while (first != nullptr && more-- > 0) {
    thread* t = global_.pop();
    if (t == nullptr) break;
    push_local(s, *t);
  }
  return first;
}

wake_reason scheduler::park(thread& me, ticket t, nanoseconds_at deadline) noexcept {
  if (deadline != never) arm(me, t, deadline);
  if (!me.wait.woken()) {
    thread* next = pick(*me.on->holding);
    if (next != nullptr && deadline != never) watch_deadline(deadline);
    switch_away(me, after_switch::commit_park, next);
  }
  const wake_reason why = me.wait.reason();
  if (deadline != never && why != wake_reason::deadline) disarm(me, t);  // what has fired is out of the queue
  return why;
}

/// Somebody who is at least as urgent as `me`, whose rank is that of now.
[[gnu::noinline]] thread* scheduler::pick_as_urgent(thread& me) noexcept {
  rank_changed(me);
  thread* next = pick(*me.on->holding);
  if (next == nullptr || next->rank.load(memory_order::relaxed) <= me.rank.load(memory_order::relaxed)) return next;  // relaxed: both are ours now
  push_placed(*next, became_ready::put_back);
  return nullptr;
}

bool scheduler::yield(thread& me) noexcept {
  thread* next = ordered() ? pick_as_urgent(me) : pick(*me.on->holding);
  if (next == nullptr) return false;
  switch_away(me, after_switch::requeue, next);
  return true;
}

void scheduler::retire(thread& me, thread* successor) noexcept {
  if (me.on->bound.load(memory_order::relaxed)) [[unlikely]] {  // relaxed: our own doing
    if (successor != nullptr) make_ready(*successor);
    successor = nullptr;  // the carrier's loop ends the kernel thread
  } else {
    if (successor != nullptr && (successor->home != this || successor->placed)) [[unlikely]]
      make_ready(*std::exchange(successor, nullptr));
    if (successor == nullptr) successor = pick(*me.on->holding);
  }
  switch_away(me, after_switch::retire, successor);
  invariant_broken("a retired thread was resumed", __FILE__, __LINE__);
}

void scheduler::hand_off(thread& me) noexcept {
  carrier& c = *me.on;
  slot& s = *c.holding;
  const bool ours = c.claim.release();
  c.holding = nullptr;
  if (!ours) return;  // the monitor had the same thought
  s.holder.store(nullptr, memory_order::relaxed);  // relaxed: a hint
  if (s.has_work() || !global_.empty() || (time_is_virtual() && earliest_deadline() != never)) {
    (void)give_slot(s);
    return;
  }
  idle_.put_slot(s);
  if (!global_.empty_ordered()) wake_one_more();                                       // [idle-1] as in find_work
  if (!s.pinned.empty_ordered() && idle_.take_slot(s) && !give_slot(s)) tell_monitor();  // [idle-1]
  if (const nanoseconds_at deadline = earliest_deadline(); deadline != never) watch_deadline(deadline);
}

void scheduler::bind(thread& me) noexcept {
  hand_off(me);
  me.kind = thread_kind::foreign;
}

void scheduler::regain_slot(thread& me) noexcept {
  carrier& c = *me.on;
  c.holding = nullptr;
  if (me.pinned < 0) {
    if (slot* s = idle_.take_slot()) return hand(c, *s);
  } else if (slot& own = slots_[me.pinned]; idle_.take_slot(own)) {
    return hand(c, own);
  }
  switch_away(me, after_switch::requeue_global, nullptr);
}

[[gnu::noinline]] void regain(thread& me) noexcept { me.on->home->regain_slot(me); }

[[gnu::noinline]] void attend(thread& me) noexcept {
  for (;;) {
    // [pending-1] seq_cst costs nothing here and keeps the bits of a handler that interrupts this very exchange.
    const std::uint32_t bits = me.pending.exchange(0, memory_order::seq_cst);
    if (bits == 0) return;
    if ((bits & pending_work::signals) != 0) the_scheduler.hooks().signals(me);
    if (const auto settle = the_scheduler.hooks().settle; settle != nullptr && (bits & pending_work::settle) != 0) settle(me);
    if ((bits & pending_work::preempt) != 0 && me.kind == thread_kind::user) {
      const section in(me);
      me.on->home->yield(me);
    }
  }
}

}  // namespace weft::engine
