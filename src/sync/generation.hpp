// SPDX-License-Identifier: BSL-1.0
// Objects across fork. A program's mutexes, conditions and semaphores are copied into the child together with lists of
// threads that the child does not have, perhaps in the middle of a change by another carrier. So whatever marks an object
// as "its list is in use" also says in which process; another one's mark means: the list belongs to threads that do not
// exist here, and begins anew.
//
// Unless the object lies in memory that both share. A program is not to use an object there that it did not make for
// sharing, but natively nothing worse comes of it than a wake-up that reaches nobody; so it is here for conditions.
//
// Rejected: holding every carrier out of the engine while fork copies. libc's fork waits for malloc's and stdio's locks,
// and the thread that holds one of those may need a carrier to let go.
#pragma once
#include <cstdint>

#include "base/atomic.hpp"
#include "base/pause.hpp"
#include "base/spinlock.hpp"
#include "os/mapping.hpp"

namespace weft::engine::sync {

/// This process's number (at most 22 bits, as Linux has it). Written while there is one thread: at the start, and in a child.
extern constinit std::uint32_t generation;

/// A spinlock that tells its holder when what it guards is from before a fork. All zeros is unlocked, and new.
class generation_lock {
 public:
  enum class found : bool { as_left, from_before_fork };
  found lock() noexcept {
    for (int turn = 1;; ++turn) {
      std::uint32_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchange decides
      const bool stale = is_stale(seen);
      if ((seen & locked_bit) == 0 || (stale && !os::is_shared_memory(this))) {
        // [spin-1] acquire, as in spinlock::lock.
        if (word_.compare_exchange_weak(seen, mark() << 1 | locked_bit, memory_order::acquire, memory_order::relaxed))  // relaxed: retry
          return stale ? found::from_before_fork : found::as_left;
      }
      if (turn % 128 == 0) give_cpu_away();
      pause_cpu();
    }
  }
  void unlock() noexcept {
    word_.store(mark() << 1, memory_order::release);  // [spin-1]
  }
  /// Another process uses it, in memory that both share.
  [[nodiscard]] bool is_elsewhere() const noexcept {
    return is_stale(word_.load(memory_order::relaxed)) && os::is_shared_memory(this);  // relaxed: it says who, and no more
  }

 private:
  static constexpr std::uint32_t locked_bit = 1;
  static std::uint32_t mark() noexcept { return generation; }
  static bool is_stale(std::uint32_t seen) noexcept { return seen != 0 && seen >> 1 != mark(); }
  atomic<std::uint32_t> word_{0};
};

}  // namespace weft::engine::sync
