// SPDX-License-Identifier: BSL-1.0
// The queue that belongs to no slot: what overflowed a slot's queue, and what was woken by somebody without a slot.
#pragma once
#include <cstdint>

#include "base/fifo.hpp"
#include "base/spinlock.hpp"
#include "core/thread.hpp"

namespace weft::engine {

class global_queue {
 public:
  void push(thread& t) noexcept {
    locked hold(lock_);
    list_.push(t);
    // [idle-1] We publish work, then look for idle slots (scheduler::push_global); a carrier that goes idle publishes
    // its slot, then looks at this count. Both are seq_cst, so one of the two sees the other: work cannot lie unseen.
    size_.fetch_add(1, memory_order::seq_cst);
  }

  thread* pop() noexcept {
    if (empty()) return nullptr;
    locked hold(lock_);
    thread* t = list_.pop();
    if (t != nullptr) size_.fetch_sub(1, memory_order::relaxed);  // relaxed: only increments must be seen
    return t;
  }

  [[nodiscard]] bool empty() const noexcept { return size_.load(memory_order::relaxed) == 0; }  // relaxed: a hint
  /// The look that the idle protocol relies on.
  [[nodiscard]] bool empty_ordered() const noexcept { return size_.load(memory_order::seq_cst) == 0; }  // [idle-1]
  [[nodiscard]] std::uint32_t size() const noexcept { return size_.load(memory_order::relaxed); }       // relaxed: a hint

  /// In the only thread of a forked child.
  void reset() noexcept {
    lock_.reset();
    list_.clear();
    size_.store(0, memory_order::relaxed);  // relaxed: the child has one thread
  }
  spinlock& lock() noexcept { return lock_; }

 private:
  spinlock lock_;
  fifo<thread, &thread::next> list_;
  atomic<std::uint32_t> size_{0};
};

}  // namespace weft::engine
