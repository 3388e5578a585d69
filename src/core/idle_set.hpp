// SPDX-License-Identifier: BSL-1.0
// Slots that nobody holds and carriers that sleep without one, and who of the sleepers keeps the time and who watches the
// event source.
// I1  A carrier is in the list of sleepers exactly while `asleep` is true; whoever takes it off must wake it.
// I2  `lookout` is the time at which the time keeper will look at the timers, `never` when there is none.
// I3  At most one carrier watches; it sleeps inside the event source, and whoever takes it off interrupts that. It stays the
//     watcher until it is out again (remove_sleeper): a second one inside could hear the interrupt that is meant for the
//     first. None becomes watcher while no slot is idle, for it could not run what it finds, unless slots hardly switch.
#pragma once
#include <cstdint>

#include "base/spinlock.hpp"
#include "core/carrier.hpp"
#include "core/slot.hpp"

namespace weft::engine {

class idle_set {
 public:
  void put_slot(slot& s) noexcept {
    locked hold(lock_);
    put_slot_locked(s);
  }
  /// For somebody who could not find a carrier for it. False: a carrier went to sleep meanwhile, try again.
  bool put_slot_if_nobody_sleeps(slot& s) noexcept {
    locked hold(lock_);
    if (sleepers_ != nullptr) return false;
    put_slot_locked(s);
    return true;
  }
  slot* take_slot() noexcept {
    locked hold(lock_);
    return take_slot_locked();
  }

  /// Takes this very slot off the list. False: it is not there, somebody has it.
  bool take_slot(slot& s) noexcept {
    locked hold(lock_);
    for (slot** link = &slots_; *link != nullptr; link = &(*link)->next_idle) {
      if (*link != &s) continue;
      *link = s.next_idle;
      count_.fetch_sub(1, memory_order::relaxed);  // relaxed: only increments must be seen
      return true;
    }
    return false;
  }

  /// The watcher only if nobody else sleeps.
  carrier* take_sleeper() noexcept {
    locked hold(lock_);
    carrier* c = sleepers_;
    if (c != nullptr && c == watcher_ && c->next_asleep != nullptr) c = c->next_asleep;
    if (c != nullptr) unlink_locked(*c);
    return c;
  }

  /// Makes a sleeper that does not watch look around by itself: it stays on the list. Null: there is none.
  carrier* nudge_sleeper() noexcept {
    locked hold(lock_);
    carrier* c = sleepers_;
    if (c != nullptr && c == watcher_) c = c->next_asleep;
    if (c != nullptr) c->wake_word.store(1, memory_order::relaxed);  // relaxed: the futex call that follows orders
    return c;
  }

  /// Lists `c` as a sleeper. Returns when it must wake by itself to look at timers (`never`: not at all), and makes it the
  /// watcher (c.watches) if `events` are waited for and nobody watches.
  nanoseconds_at put_sleeper(carrier& c, nanoseconds_at earliest, bool events) noexcept {
    locked hold(lock_);
    c.asleep = true;
    const bool useful = slots_ != nullptr || watch_in_any_case();
    const bool watches = events && watcher_ == nullptr && useful;
    c.watches.store(watches, memory_order::relaxed);  // relaxed: see scheduler::rouse
    if (watches) {
      watcher_ = &c;
      watched_.store(true, memory_order::relaxed);  // relaxed: who misses it only looks once more
    }
    c.prev_asleep = nullptr;
    c.next_asleep = sleepers_;
    if (sleepers_ != nullptr) sleepers_->prev_asleep = &c;
    sleepers_ = &c;
    if (keeper_ != nullptr && lookout_.load(memory_order::relaxed) <= earliest) return never;  // relaxed: under the lock
    keeper_ = &c;
    lookout_.store(earliest, memory_order::seq_cst);  // [lookout-1]
    return earliest;
  }

  /// True if `c` was still listed and is not any more; false if somebody took it off and is about to wake it.
  bool remove_sleeper(carrier& c) noexcept {
    locked hold(lock_);
    if (watcher_ == &c) {
      watcher_ = nullptr;
      watched_.store(false, memory_order::relaxed);  // relaxed: as in watched
    }
    if (!c.asleep) return false;
    unlink_locked(c);
    return true;
  }

  [[nodiscard]] bool somebody_sleeps() noexcept {
    locked hold(lock_);
    return sleepers_ != nullptr;
  }

  /// Set by the monitor: carriers come by so rarely that a sleeper is to watch although no slot is idle.
  [[nodiscard]] bool watch_in_any_case() const noexcept { return watch_in_any_case_.load(memory_order::relaxed); }  // relaxed: a hint
  void watch_in_any_case(bool yes) noexcept { watch_in_any_case_.store(yes, memory_order::relaxed); }  // relaxed: a hint

  /// Does a sleeping carrier watch the event source?
  [[nodiscard]] bool watched() const noexcept {
    return watched_.load(memory_order::relaxed);  // relaxed: ordered by tell_monitor and the monitor's fence  [watch-1]
  }
  [[nodiscard]] std::uint32_t slots() const noexcept { return count_.load(memory_order::relaxed); }          // relaxed: a hint
  [[nodiscard]] std::uint32_t slots_ordered() const noexcept { return count_.load(memory_order::seq_cst); }  // [idle-1]
  [[nodiscard]] nanoseconds_at lookout() const noexcept { return lookout_.load(memory_order::seq_cst); }     // [lookout-1]

  void reset() noexcept {
    lock_.reset();
    slots_ = nullptr;
    sleepers_ = keeper_ = watcher_ = nullptr;
    watched_.store(false, memory_order::relaxed);  // relaxed: the forked child has one thread
    count_.store(0, memory_order::relaxed);        // relaxed: the forked child has one thread
    lookout_.store(never, memory_order::relaxed);  // relaxed: as above
  }
  spinlock& lock() noexcept { return lock_; }

 private:
  void put_slot_locked(slot& s) noexcept {
    s.next_idle = slots_;
    slots_ = &s;
    count_.fetch_add(1, memory_order::seq_cst);  // [idle-1] then the caller looks at the global queue once more
  }
  slot* take_slot_locked() noexcept {
    slot* s = slots_;
    if (s != nullptr) {
      slots_ = s->next_idle;
      count_.fetch_sub(1, memory_order::relaxed);  // relaxed: only increments must be seen
    }
    return s;
  }
  void unlink_locked(carrier& c) noexcept {
    (c.prev_asleep != nullptr ? c.prev_asleep->next_asleep : sleepers_) = c.next_asleep;
    if (c.next_asleep != nullptr) c.next_asleep->prev_asleep = c.prev_asleep;
    c.asleep = false;
    if (keeper_ == &c) {
      keeper_ = nullptr;
      lookout_.store(never, memory_order::seq_cst);  // [lookout-1]
    }
  }

  spinlock lock_;
  slot* slots_ = nullptr;
  carrier* sleepers_ = nullptr;  // newest first: its cache is warmest
  carrier* keeper_ = nullptr;
  carrier* watcher_ = nullptr;
  atomic<bool> watched_{false};
  atomic<bool> watch_in_any_case_{false};
  atomic<std::uint32_t> count_{0};
  // [lookout-1] Who arms a deadline publishes it, then reads `lookout` and the monitor's; who goes to sleep publishes
  // its lookout, then reads the deadlines once more. All are seq_cst: a deadline is never earlier than all lookouts
  // unseen.
  atomic<nanoseconds_at> lookout_{never};
};

}  // namespace weft::engine
