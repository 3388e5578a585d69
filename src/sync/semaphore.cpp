// SPDX-License-Identifier: BSL-1.0
#include "sync/semaphore.hpp"

#include <errno.h>

#include "base/pause.hpp"
#include "base/spinlock.hpp"

namespace weft::engine::sync {

bool semaphore_word::try_wait() noexcept {
  std::uint64_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchange decides
  while ((seen & value_mask) != 0) {
    // [sem-1] acquire: what the poster wrote before its post.
    if (word_.compare_exchange_weak(seen, seen - 1, memory_order::acquire, memory_order::relaxed)) return true;  // relaxed: retry
  }
  return false;
}

void semaphore_word::lock_list(wait_list& list) noexcept {
  for (int turn = 1;; ++turn) {
    std::uint64_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchange decides
    const bool old = stale(seen);
    const std::uint64_t base = old ? seen & value_mask : seen;
    // [sem-2] acquire: the list as its last holder left it.
    if ((base & list_locked) == 0 && word_.compare_exchange_weak(seen, base | list_locked | mark(), memory_order::acquire,
                                                                 memory_order::relaxed)) {  // relaxed: retry
      if (old) list.clear();  // of threads from before a fork
      return;
    }
    if (turn % 128 == 0) give_cpu_away();
    pause_cpu();
  }
}

int semaphore_word::wait_slow(thread& me, wait_list& list, nanoseconds_at deadline) noexcept {
  waiter w(me);
  for (;;) {
    if (try_wait()) return 0;
    std::uint64_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchange decides
    if ((seen & value_mask) != 0) continue;
    if (stale(seen)) {
      lock_list(list);
      word_.fetch_and(kept(list), memory_order::release);  // [sem-2] the list is empty now
      continue;
    }
    if ((seen & list_locked) != 0) {
      pause_cpu();
      continue;
    }
    // [sem-2] acquire: the list. The exchange proves that there is no token while we enter it (I1).
    if (word_.compare_exchange_weak(seen, seen | list_locked | waiters | mark(), memory_order::acquire, memory_order::relaxed))  // relaxed: retry
      break;
  }
  w.wait = me.wait.prepare();
  list.push_back(w);
  word_.fetch_and(~list_locked, memory_order::release);  // [sem-2] our link
  const wake_reason why = park(me, w.wait, deadline);
  if (why == wake_reason::owner) {
    // A poster claims before it lets go of the list. If we had not parked yet it may still be there, and we may destroy the semaphore (I2).
    for (int turn = 1; (word_.load(memory_order::acquire) & list_locked) != 0; ++turn) {  // [sem-2] acquire: it is done
      if (turn % 128 == 0) give_cpu_away();
      pause_cpu();
    }
    return 0;
  }
  lock_list(list);
  list.remove(w);
  word_.fetch_and(kept(list), memory_order::release);  // [sem-2] our unlinking
  return why == wake_reason::deadline ? ETIMEDOUT : EINTR;
}

bool semaphore_word::post_fast(bool& overflow) noexcept {
  std::uint64_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchange decides
  while ((seen & waiters) == 0) {
    overflow = (seen & value_mask) >= most;
    if (overflow) return true;
    // [sem-1] release: who takes the token sees what we wrote.
    if (word_.compare_exchange_weak(seen, seen + 1, memory_order::release, memory_order::relaxed)) return true;  // relaxed: retry
  }
  return false;
}

void semaphore_word::post_slow(wait_list& list, bool& overflow) noexcept {
  lock_list(list);
  const wait_list::woken next = list.claim_first();
  const std::uint64_t keep = kept(list);
  std::uint64_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchange decides
  for (;;) {
    overflow = next.who == nullptr && (seen & value_mask) >= most;
    const std::uint64_t token = next.who == nullptr && !overflow ? 1 : 0;
    // [sem-1] [sem-2] release: the token, and the list. Our last touch of the semaphore (I2).
    if (word_.compare_exchange_weak(seen, (seen + token) & keep, memory_order::release, memory_order::relaxed)) break;  // relaxed: retry
  }
  if (next.parked) make_ready(*next.who);
}

}  // namespace weft::engine::sync
