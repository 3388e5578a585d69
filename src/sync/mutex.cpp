// SPDX-License-Identifier: BSL-1.0
#include "sync/mutex.hpp"

#include <errno.h>

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
  const std::uint32_t keep = list.empty() ? held : ~list_locked;
  // [mutex-2] release: the next holder of the list sees our links. Others may set `held` meanwhile, hence no store.
  word_.fetch_and(keep, memory_order::release);
}

int mutex_word::lock_slow(thread& me, wait_list& list, nanoseconds_at deadline, bool& woken_before) noexcept {
  int budget = spinning_helps() ? spins : 0;
  waiter w(me);
  for (int turn = 0;;) {
    std::uint32_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchanges decide
    if ((seen & held) == 0) {
      if (try_lock_slow(seen)) return 0;
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
    if (!word_.compare_exchange_weak(seen, seen | list_locked | waiters | mark(), memory_order::acquire, memory_order::relaxed))  // relaxed: retry
      continue;
    w.wait = me.wait.prepare();
    w.starving = woken_before;
    w.granted = false;
    if (woken_before) {
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
      woken_before = true;
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
    // [mutex-2] acquire: the list.
    if ((seen & list_locked) == 0 && word_.compare_exchange_weak(seen, seen | list_locked | mark(), memory_order::acquire,
                                                                 memory_order::relaxed))  // relaxed: retry
      break;
    wait_a_moment(turn);
  }
  // The list is ours and the lock is held by us: nobody else can change the word until the store below.
  const wait_list::woken next = list.claim_first();
  const std::uint32_t rest = list.empty() ? 0 : waiters | mark();
  // [mutex-1] [mutex-2] release: the next holder sees what we wrote, the next user of the list what we unlinked. Our
  // last touch of the mutex (I2).
  word_.store(next.granted ? (rest | held) : rest, memory_order::release);
  if (next.parked) make_ready(*next.who);
}

}  // namespace weft::engine::sync
