// SPDX-License-Identifier: BSL-1.0
// A counting semaphore of one 64-bit word and one list, to be laid into a sem_t.
//
// word: value (low 32 bits, where libc keeps it too) | list_locked | waiters | generation (only beside one of the latter
// two; see generation.hpp).
// I1  A waiter links itself by an exchange that finds value 0; a poster adds to the value only by an exchange that finds
//     no `waiters`, or under list_locked when nobody could be claimed. Both are on one word: a token never lies beside a
//     sleeping waiter.
// I2  A poster's last touch is the one exchange that publishes the token, or that releases list_locked, for which the waiter
//     that it claimed waits: the semaphore may be destroyed by the thread that takes the token.
// A token goes straight to the waiter that is woken; nobody can take it on the way.
#pragma once
#include <cstdint>

#include "base/atomic.hpp"
#include "sync/generation.hpp"
#include "sync/wait.hpp"
#include "sync/waiter.hpp"

namespace weft::engine::sync {

class semaphore_word {
 public:
  static constexpr std::uint64_t value_mask = 0xffffffff, list_locked = std::uint64_t{1} << 32,
                                 waiters = std::uint64_t{1} << 33;
  static constexpr int generation_shift = 34;
  static constexpr std::uint64_t most = 0x7fffffff;

  void set(std::uint32_t value) noexcept { word_.store(value, memory_order::relaxed); }  // relaxed: before it is shared
  [[nodiscard]] std::uint32_t value() const noexcept {
    return static_cast<std::uint32_t>(word_.load(memory_order::relaxed) & value_mask);  // relaxed: a snapshot
  }
  [[nodiscard]] bool anybody() const noexcept { return (word_.load(memory_order::relaxed) & waiters) != 0; }  // relaxed: a hint

  bool try_wait() noexcept;
  /// [section] 0, ETIMEDOUT, or EINTR when a signal handler is to run.
  int wait_slow(thread& me, wait_list& list, nanoseconds_at deadline) noexcept;
  /// True if nobody waited and the token was added; false: post_slow. `overflow` is set at the greatest value.
  bool post_fast(bool& overflow) noexcept;
  /// [section]
  void post_slow(wait_list& list, bool& overflow) noexcept;

 private:
  static std::uint64_t mark() noexcept { return std::uint64_t{generation} << generation_shift; }
  static bool stale(std::uint64_t seen) noexcept {
    return (seen & (list_locked | waiters)) != 0 && (seen & ~(value_mask | list_locked | waiters)) != mark();
  }
  /// What stays of the word when the list's lock is released.
  static std::uint64_t kept(const wait_list& list) noexcept { return list.empty() ? value_mask : ~list_locked; }
  void lock_list(wait_list& list) noexcept;

  atomic<std::uint64_t> word_{0};
};

}  // namespace weft::engine::sync
