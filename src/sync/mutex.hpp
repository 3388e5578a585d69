// SPDX-License-Identifier: BSL-1.0
// A lock of one word and one list, to be laid into whatever the program calls its mutex.
//
// word: held | list_locked | waiters | coming | generation (only beside one of the latter three; see generation.hpp).
// I1  `waiters` is set exactly while the list is not empty, as seen by whoever holds list_locked.
// I2  `held` is cleared by one exchange from exactly `held` (nobody waits); by one exchange beside `coming` (somebody is on the way); or by a
//     holder of list_locked, in the same store that releases list_locked. After that the unlocker never touches the mutex again: its
//     owner may destroy it at once.
// I3  A locker links itself only by an exchange that finds `held` set; so the holder's unlock, which then finds
//     `waiters`, comes later and sees it.
// I4  `coming`: one waiter has been taken off the list and woken, and has not yet come back to the word. It clears the bit in the exchange with which it
//     takes the lock, or links itself again. Whoever waits while the lock is free waits for that one, whose own unlock (or, if
//     it links itself again, the holder's, by I3) sees `waiters` without `coming`. No wake-up is lost:
//
//   locker                                        unlocker
//   CAS w(held) -> w | list_locked | waiters      CAS exactly held -> 0: fails if the locker was first
//     (and without coming, if it is the one)      coming? CAS w -> w without held: fails if the one came back first
//   link; clear list_locked; park                 take list_locked; claim the first; store coming without held; ready it
//
// Barging is allowed (a running thread may take a free lock before a woken one), and only one woken thread is on the way at a time: a
// thousand threads do not queue up behind each other's wake-ups. A waiter that lost that race `most_losses` times is handed the lock the next time.
// Rejected: a hashed table of waiters by address (a lock and a lookup more on each contended step).
#pragma once
#include <cstdint>

#include "base/atomic.hpp"
#include "sync/generation.hpp"
#include "sync/wait.hpp"
#include "sync/waiter.hpp"

namespace weft::engine::sync {

class mutex_word {
 public:
  static constexpr std::uint32_t held = 1, list_locked = 2, waiters = 4, coming = 8, generation_shift = 8;
#ifdef WEFT_EXPLORE
  static constexpr unsigned most_losses = 1;  // short schedules are to get there, too
#else
  static constexpr unsigned most_losses = 4;
#endif

  /// One compare-exchange when free. Never waits.
  bool try_lock() noexcept {
    std::uint32_t seen = 0;
    // [mutex-1] acquire: what the last holder wrote. A word with other bits set may still be free: the slow path looks.
    return word_.compare_exchange_strong(seen, held, memory_order::acquire, memory_order::relaxed)  // relaxed: refused
           || try_lock_slow(seen);
  }
  /// True if nobody waited; otherwise the caller continues with unlock_slow.
  bool unlock_fast() noexcept {
    std::uint32_t seen = held;
    // [mutex-1] release: the next holder sees what we wrote.
    return word_.compare_exchange_strong(seen, 0, memory_order::release, memory_order::relaxed);  // relaxed: refused
  }
  /// Waits for the lock. 0, ETIMEDOUT, or EINTR when a signal handler is to run (the caller leaves its section and tries
  /// again). [section]
  /// `losses`: how often the caller has been woken in vain; 0 at first, and kept from one try to the next.
  int lock_slow(thread& me, wait_list& list, nanoseconds_at deadline, unsigned& losses) noexcept;
  void unlock_slow(wait_list& list) noexcept;

  [[nodiscard]] bool is_held() const noexcept { return (word_.load(memory_order::relaxed) & held) != 0; }  // relaxed: a hint

 private:
  bool try_lock_slow(std::uint32_t seen) noexcept;
  static std::uint32_t mark() noexcept { return generation << generation_shift; }
  /// Without the generation if nothing is left that needs it.
  static std::uint32_t tidy(std::uint32_t word) noexcept { return (word & (list_locked | waiters | coming)) != 0 ? word : word & held; }
  static bool stale(std::uint32_t seen) noexcept {
    return (seen & (list_locked | waiters | coming)) != 0 && (seen & ~(held | list_locked | waiters | coming)) != mark();
  }
  void drop_stale_list(std::uint32_t seen, wait_list& list) noexcept;
  void lock_list() noexcept;
  void unlock_list(const wait_list& list) noexcept;

  atomic<std::uint32_t> word_{0};
};

}  // namespace weft::engine::sync
