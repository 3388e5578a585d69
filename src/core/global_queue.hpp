// SPDX-License-Identifier: BSL-1.0
// The queue that belongs to no slot: what overflowed a slot's queue, and what was woken by somebody without a slot.
#pragma once
#include <cstdint>

#include "base/fifo.hpp"
#include "base/spinlock.hpp"
#include "core/order.hpp"
#include "core/thread.hpp"

namespace weft::engine {

class global_queue {
 public:
  /// Returns its rank, for it may run and change from now on.
  std::int64_t push(thread& t, became_ready why = became_ready::woken) noexcept {
    locked hold(lock_);
    if (order_ != nullptr) {
      order_->push(t, why);
    } else {
      list_.push(t);
    }
    // [idle-1] We publish work, then look for idle slots (scheduler::push_global); a carrier that goes idle publishes
    // its slot, then looks at this count. Both are seq_cst, so one of the two sees the other: work cannot lie unseen.
    size_.fetch_add(1, memory_order::seq_cst);
    return t.rank.load(memory_order::relaxed);  // relaxed: under the lock
  }

  thread* pop() noexcept {
    if (empty()) return nullptr;
    locked hold(lock_);
    thread* t = order_ != nullptr ? order_->pop() : list_.pop();
    if (t != nullptr) size_.fetch_sub(1, memory_order::relaxed);  // relaxed: only increments must be seen
    return t;
  }

  [[nodiscard]] bool empty() const noexcept { return size_.load(memory_order::relaxed) == 0; }  // relaxed: a hint
  /// The look that the idle protocol relies on.
  [[nodiscard]] bool empty_ordered() const noexcept { return size_.load(memory_order::seq_cst) == 0; }  // [idle-1]
  [[nodiscard]] std::uint32_t size() const noexcept { return size_.load(memory_order::relaxed); }       // relaxed: a hint

  /// From now on `by` says who is first. Before anybody uses the queue.
  void use(order* by) noexcept { order_ = by; }
  /// See order::changed.
  void changed(thread& t) noexcept {
    locked hold(lock_);
    order_->changed(t);
  }

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
  order* order_ = nullptr;
  atomic<std::uint32_t> size_{0};
};

}  // namespace weft::engine
