// SPDX-License-Identifier: BSL-1.0
// A slot: the right to run user code, with the queue of what wants to run. Their number is the parallelism.
// I1  Work in `queue` or `newest` implies that some carrier holds the slot (or that it is being handed over): a local
//     wake-up needs no idle carrier to be safe, only to be faster.
// I2  Only the holder pushes; anybody may steal from `queue`.
// I3  What is pinned to the slot lies in `pinned`, or is its newest, and runs nowhere else. Anybody pushes there, also while the slot is idle: as
//     with the scheduler's global queue, who pushes then looks whether the slot is idle, and who lets it go idle looks at the queue again.
#pragma once
#include <cstdint>

#include "base/spinlock.hpp"
#include "core/deadline.hpp"
#include "core/global_queue.hpp"
#include "core/run_queue.hpp"
#include "core/thread.hpp"
#include "time/timer_queue.hpp"

namespace weft::engine {

struct carrier;

/// What the monitor asks of the next pick: a queue before `newest`.
enum class rotation : std::uint8_t {
  none,
  in_turn,       ///< A slice is over: the slot's own queue and the global one by turns, so that neither waits for ever.
  global_first,  ///< Somebody was woken while one thread went on and on: that is what the thread gives way to.
};

struct alignas(64) slot {
  run_queue<thread> queue;
  /// Woken last, runs next, on the rest of its waker's slice. Only the holder touches it (hence no read-modify-write on
  /// the hottest path), and the monitor, while it has the claim and the carrier is outside (monitor::share_newest).
  atomic<thread*> newest{nullptr};

  /// Counters that the holder alone writes; the monitor compares them with its last look.
  atomic<std::uint64_t> switches{0};
  atomic<std::uint64_t> slices{0};  ///< Like switches, but a thread taken from `newest` continues the slice.
  atomic<rotation> rotate{rotation::none};
  bool global_turn = false;         ///< The holder's: whose turn it was at the last rotation.
  bool pinned_turn = false;         ///< The holder's: the pinned ones have the next turn.
  bool expects_pinned = false;      ///< The holder's: one came here not long ago, and may come again in a moment.

  atomic<carrier*> holder{nullptr};

  global_queue pinned;

  alignas(64) spinlock timer_lock;
  timer_queue timers;
  deadline_nodes nodes;
  atomic<nanoseconds_at> next_deadline{never};

  slot* next_idle = nullptr;

  /// For the holder (see `newest`).
  thread* swap_newest(thread* t) noexcept {
    thread* before = newest.load(memory_order::relaxed);  // relaxed: one user at a time, handed over by slot_claim
    newest.store(t, memory_order::relaxed);               // relaxed: as above
    return before;
  }

  [[nodiscard]] bool has_work() const noexcept {
    return newest.load(memory_order::relaxed) != nullptr || !queue.empty() || !pinned.empty();  // relaxed: a hint
  }
  /// For counters with one writer.
  template <class T>
  static void bump(atomic<T>& counter) noexcept {
    counter.store(counter.load(memory_order::relaxed) + 1, memory_order::relaxed);  // relaxed: one writer, a statistic
  }
};

}  // namespace weft::engine
