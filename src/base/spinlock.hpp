// SPDX-License-Identifier: BSL-1.0
// A lock for a few instructions inside the engine. Its holder is never preempted by Weft (it holds it inside an engine
// section) but may be by the kernel, so a waiter soon gives its CPU away instead of burning it.
// Rejected: a queue lock (fair, but a preempted waiter in the middle stops everybody behind it).
#pragma once
#include <cstdint>

#include "base/atomic.hpp"
#include "base/pause.hpp"

namespace weft::engine {

void give_cpu_away() noexcept;  // defined in os/: sched_yield without libc

class spinlock {
 public:
  void lock() noexcept {
    // [spin-1] acquire here pairs with release in unlock(): what the previous holder wrote is seen by the next one.
    while (locked_.exchange(1, memory_order::acquire) != 0) wait();
  }
  bool try_lock() noexcept {
    // [spin-1] acquire, as in lock().
    return locked_.exchange(1, memory_order::acquire) == 0;
  }
  void unlock() noexcept {
    locked_.store(0, memory_order::release);  // [spin-1]
  }
  /// After fork the child has the only thread: whoever held the lock in the parent does not exist here.
  void reset() noexcept {
    locked_.store(0, memory_order::relaxed);  // relaxed: the child has one thread
  }

 private:
  void wait() noexcept {
    for (int turn = 0; locked_.load(memory_order::relaxed) != 0; ++turn) {  // relaxed: the exchange decides
      if (turn < 100) {
        pause_cpu();
      } else {
        give_cpu_away();
      }
    }
  }
  atomic<std::uint32_t> locked_{0};
};

/// Holds a lock for a scope.
template <class Lock>
class locked {
 public:
  explicit locked(Lock& lock) noexcept : lock_(lock) { lock_.lock(); }
  ~locked() { lock_.unlock(); }
  locked(const locked&) = delete;
  locked& operator=(const locked&) = delete;

 private:
  Lock& lock_;
};

}  // namespace weft::engine
