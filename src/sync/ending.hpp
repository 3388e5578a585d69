// SPDX-License-Identifier: BSL-1.0
// The end of a thread as the one who joins it sees it: two steps, because its stack is in use until somebody stands on the next one.
//
//   claim_parked_joiner   by the thread, last thing before it retires: a joiner that is parked shall run next, at once
//   finish                when nobody stands on its stack any more: it has ended, and whoever waits is woken
//
// I1  `joiner` points to a waiter only while its owner waits, or has been claimed and not looked yet; who claims it takes it off. So a joiner
//     that was claimed before it had parked looks again, and is never looked at where it stood.
// I2  Exactly one gives the thread's memory back: the joiner, detach on an ended thread, or the end of a detached one.
#pragma once
#include "base/spinlock.hpp"
#include "sync/waiter.hpp"

namespace weft::engine::sync {

struct ending {
  spinlock lock;  ///< Guards the rest, and what a face adds to it.
  bool ended = false;
  bool detached = false;
  waiter* joiner = nullptr;

  /// For the next thread on the same memory.
  void begin_anew(bool is_detached) noexcept {
    ended = false;
    detached = is_detached;
    joiner = nullptr;
  }
  /// [section] Null: nobody is parked who could run at once.
  [[nodiscard]] thread* claim_parked_joiner() noexcept;
  /// [section] True: it is detached, and the caller gives its memory back.
  [[nodiscard]] bool finish() noexcept;
  /// [section] The only joiner waits. `owner`: the thread has ended; otherwise why not.
  wake_reason wait(thread& me, nanoseconds_at deadline) noexcept;
};

}  // namespace weft::engine::sync
