// SPDX-License-Identifier: BSL-1.0
// The bounded work-stealing queue of a slot: its carrier pushes at the tail and takes at the head, other carriers take
// half of it at the head.
//
// I1  Elements are buffer_[head_ .. tail_); tail_ - head_ <= Capacity in wrapping arithmetic.
// I2  Only the owner writes tail_ and the buffer; every taker, the owner included, takes by moving head_ with one
//     compare-exchange, after it has read the elements. A failed exchange means the elements read were not ours.
// I3  An element is never overwritten while a taker may still win it: push() refuses when tail_ - head_ == Capacity, and
//     a stale head makes the taker's exchange fail.
//
//   owner push                                    taker (owner pop or thief)
//   h = head (acquire)                            h = head (acquire)
//   t - h < Capacity? buffer[t] = x               t = tail (acquire)   pairs with the release below
//   tail = t + 1 (release)                        x = buffer[h]; CAS head h -> h+n (release)   pairs with acquire of head
// If the taker wins, no other moved head since its read of h, so buffer[h..h+n) were not reused: reuse needs the owner
// to have read a head beyond h. The acquire of head in push orders the taker's reads before the overwrite.
//
// First in, first out, so that a yield goes behind the others. Rejected: Chase-Lev (newest first for the owner: a
// thread that yields would run again at once). Idea: Go's runq.
#pragma once
#include <cstdint>

#include "base/atomic.hpp"
#include "base/fault.hpp"

namespace weft::engine {

template <class T, std::uint32_t Capacity = 256>
class run_queue {
  static_assert((Capacity & (Capacity - 1)) == 0, "a power of two, so that the counters may wrap");

 public:
  /// Owner only. False when full: the caller then moves half of it elsewhere (take_half).
  bool push(T& element) noexcept {
    const std::uint32_t head = head_.load(memory_order::acquire);  // [queue-2] a taker has read what we may overwrite now
    const std::uint32_t tail = tail_.load(memory_order::relaxed);  // relaxed: ours
    if (tail - head >= (fault("run_queue.overfills") ? Capacity + 1 : Capacity)) return false;
    buffer_[tail % Capacity].store(&element, memory_order::relaxed);  // relaxed: published by tail_
    // [queue-1] release: a taker that sees the new tail sees the element, and all that was done to it before the push.
    tail_.store(tail + 1, memory_order::release);
    return true;
  }

  /// Owner only. Null when empty.
  T* pop() noexcept {
    std::uint32_t head = head_.load(memory_order::relaxed);  // relaxed: the exchange decides
    for (;;) {
      if (tail_.load(memory_order::relaxed) == head) return nullptr;       // relaxed: ours
      T* element = buffer_[head % Capacity].load(memory_order::relaxed);   // relaxed: we wrote it
      if (fault("run_queue.pop_without_exchange")) {
        head_.store(head + 1, memory_order::release);  // [queue-2] planted fault: a thief may have taken it as well
        return element;
      }
      // [queue-2] release: we have read the element before push() may reuse its place. acquire: pairs with thieves.
      if (head_.compare_exchange_weak(head, head + 1, memory_order::acq_rel, memory_order::relaxed))  // relaxed: retry
        return element;
    }
  }

  /// Any carrier: moves half of this queue (rounded up) into `mine`, which must be the caller's own and empty, and
  /// returns one of them to run at once. Null when there was nothing.
  T* steal_into(run_queue& mine) noexcept {
    const std::uint32_t to = mine.tail_.load(memory_order::relaxed);  // relaxed: ours
    T* first = nullptr;
    const std::uint32_t n = take_half([&](std::uint32_t i, T* element) {
      if (i == 0) {
        first = element;
      } else {
        mine.buffer_[(to + i - 1) % Capacity].store(element, memory_order::relaxed);  // relaxed: published by tail_
      }
    });
    if (n == 0) return nullptr;
    mine.tail_.store(to + n - 1, memory_order::release);  // [queue-1] as in push
    return first;
  }

  /// Any carrier: takes half (rounded up). For each try it calls visit(index, element); a lost try starts again at
  /// index 0, so visit only notes what it sees. Returns how many were taken for good.
  template <class Visit>
  std::uint32_t take_half(Visit visit) noexcept {
    std::uint32_t head = head_.load(memory_order::acquire);  // [queue-2] as in pop
    for (;;) {
      const std::uint32_t tail = tail_.load(memory_order::acquire);  // [queue-1] the elements below tail are visible
      std::uint32_t n = tail - head;
      if (n > Capacity) {                                // head was stale
        head = head_.load(memory_order::acquire);        // [queue-2] as in pop
        continue;
      }
      n -= n / 2;
      if (n == 0) return 0;
      for (std::uint32_t i = 0; i < n; ++i)
        visit(i, buffer_[(head + i) % Capacity].load(memory_order::relaxed));  // relaxed: ordered by tail_ above
      // [queue-2] release: our reads precede any reuse of the places.
      if (head_.compare_exchange_weak(head, head + n, memory_order::acq_rel, memory_order::acquire)) return n;
    }
  }

  [[nodiscard]] std::uint32_t size() const noexcept {
    const std::uint32_t n = tail_.load(memory_order::relaxed) - head_.load(memory_order::relaxed);  // relaxed: a hint
    return n > Capacity ? 0 : n;
  }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  /// Only while nobody else can look (after fork, in the child).
  void reset() noexcept {
    head_.store(0, memory_order::relaxed);  // relaxed: the child has one thread
    tail_.store(0, memory_order::relaxed);  // relaxed: the child has one thread
  }

 private:
  // Head and tail live on lines of their own: thieves hammer the head while the owner writes the tail.
  alignas(64) atomic<std::uint32_t> head_{0};
  alignas(64) atomic<std::uint32_t> tail_{0};
  atomic<T*> buffer_[Capacity] = {};
};

}  // namespace weft::engine
