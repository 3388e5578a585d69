// SPDX-License-Identifier: BSL-1.0
// Where signals wait: a store of our own, one inbox for each thread and one for the process.
//
// Senders may be signal handlers that interrupted anything, so posting takes no lock and no memory of libc's: notes come
// from a lock-free pool, and go on a lock-free stack (`incoming`). The inbox's owner (the thread; for the process, whoever
// holds its lock) moves them from there to a list in the order of delivery: lower numbers first, then first come first.
// I1  A standard signal is pending at most once in each inbox, as in the kernel: `held` has its bit from the posting until
//     it is taken. Of a real-time signal every posting counts.
// I2  A note's `process` tells where it was posted; it keeps that while it waits in a thread's inbox, because a thread
//     gives back what it comes to block.
// I3  Without a free note a standard signal is still pending (`bare`), without its details; a real-time signal is refused.
#pragma once
#include <signal.h>

#include <cstdint>

#include "base/atomic.hpp"

namespace weft::engine::posix {

struct signal_note {
  signal_note* next = nullptr;
  siginfo_t info = {};
  bool process = false;               ///< Sent to the process, whichever thread takes it.
  std::uint32_t number = 0;           ///< Its place in the pool, from 1.
  atomic<std::uint32_t> next_free{0};
};

/// How many notes there may be; before the first one is taken.
void limit_signal_notes(std::uint64_t most) noexcept;
void give_back(signal_note& note) noexcept;

class signal_inbox {
 public:
  enum class owner : bool { thread, process };
  explicit constexpr signal_inbox(owner whose = owner::thread) noexcept : process_(whose == owner::process) {}
  /// Any context, signal handlers included. False: no room for a real-time signal.
  bool post(int signal, const siginfo_t& info) noexcept;
  /// A note that was posted elsewhere changes hands.
  void push(signal_note& note) noexcept;

  // -- for the owner --

  /// Moves what came in to the list.
  void sort() noexcept;
  /// The first note of `wanted` signals, or null. It is no longer pending here.
  signal_note* take(std::uint64_t wanted) noexcept;
  /// The first note of `wanted` signals that was posted to the process.
  signal_note* take_shared(std::uint64_t wanted) noexcept;
  /// Instead of sort(), for who looks at each note first: the oldest that came in, or null; then perhaps keep() it.
  signal_note* take_newly() noexcept;
  void keep(signal_note& note) noexcept { insert(note); }
  /// The signals in the list.
  [[nodiscard]] std::uint64_t pending() const noexcept;
  /// For notes that were posted here and taken elsewhere (the process's): it is no longer pending.
  void settle(const signal_note& note) noexcept;
  /// Forgets everything.
  void clear() noexcept;

  [[nodiscard]] bool has_incoming() const noexcept {
    return incoming_.load(memory_order::relaxed) != nullptr || bare_.load(memory_order::relaxed) != 0;  // relaxed: a hint
  }
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr && newly_ == nullptr && !has_incoming(); }

 private:
  void insert(signal_note& note) noexcept;
  void collect() noexcept;
  signal_note* unlink(signal_note* before, signal_note& note) noexcept;

  atomic<signal_note*> incoming_{nullptr};
  atomic<std::uint64_t> held_{0};
  atomic<std::uint64_t> bare_{0};
  signal_note* newly_ = nullptr;  ///< Came in, not yet in the list; oldest first.
  signal_note* first_ = nullptr;
  signal_note* last_ = nullptr;
  const bool process_;
};

}  // namespace weft::engine::posix
