// SPDX-License-Identifier: BSL-1.0
#include "sync/mutex.hpp"

#include <errno.h>

#include "base/fault.hpp"
#include "base/pause.hpp"
#include "base/spinlock.hpp"

namespace weft::engine::sync {

namespace {
constexpr int spins = 60;

void wait_a_moment(int& turn) noexcept {
  if (++turn % 128 != 0) return pause_cpu();
  give_cpu_away();  // the holder of a list may have been descheduled by the kernel
}
}  // namespace

bool mutex_word::try_lock_slow(std::uint32_t seen) noexcept {
  while ((seen & held) == 0) {
    // [mutex-1] acquire, as in try_lock.
    if (word_.compare_exchange_weak(seen, seen | held, memory_order::acquire, memory_order::relaxed))  // relaxed: retry
      return true;
  }
  return false;
}

/// The list is from before a fork: whoever gets its lock in this process first empties it.
void mutex_word::drop_stale_list(std::uint32_t seen, wait_list& list) noexcept {
  // [mutex-2] acquire: nothing of the old list counts, but the next holder's links must come after ours.
  if (!word_.compare_exchange_strong(seen, (seen & held) | list_locked | mark(), memory_order::acquire,
                                     memory_order::relaxed))  // relaxed: somebody else did it
    return;
  list.clear();
  unlock_list(list);
}

/// The caller's own waiter is in the list: it is of this generation, and not empty.
void mutex_word::lock_list() noexcept {
  for (int turn = 0;;) {
    std::uint32_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchange decides
    // [mutex-2] acquire: the list as its last holder left it.
    if ((seen & list_locked) == 0 &&
        word_.compare_exchange_weak(seen, seen | list_locked, memory_order::acquire, memory_order::relaxed))  // relaxed: retry
      return;
    wait_a_moment(turn);
  }
}

void mutex_word::unlock_list(const wait_list& list) noexcept {
  const std::uint32_t gone = list.empty() ? list_locked | waiters : list_locked;
  std::uint32_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchange decides
  // [mutex-2] release: the next holder of the list sees our links. Others may change `held` and `coming` meanwhile, hence no store.
  while (!word_.compare_exchange_weak(seen, tidy(seen & ~gone), memory_order::release, memory_order::relaxed)) {  // relaxed: retry
  }
}

int mutex_word::lock_slow(thread& me, wait_list& list, nanoseconds_at deadline, unsigned& losses) noexcept {
  int budget = spinning_helps() ? spins : 0;
  waiter w(me);
  std::uint32_t mine = 0;  // `coming` while we are the one
  for (int turn = 0;;) {
    std::uint32_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchanges decide
    if ((seen & held) == 0) {
      // [mutex-1] acquire, as in try_lock.
      if (word_.compare_exchange_weak(seen, tidy((seen & ~mine) | held), memory_order::acquire, memory_order::relaxed)) return 0;  // relaxed: retry
      continue;
    }
    if (seen == held && budget-- > 0) {
      pause_cpu();
      continue;
    }
    if (stale(seen)) {
      drop_stale_list(seen, list);
      continue;
    }
    if ((seen & list_locked) != 0) {
      wait_a_moment(turn);
      continue;
    }
    // [mutex-2] acquire: the list. The exchange proves that the lock is held while we enter the list (I3).
    if (!word_.compare_exchange_weak(seen, (seen & ~mine) | list_locked | waiters | mark(), memory_order::acquire, memory_order::relaxed))  // relaxed: retry
      continue;
    mine = 0;
    w.wait = me.wait.prepare();
    w.starving = losses >= most_losses;
    w.granted = false;
    if (losses != 0) {
      list.push_front(w);
    } else {
      list.push_back(w);
    }
    unlock_list(list);
    const wake_reason why = park(me, w.wait, deadline);
    if (why == wake_reason::owner) {
      if (w.granted) {
        // [mutex-2] acquire: who handed us the lock is done with the list, also if it claimed us before we had parked; we may destroy the mutex.
        for (int wait = 0; (word_.load(memory_order::acquire) & list_locked) != 0;) wait_a_moment(wait);
        return 0;
      }
      if (!fault("mutex.stays_on_the_way")) mine = coming;
      ++losses;
      continue;
    }
    lock_list();
    list.remove(w);
    unlock_list(list);
    return why == wake_reason::deadline ? ETIMEDOUT : EINTR;
  }
}

void mutex_word::unlock_slow(wait_list& list) noexcept {
  for (int turn = 0;;) {
    if (unlock_fast()) return;
    std::uint32_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchange decides
    if (stale(seen)) {
      drop_stale_list(seen, list);
      continue;
    }
    if ((seen & coming) != 0) {
      // [mutex-1] release: the next holder sees what we wrote. Our last touch of the mutex (I2).
      if (word_.compare_exchange_weak(seen, tidy(seen & ~held), memory_order::release, memory_order::relaxed)) return;  // relaxed: retry
      continue;
    }
    // [mutex-2] acquire: the list.
    if ((seen & list_locked) == 0 && word_.compare_exchange_weak(seen, seen | list_locked | mark(), memory_order::acquire,
                                                                 memory_order::relaxed))  // relaxed: retry
      break;
    wait_a_moment(turn);
  }
  // The list is ours and the lock is held by us, and nobody is on the way: nobody else can change the word until the store below.
  const wait_list::woken next = list.claim_first();
  const bool on_the_way = next.who != nullptr && !next.granted;
  const std::uint32_t bits = (list.empty() ? 0 : waiters) | (on_the_way ? coming : 0);
  const std::uint32_t rest = bits != 0 ? bits | mark() : 0;
  // [mutex-1] [mutex-2] release: the next holder sees what we wrote, the next user of the list what we unlinked. Our
  // last touch of the mutex (I2).
  word_.store(next.granted ? (rest | held) : rest, memory_order::release);
  if (next.parked) make_ready(*next.who);
}

}  // namespace weft::engine::sync
