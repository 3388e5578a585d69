// SPDX-License-Identifier: BSL-1.0
// A barrier: a count and a list of waiters under a lock of one word, to be laid into whatever the program calls its
// barrier (32 bytes in all).
//
// I1  Whoever completes a round starts the next one and claims every waiter under one hold of the lock: a thread that
//     comes round again at once belongs to the next round.
//
//       waiter whose wait a signal ends               last to arrive
//       park returns: interrupted                     lock; ++round; claim whoever is linked; unlock
//       lock; unlink; round == mine?; unlock          (its claim of that waiter is lost)
//
//     The waiter locks first: it sees its round open, and asks again() later. The last one does: the round is over.
//
// I2  A thread that is claimed never touches the barrier again. One whose wait was ended by a signal counts as `away`
//     until it has seen, under the lock, whether its round is over; destroy waits for those.
#pragma once
#include <cstdint>

#include "sync/generation.hpp"
#include "sync/wait.hpp"
#include "sync/waiter.hpp"

namespace weft::engine::sync {

class barrier {
 public:
  explicit barrier(std::uint32_t count) noexcept : count_(count) {}

  enum class outcome : std::uint8_t {
    passed,       ///< The round is complete; another thread completed it.
    completed,    ///< The caller was the last to arrive.
    interrupted,  ///< A signal handler is to run: leave the section, then call again().
  };
  /// [section]
  outcome arrive(thread& me, std::uint32_t& round) noexcept;
  /// [section] Goes on waiting for `round`, after `interrupted`.
  outcome again(thread& me, std::uint32_t round) noexcept;

  /// [section] May it be destroyed? `waited_for`: threads stand at it; `leaving`: not yet, a thread is on its way out.
  enum class use : std::uint8_t { none, leaving, waited_for };
  [[nodiscard]] use in_use() noexcept;

 private:
  bool lock() noexcept;
  outcome wait_locked(thread& me, std::uint32_t round) noexcept;

  // libc's pthread_barrier_t has its mark for "shared between processes" in the fourth word.
  generation_lock lock_;
  std::uint32_t arrived_ = 0;
  std::uint32_t count_;
  [[maybe_unused]] std::uint32_t of_libc_ = 0;
  waiter* first_ = nullptr;
  std::uint32_t round_ = 0;
  std::uint32_t away_ = 0;
};

}  // namespace weft::engine::sync
