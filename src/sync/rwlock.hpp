// SPDX-License-Identifier: BSL-1.0
// A reader-writer lock of one 64-bit word and two lists, to be laid into whatever the program calls its lock.
//
// word: readers (count) | writer | list_locked | waiters | closed | handing | generation (only beside one of the
// latter four).
// I1  `waiters` is set exactly while a list is not empty, as seen by whoever holds list_locked.
// I2  `closed`: new readers queue although only readers hold the lock, because a writer waits and goes first. It is never
//     set while the lock is free.
// I3  A locker links itself only by an exchange that finds the lock held against it. While `waiters` is set, a holder
//     that would leave the lock free must own list_locked, and hands the lock on before it lets go of that:
//
//   locker                                            last holder
//   CAS w(held) -> w | list_locked | waiters          CAS w(held, no waiters) -> free: fails if the locker was first
//   link; clear list_locked; park                     CAS w -> writer | list_locked; claim who is next; store their word
//
//     So whoever waits in a list and has not been claimed waits for somebody who will see the list. A last reader turns
//     its share into the writer's bit for the moment (`handing`): nobody can come in between its look at the lists and the
//     hand-over. A reader that is claimed before it has parked waits for that to end: its share is not in the word yet.
// I4  A holder's last touch is the exchange or store that lets go: the lock may be destroyed by the next holder.
// I5  A waiter that gives up unlinks itself under list_locked; if it was the last writer, the readers that queued behind
//     it get their shares at once.
//
// The lock is handed over, not freed for the fastest: a thread that is woken has it. That keeps I3 short, and a
// hand-over costs a switch between threads, not a wake-up in the kernel.
// Rejected: counting readers apart, per carrier (a writer would have to sum up; the object has no room).
#pragma once
#include <cstdint>

#include "base/atomic.hpp"
#include "sync/generation.hpp"
#include "sync/wait.hpp"
#include "sync/waiter.hpp"

namespace weft::engine::sync {

enum class prefers : std::uint8_t {
  readers,          ///< After a writer all waiting readers come first.
  writers,          ///< After a writer the next writer comes first; readers still join readers.
  writers_strictly, ///< And no reader joins while a writer waits.
};

/// Where the object keeps its lists, and what it is like.
struct rwlock_queues {
  wait_list& readers;
  wait_list& writers;
  prefers kind;
};

class rwlock_word {
 public:
  static constexpr std::uint64_t reader = 1, reader_mask = 0x3fffffff, writer = std::uint64_t{1} << 30,
                                 list_locked = std::uint64_t{1} << 31, waiters = std::uint64_t{1} << 32,
                                 closed = std::uint64_t{1} << 33, handing = std::uint64_t{1} << 34;
  static constexpr int generation_shift = 35;

  /// Never wait. 0, EBUSY, or EAGAIN at the greatest count of readers.
  int try_read() noexcept;
  bool try_write() noexcept;
  /// [section] 0, ETIMEDOUT, EAGAIN as above, or EINTR when a signal handler is to run.
  int read_slow(thread& me, rwlock_queues q, nanoseconds_at deadline) noexcept;
  int write_slow(thread& me, rwlock_queues q, nanoseconds_at deadline) noexcept;
  /// True if that was all; otherwise the caller continues with the slow half.
  bool unlock_read_fast() noexcept;
  bool unlock_write_fast() noexcept;
  /// [section]
  void unlock_read_slow(rwlock_queues q) noexcept;
  void unlock_write_slow(rwlock_queues q) noexcept;

  [[nodiscard]] bool has_writer() const noexcept { return (word_.load(memory_order::relaxed) & writer) != 0; }  // relaxed: a hint
  [[nodiscard]] bool is_held() const noexcept { return held(word_.load(memory_order::relaxed)); }  // relaxed: a hint

 private:
  static bool held(std::uint64_t seen) noexcept { return (seen & (reader_mask | writer)) != 0; }
  static std::uint64_t mark() noexcept { return std::uint64_t{generation} << generation_shift; }
  static bool stale(std::uint64_t seen) noexcept {
    return (seen & (list_locked | waiters | closed)) != 0 && seen >> generation_shift << generation_shift != mark();
  }
  static bool may_read(std::uint64_t seen) noexcept {
    return (seen & writer) == 0 && ((seen & closed) == 0 || stale(seen));
  }
  enum class role : bool { reader, writer };
  int wait_slow(thread& me, rwlock_queues q, nanoseconds_at deadline, role as) noexcept;
  void drop_stale_lists(std::uint64_t seen, rwlock_queues q) noexcept;
  void lock_lists(rwlock_queues q) noexcept;
  void leave(waiter& w, rwlock_queues q, role as) noexcept;
  enum class after : bool { readers, writer };
  void hand_over(rwlock_queues q, after who) noexcept;

  atomic<std::uint64_t> word_{0};
};

}  // namespace weft::engine::sync
