// SPDX-License-Identifier: BSL-1.0
#include "sync/rwlock.hpp"

#include <errno.h>

#include "base/fault.hpp"
#include "base/fifo.hpp"
#include "base/pause.hpp"
#include "base/spinlock.hpp"

namespace weft::engine::sync {

namespace {
constexpr int spins = 60;

void wait_a_moment(int& turn) noexcept {
  if (++turn % 128 != 0) return pause_cpu();
  give_cpu_away();  // the holder of the lists may have been descheduled by the kernel
}

/// Claimed and parked threads are in no queue: their links are ours until we make them ready.
using ready_list = fifo<thread, &thread::next>;

std::uint64_t claim_all(wait_list& list, ready_list& ready) noexcept {
  std::uint64_t claimed = 0;
  for (;;) {
    const wait_list::woken next = list.claim_first();
    if (next.who == nullptr) return claimed;
    ++claimed;
    if (next.parked) ready.push(*next.who);
  }
}

void make_all_ready(ready_list& ready) noexcept {
  while (thread* t = ready.pop()) make_ready(*t);
}
}  // namespace

int rwlock_word::try_read() noexcept {
  std::uint64_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchange decides
  while (may_read(seen)) {
    if ((seen & reader_mask) == reader_mask) return EAGAIN;
    // [rwlock-1] acquire: what the last writer wrote.
    if (word_.compare_exchange_weak(seen, seen + reader, memory_order::acquire, memory_order::relaxed)) return 0;  // relaxed: retry
  }
  return EBUSY;
}

bool rwlock_word::try_write() noexcept {
  std::uint64_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchange decides
  while (!held(seen)) {
    // [rwlock-1] acquire: what the last holders wrote.
    if (word_.compare_exchange_weak(seen, seen | writer, memory_order::acquire, memory_order::relaxed)) return true;  // relaxed: retry
  }
  return false;
}

bool rwlock_word::unlock_read_fast() noexcept {
  std::uint64_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchange decides
  for (;;) {
    const std::uint64_t count = seen & reader_mask;
    if (count == 0) return true;  // the program's mistake
    if (count == 1 && (seen & waiters) != 0 && !stale(seen)) return false;
    // [rwlock-1] release: a writer comes after all that readers did.
    if (word_.compare_exchange_weak(seen, seen - reader, memory_order::release, memory_order::relaxed)) return true;  // relaxed: retry
  }
}

bool rwlock_word::unlock_write_fast() noexcept {
  std::uint64_t seen = writer;
  // [rwlock-1] release: the next holder sees what we wrote.
  return word_.compare_exchange_strong(seen, 0, memory_order::release, memory_order::relaxed);  // relaxed: refused
}

/// The lists are from before a fork: whoever gets their lock in this process first empties them.
void rwlock_word::drop_stale_lists(std::uint64_t seen, rwlock_queues q) noexcept {
  // A reader that was about to let go does not exist here, and had nobody to hand on to.
  const std::uint64_t holders = seen & ((seen & handing) != 0 ? reader_mask : reader_mask | writer);
  // [rwlock-2] acquire: nothing of the old lists counts, but the next holder's links must come after ours.
  if (!word_.compare_exchange_strong(seen, holders | list_locked | mark(), memory_order::acquire,
                                     memory_order::relaxed))  // relaxed: somebody else did it
    return;
  q.readers.clear();
  q.writers.clear();
  word_.fetch_and(reader_mask | writer, memory_order::release);  // [rwlock-2]
}

void rwlock_word::lock_lists(rwlock_queues q) noexcept {
  for (int turn = 0;;) {
    std::uint64_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchange decides
    if (stale(seen)) {
      drop_stale_lists(seen, q);
      continue;
    }
    // [rwlock-2] acquire: the lists as their last holder left them.
    if ((seen & list_locked) == 0 && word_.compare_exchange_weak(seen, seen | list_locked | mark(), memory_order::acquire,
                                                                 memory_order::relaxed))  // relaxed: retry
      return;
    wait_a_moment(turn);
  }
}

int rwlock_word::wait_slow(thread& me, rwlock_queues q, nanoseconds_at deadline, role as) noexcept {
  waiter w(me);
  int budget = spinning_helps() ? spins : 0;
  for (int turn = 0;;) {
    std::uint64_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchanges decide
    if (as == role::reader ? may_read(seen) : !held(seen)) {
      const int error = as == role::reader ? try_read() : try_write() ? 0 : EBUSY;
      if (error != EBUSY) return error;
      continue;
    }
    if ((seen & waiters) == 0 && budget-- > 0) {
      pause_cpu();
      continue;
    }
    if (stale(seen)) {
      drop_stale_lists(seen, q);
      continue;
    }
    if ((seen & list_locked) != 0) {
      wait_a_moment(turn);
      continue;
    }
    const std::uint64_t shut = as == role::writer && q.kind == prefers::writers_strictly ? closed : 0;
    // [rwlock-2] acquire: the lists. The exchange proves that the lock is held against us while we enter them (I3).
    if (word_.compare_exchange_weak(seen, seen | list_locked | waiters | shut | mark(), memory_order::acquire,
                                    memory_order::relaxed))  // relaxed: retry
      break;
  }
  w.wait = me.wait.prepare();
  (as == role::reader ? q.readers : q.writers).push_back(w);
  word_.fetch_and(~list_locked, memory_order::release);  // [rwlock-2] our link
  const wake_reason why = park(me, w.wait, deadline);
  if (why == wake_reason::owner) {
    // [rwlock-1] acquire, and through the claim: the lock is ours. But a last holder claims before it stores our share, and lets go of the lists.
    const std::uint64_t not_yet = as == role::reader ? writer : list_locked;
    if (as == role::writer || !fault("rwlock.runs_ahead"))
      for (int wait = 0; (word_.load(memory_order::acquire) & not_yet) != 0;) wait_a_moment(wait);  // [rwlock-1] as said
    return 0;
  }
  leave(w, q, as);
  return why == wake_reason::deadline ? ETIMEDOUT : EINTR;
}

int rwlock_word::read_slow(thread& me, rwlock_queues q, nanoseconds_at deadline) noexcept {
  return wait_slow(me, q, deadline, role::reader);
}
int rwlock_word::write_slow(thread& me, rwlock_queues q, nanoseconds_at deadline) noexcept {
  return wait_slow(me, q, deadline, role::writer);
}

void rwlock_word::leave(waiter& w, rwlock_queues q, role as) noexcept {
  lock_lists(q);
  (as == role::reader ? q.readers : q.writers).remove(w);
  std::uint64_t seen = word_.load(memory_order::relaxed);  // relaxed: we hold the lists, which keep the bits that we look at
  ready_list ready;
  std::uint64_t shares = 0, drop = list_locked;
  if ((seen & closed) != 0 && q.writers.empty() && !fault("rwlock.stays_closed")) {
    drop |= closed;
    // Held by readers, and none of them can be the last while we hold the lists: theirs to join (I5).
    if ((seen & writer) == 0) shares = claim_all(q.readers, ready);
  }
  if (q.readers.empty() && q.writers.empty()) drop = ~(reader_mask | writer);
  // [rwlock-1] [rwlock-2] release: the lists, and on behalf of those who get a share what the writers before us wrote.
  while (!word_.compare_exchange_weak(seen, (seen & ~drop) + shares, memory_order::acq_rel, memory_order::relaxed)) {  // relaxed: retry
  }
  make_all_ready(ready);
}

/// The caller holds the lists and the writer's bit, so nobody else changes the word until the store.
void rwlock_word::hand_over(rwlock_queues q, after who) noexcept {
  ready_list ready;
  wait_list::woken next;
  std::uint64_t word = 0;
  const bool writers_first = who == after::readers || q.kind != prefers::readers;
  if (writers_first) next = q.writers.claim_first();
  if (next.who == nullptr) word = claim_all(q.readers, ready);
  if (word == 0 && next.who == nullptr && !writers_first) next = q.writers.claim_first();
  if (next.who != nullptr) word = writer;
  if (next.parked) ready.push(*next.who);
  if (!q.readers.empty() || !q.writers.empty()) word |= waiters | mark();
  if (held(word) && q.kind == prefers::writers_strictly && !q.writers.empty()) word |= closed;
  // [rwlock-1] [rwlock-2] release: the next holders see what we wrote, the next user of the lists what we unlinked. Our
  // last touch of the lock (I4).
  word_.store(word, memory_order::release);
  make_all_ready(ready);
}

void rwlock_word::unlock_read_slow(rwlock_queues q) noexcept {
  for (int turn = 0;;) {
    if (unlock_read_fast()) return;
    std::uint64_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchange decides
    if ((seen & reader_mask) != 1 || (seen & waiters) == 0 || stale(seen)) continue;
    // [rwlock-1] [rwlock-2] acquire: the lists, and what the readers before us did: whom we hand over to comes after it.
    if ((seen & list_locked) == 0 && word_.compare_exchange_weak(seen, (seen - reader) | writer | list_locked | handing, memory_order::acquire,
                                                                 memory_order::relaxed))  // relaxed: retry
      break;
    wait_a_moment(turn);
  }
  hand_over(q, after::readers);
}

void rwlock_word::unlock_write_slow(rwlock_queues q) noexcept {
  if (unlock_write_fast()) return;
  lock_lists(q);
  hand_over(q, after::writer);
}

}  // namespace weft::engine::sync
