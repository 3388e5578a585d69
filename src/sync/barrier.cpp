// SPDX-License-Identifier: BSL-1.0
#include "sync/barrier.hpp"

#include "base/fault.hpp"
#include "base/fifo.hpp"

namespace weft::engine::sync {

/// After a fork nobody else is here: who had arrived does not exist, and the round begins anew.
bool barrier::lock() noexcept {
  if (lock_.lock() == generation_lock::found::as_left) return true;
  first_ = nullptr;
  arrived_ = away_ = 0;
  return false;
}

barrier::outcome barrier::arrive(thread& me, std::uint32_t& round) noexcept {
  lock();
  round = round_;
  if (++arrived_ < count_) return wait_locked(me, round);
  arrived_ = 0;
  if (!fault("barrier.forgets_the_round")) ++round_;
  fifo<thread, &thread::next> ready;  // claimed and parked: in no queue
  waiter** link = &first_;
  while (waiter* w = *link) {
    waiter* after = w->next;  // read before the claim: the winner's stack may be gone right after it
    thread* t = w->who;
    const claim_result r = t->wait.claim(w->wait, wake_reason::owner);
    if (r == claim_result::lost) {
      link = &w->next;  // it unlinks itself
      continue;
    }
    *link = after;
    if (r == claim_result::parked) ready.push(*t);
  }
  lock_.unlock();
  while (thread* t = ready.pop()) make_ready(*t);
  return outcome::completed;
}

/// The caller holds the lock, which is released.
barrier::outcome barrier::wait_locked(thread& me, std::uint32_t round) noexcept {
  waiter w(me);
  w.wait = me.wait.prepare();
  w.next = first_;
  first_ = &w;
  lock_.unlock();
  if (park(me, w.wait) == wake_reason::owner) return outcome::passed;
  lock();
  waiter** link = &first_;
  while (*link != nullptr && *link != &w) link = &(*link)->next;
  if (*link == &w) *link = w.next;
  const bool over = round_ != round;
  if (!over) ++away_;
  lock_.unlock();
  return over ? outcome::passed : outcome::interrupted;
}

barrier::outcome barrier::again(thread& me, std::uint32_t round) noexcept {
  lock();
  if (away_ > 0) --away_;
  if (round_ == round) return wait_locked(me, round);
  lock_.unlock();
  return outcome::passed;
}

barrier::use barrier::in_use() noexcept {
  lock();
  const use found = arrived_ != 0 ? use::waited_for : first_ != nullptr || away_ != 0 ? use::leaving : use::none;
  lock_.unlock();
  return found;
}

}  // namespace weft::engine::sync
