// SPDX-License-Identifier: BSL-1.0
// The kernel's futex, for threads that park: a table of lists by address. Whoever waits for a word of the program's own
// (std::atomic::wait, std::latch, Rust's std, hand-made locks) comes here through syscall().
//
// I1  A waiter looks at the word and links itself under one hold of its bucket's lock. A waker changes the word first and
//     takes that lock afterwards: either the waiter sees the change, or the waker sees the waiter.
//
//       waiter                                   waker
//       lock; word == expected?; link; unlock    word = new
//       park                                     lock; claim whoever is linked; unlock
//
// I2  `where` of a linked waiter changes only under the locks of both buckets (requeue). A waiter that gives up locks the
//     bucket it read, and looks whether it is still the one.
// I3  Locks of two buckets are taken in the order of their addresses.
#pragma once
#include <cstdint>

#include "base/atomic.hpp"
#include "sync/wait.hpp"

namespace weft::engine::sync {

using futex_word = atomic<std::uint32_t>;

class futex_table {
 public:
  static constexpr std::uint32_t any = 0xffffffff;
  /// For waiters whom no wake-up finds, only hand_over.
  static constexpr std::uint32_t heirs = 0;
  /// A test of the old value of a word, and what to make of it, for wake_op.
  using operation = bool (*)(futex_word& word, std::uint32_t code);

  /// [section] 0 when woken, EAGAIN when the word differs, ETIMEDOUT, or EINTR when a signal handler is to run.
  int wait(thread& me, futex_word& word, std::uint32_t expected, std::uint32_t bits, nanoseconds_at deadline) noexcept;

  /// [section] Wakes up to `most` of those whose bits meet `bits`, first come first served. Returns how many.
  int wake(futex_word& word, int most, std::uint32_t bits = any) noexcept;

  /// [section] Wakes up to `wake` and moves up to `move` others to wait for `to`. `expected`, if not null, is compared
  /// under the lock; false: the word differs and nothing was done.
  struct requeued {
    int woken = 0, moved = 0;
  };
  bool requeue(futex_word& from, futex_word& to, int wake, int move, const std::uint32_t* expected, requeued& done) noexcept;

  /// [section] Changes `second` by `operate`, wakes `wake` of `first`, and, if operate returned true, `wake_second` of
  /// `second`: all under the locks of both.
  struct woken_both {
    int first = 0, second = 0;
    bool held = false;  ///< What operate returned.
  };
  woken_both wake_op(futex_word& first, futex_word& second, int wake, int wake_second, operation operate,
                     std::uint32_t code) noexcept;

  /// [section] The word goes to whoever of the `heirs` waits longest, as the value that `name` gives the thread; 0 if nobody waits.
  void hand_over(futex_word& word, std::uint32_t (*name)(const thread&)) noexcept;

  /// In a forked child: nobody waits.
  void begin_anew() noexcept;
};

extern constinit futex_table futexes;

}  // namespace weft::engine::sync
