// SPDX-License-Identifier: BSL-1.0
// One wait of the caller for whichever of several things happens first. Not for programs.
//
// The owner lists the parker where others will find it, then waits. Who finds it claims it, does its part (hands a value over), and
// finishes it. The owner may also claim it: then nobody else will, and it gives up.
// I1  Of all claims one succeeds.
// I2  Who has claimed finishes; the owner does not leave before. finish() is the claimer's last touch.
// I3  The owner sleeps only while `state_` names its sleep (twice the ticket); finish() replaces that by `done` in one exchange, so it
//     knows which sleep to end, if any, and the owner knows that it need not sleep.
//
//   owner                                       claimer
//   prepare ticket t                            CAS claimed; hand over
//   CAS state 0 -> 2t: fails if done            exchange state -> done
//   park(t); CAS state 2t -> 0: fails if done   if it was 2t: wake(owner, t)
// Both sides change one word, so they are ordered: either the owner sees `done` and does not sleep, or the claimer sees 2t and wakes that
// sleep. A sleep that ended by itself is refused by its ticket (core/wait_word.hpp), also when the owner is long gone.
#pragma once
#include <atomic>
#include <cstdint>

#include "weft/detail/sync.hpp"

namespace weft::detail {

class parker {
 public:
  parker() noexcept : who_(caller()) {}
  parker(const parker&) = delete;
  parker& operator=(const parker&) = delete;

  enum class ended : std::uint8_t { finished, late, interrupted };

  /// Anybody who finds the parker listed. True: the caller is the one.
  [[nodiscard]] bool claim() noexcept {
    bool free = false;
    return claimed_.compare_exchange_strong(free, true, std::memory_order_acq_rel, std::memory_order_relaxed);
  }
  /// The claimer, when its part is done. Never waits.
  WEFT_EXPORT void finish() noexcept;
  /// For stop callbacks: the owner's wait returns `interrupted` from now on unless it is finished.
  WEFT_EXPORT void interrupt() noexcept;
  /// The owner.
  WEFT_EXPORT ended wait(deadline when) noexcept;
  /// The owner, when somebody has claimed it, and nobody will interrupt it any more.
  void await_finish() noexcept {
    interrupted_.store(false, std::memory_order_relaxed);
    while (wait(no_deadline) != ended::finished) {
    }
  }

 private:
  static constexpr std::uint64_t done = 1;
  const void* who_;
  std::atomic<std::uint64_t> state_{0};
  std::atomic<bool> claimed_{false};
  std::atomic<bool> interrupted_{false};
};

/// A lock without an owner, for stretches in which code of the program's may run.
class plain_lock {
 public:
  void lock() noexcept {
    switch_point();
    std::uint32_t free = 0;
    if (!word_.compare_exchange_strong(free, 1, std::memory_order_acquire, std::memory_order_relaxed)) lock_slow();
  }
  void unlock() noexcept {
    std::uint32_t held = 1;
    if (!word_.compare_exchange_strong(held, 0, std::memory_order_release, std::memory_order_relaxed)) unlock_slow();
  }

 private:
  WEFT_EXPORT void lock_slow() noexcept;
  WEFT_EXPORT void unlock_slow() noexcept;
  std::atomic<std::uint32_t> word_{0};
  engine_object<16> waiting_;
};

}  // namespace weft::detail
