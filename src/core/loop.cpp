// SPDX-License-Identifier: BSL-1.0
// What a carrier does when its slot is dry: fire timers, steal, search for a moment, sleep.
//
// Falling asleep without losing work [idle-1]: the carrier publishes its slot as idle, then looks at the global queue
// once more; who pushes there does the reverse. Work in another slot's queue needs no such care: a slot with work has a
// holder (slot.hpp, I1), or the monitor is awake.
// With an event source one of the sleepers, the watcher, sleeps inside it (core/event_source.hpp).
// Rejected: searching until something turns up (burns a CPU); one wake-up per push (a storm at fan-out).
#include "base/assert.hpp"
#include "base/fault.hpp"
#include "core/scheduler.hpp"
#include "os/clock.hpp"
#include "os/futex.hpp"
#include "os/signal_mask.hpp"
#include "os/task.hpp"

namespace weft::engine {

namespace {
/// No longer than a wake-up across CPUs would cost.
constexpr nanoseconds search_time = 30 * microsecond;
/// A sleeping carrier that is not one of the first few gives its kernel thread back after this long.
constexpr nanoseconds spare_time = 2 * second;
}  // namespace

void scheduler::loop(carrier& c) noexcept {
  for (;;) {
    c.stack.entered();
    after(c);
    if (c.bound.load(memory_order::relaxed)) [[unlikely]]  // relaxed: set by the thread that has just retired here
      end_bound(c);
    // Not holds(): while the monitor tries to take the slot, only an exchange decides who has it (slot_claim, c3).
    if (!c.claim.confirm()) {
      c.holding = nullptr;
      sleep(c);
      keep_a_spare();
    }
    thread* next = find_work(c);
    // We kept the time, most likely, and shall again in a moment. A monitor that is awake looks soon enough in case we do not.
    if (const nanoseconds_at deadline = earliest_deadline(); deadline != never && monitor_dozes.load(memory_order::relaxed) != 0)  // relaxed: see there
      watch_deadline(deadline);
    resume_from_loop(c, *next);
  }
}

thread* scheduler::find_work(carrier& c) noexcept {
  for (;;) {
    if (earliest_deadline() != never) fire_timers(now());
    if (thread* t = pick_for_loop(*c.holding)) return t;
    if (time_is_virtual() && jump_to_next_deadline()) continue;
    poll_events();
    if (thread* t = pick_for_loop(*c.holding)) return t;
    if (thread* t = search(c)) return t;
    // Nothing. Publish the slot, then look once more.
    slot& s = *c.holding;
    const bool ours = c.claim.release();
    c.holding = nullptr;
    if (ours) {
      s.holder.store(nullptr, memory_order::relaxed);  // relaxed: a hint
      idle_.put_slot(s);
      slot* again = nullptr;
      if (!fault("idle.no_second_look") && !global_.empty_ordered()) again = idle_.take_slot();             // [idle-1]
      if (again == nullptr && !fault("idle.pinned_unseen") && !s.pinned.empty_ordered() && idle_.take_slot(s)) again = &s;  // [idle-1]
      if (again != nullptr) {
        hand(c, *again);
        continue;
      }
    }
    sleep(c);
    keep_a_spare();
  }
}

thread* scheduler::search(carrier& c) noexcept {
  slot& mine = *c.holding;
  if (options_.parallelism == 1) return nullptr;
  if (thread* t = steal(mine)) return t;
  // At most half of the slots search at a time, and only while others run: those are who would make new work. What is pinned here nobody else
  // can run, so that is waited for in any case, once for each that came.
  const std::uint32_t busy = options_.parallelism - idle_.slots();
  if (!mine.expects_pinned && (busy <= 1 || searching_.load(memory_order::relaxed) * 2 >= busy)) return nullptr;  // relaxed: a limit, not a lock
  searching_.fetch_add(1, memory_order::relaxed);                                       // relaxed: as above
  thread* found = nullptr;
  const nanoseconds_at end = os::now() + search_time;
  do {
    for (int i = 0; i < 64 && mine.pinned.empty(); ++i) pause_cpu();
    found = steal(mine);
    if (found == nullptr) found = take_global(mine);
    if (found == nullptr) found = mine.pinned.pop();
  } while (found == nullptr && os::now() < end);
  mine.expects_pinned &= found != nullptr;
  searching_.fetch_sub(1, memory_order::relaxed);  // relaxed: as above
  return found;
}

thread* scheduler::steal(slot& mine) noexcept {
  const auto me = static_cast<std::uint32_t>(&mine - slots_);
  for (std::uint32_t i = 1; i < options_.parallelism; ++i) {
    slot& victim = slots_[(me + i) % options_.parallelism];
    if (thread* t = victim.queue.steal_into(mine.queue)) {
      slot::bump(mine.slices);
      tell_monitor();  // of the rest, as in push_local
      return t;
    }
  }
  return nullptr;
}

/// Nobody can run: the next thing that happens is that a deadline passes. (A virtual time has one slot and no monitor.)
bool scheduler::jump_to_next_deadline() noexcept {
  const nanoseconds_at next = earliest_deadline();
  if (next == never) return false;
  if (next > now()) virtual_now_.store(next, memory_order::relaxed);  // relaxed: written by the slot's holder, read by its threads
  return true;
}

/// A carrier that looks for others while all slots compute must get a CPU soon; one that computes itself is like any other.
void scheduler::be_urgent(carrier& c, bool urgent) noexcept {
  if (c.urgent == urgent) return;
  c.urgent = urgent;
  os::set_slice(urgent ? os::short_slice : 0);
}

void scheduler::sleep(carrier& c) noexcept {
  sleep_until_given(c);
  be_urgent(c, false);
}

/// Returns with a slot. The carrier stands in nobody's way: it has given its slot up.
void scheduler::sleep_until_given(carrier& c) noexcept {
  for (;;) {
    // [sleep-1] The futex call looks at this word again under the kernel's lock: a waker that took us off the list before
    // we slept has set it, and we do not sleep. What it handed over is read through the claim, not through this word.
    c.wake_word.store(0, memory_order::relaxed);  // relaxed: nobody wakes us before put_sleeper lists us
    event_source* source = events();
    const nanoseconds_at look_at = idle_.put_sleeper(c, time_is_virtual() ? never : earliest_deadline(), source != nullptr && source->anybody());
    const bool watches = c.watches.load(memory_order::relaxed);  // relaxed: ours
    adopt_idle_mask(c);
    be_urgent(c, idle_.slots() == 0 && idle_.watch_in_any_case());
    const bool spare = look_at == never && !watches && c.index > options_.parallelism + 8;
    const nanoseconds_at bound = spare ? os::now() + spare_time : look_at;
    // [lookout-1] A deadline armed since put_sleeper looked is either seen here or its armer sees our lookout. And who
    // pushed work before we were listed found a free slot but no sleeper: if the slot is still free, it is ours. [idle-1]
    const bool timely = look_at == never || earliest_deadline() >= look_at;
    const bool nothing = fault("idle.no_second_look") || fault("idle.sleeper_does_not_look") || global_.empty_ordered() ||
                         idle_.slots_ordered() == 0;
    // A signal may have come before we cleared the word; one that comes from now on rouses us.
    const bool quiet = !c.arrived.load(memory_order::relaxed);  // relaxed: same kernel thread
    ready_list ready;
    if (timely && nothing && quiet) {
      if (!watches) {
        os::futex_wait(c.wake_word, 0, bound == never ? -1 : bound);
      } else {
        // [rouse-1] We say that we are on our way in, then look at the word; the monitor sets the word, then looks whether we
        // are. Both are seq_cst: we see the word, or the monitor sees us and signals until we are out.
        c.in_wait.store(true, memory_order::seq_cst);
        if (c.wake_word.load(memory_order::seq_cst) == 0) source->wait(ready, bound);  // [rouse-1]
        c.in_wait.store(false, memory_order::release);  // [rouse-1]
      }
    }
    const bool taken = !idle_.remove_sleeper(c);
    if (watches) tell_monitor();  // that nobody watches now [watch-1]
    if (taken) {  // somebody took us off the list: we have a slot, or shall have it in an instant
      while (!c.claim.was_given()) give_cpu_away();
      make_all_ready(ready);
      return;
    }
    if (source != nullptr && !watches && source->anybody() && !idle_.watched()) source->poll(ready);  // sent to look
    if (!ready.empty()) {
      slot* s = idle_.take_slot();
      if (s != nullptr) hand(c, *s);
      make_all_ready(ready);
      if (s != nullptr) return;
    }
    // Awake by ourselves: for a signal, for the timers, or because nobody needed us for long.
    if (c.arrived.load(memory_order::relaxed)) {     // relaxed: same kernel thread
      c.arrived.store(false, memory_order::relaxed);  // relaxed: as above; before we look
      compiler_barrier();
      hooks_.arrived();
    }
    const nanoseconds_at now = this->now();
    const bool due = earliest_deadline() <= now;
    if (due || !global_.empty_ordered()) {  // [idle-1] as in find_work
      if (slot* s = idle_.take_slot()) {
        hand(c, *s);
        return;  // find_work fires the timers and runs what comes of it
      }
      if (due) fire_timers(now);  // every slot is busy: the threads go to the global queue
    } else if (spare && now >= bound) {
      recycle_carrier(c);
    }
  }
}

void scheduler::make_all_ready(ready_list& ready) noexcept {
  while (thread* t = ready.pop()) make_ready(*t);
}

void scheduler::poll_events() noexcept {
  event_source* source = events();
  if (source == nullptr || !source->anybody()) return;
  ready_list ready;
  source->poll(ready);
  make_all_ready(ready);
}

void scheduler::set_event_source(event_source& source) noexcept {
  events_.store(&source, memory_order::release);  // [events-1] whoever sees the source (acquire) sees it whole: its functions and what they stand on
}

void scheduler::begin_event_wait() noexcept {
  events()->waiting.fetch_add(1, memory_order::relaxed);  // relaxed: tell_monitor's fence orders it  [watch-1]
  if (!idle_.watched()) tell_monitor();
}

void scheduler::end_event_wait() noexcept {
  events()->waiting.fetch_sub(1, memory_order::relaxed);  // relaxed: who looks in vain does no harm
}

void scheduler::send_somebody_to_look() noexcept {
  if (carrier* c = idle_.nudge_sleeper()) os::futex_wake(c->wake_word, 1);
}

void scheduler::adopt_idle_mask(carrier& c) noexcept {
  if (hooks_.idle_mask == nullptr) return;
  const std::uint64_t mask = hooks_.idle_mask();
  if (mask == c.kernel_mask) return;
  c.kernel_mask = mask;
  os::set_thread_mask(mask);
}

}  // namespace weft::engine
