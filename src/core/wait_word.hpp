// SPDX-License-Identifier: BSL-1.0
// The heart of the waist: who wins when an owner, a deadline and a signal want to wake the same thread at once.
//
// One 64-bit word per thread: an epoch (which wait this is), a state and, once somebody has won, the reason.
// I1  Of all claims for one epoch exactly one succeeds.
// I2  A claim with an older epoch changes nothing (its waker kept a ticket of a wait that is over).
// I3  A claim that comes between prepare() and commit() is remembered: commit() fails and the thread goes on.
// I4  The winner that finds `parked` owns the stack and must make the thread ready; the one that finds `armed` must not.
//
//   thread (on its carrier)                      waker
//   prepare: idle -> armed(e)                    claim(e): armed(e) -> woken    => the thread will see it in commit
//   ... publishes its ticket e ...               claim(e): parked(e) -> woken   => the waker makes it ready
//   commit, from the next stack:                 claim(e) on anything else      => lost, somebody was earlier
//     armed(e) -> parked(e), or woken: go on
// Both columns are compare-exchanges on one word, so they are totally ordered: either commit precedes the claim, and
// the waker readies the thread, or the claim precedes commit, and the thread readies itself. No third order exists.
//
// Rejected: a flag per reason (two winners); a pointer that is cleared (ABA between two waits of one thread).
// Idea: userver's wait contract and Go's sudog selectDone, in one word.
#pragma once
#include <cstdint>

#include "base/atomic.hpp"
#include "base/fault.hpp"

namespace weft::engine {

/// Why a wait ended.
enum class wake_reason : std::uint8_t {
  none,       ///< Not yet.
  owner,      ///< What it waited for happened.
  deadline,   ///< Its time was up.
  interrupt,  ///< A signal handler is to run on it.
};

/// Names one wait of one thread; a claim with a ticket of an earlier wait is refused.
enum class ticket : std::uint64_t {};

/// What a claim found.
enum class claim_result : std::uint8_t {
  lost,     ///< Somebody was earlier, or the wait is over. Nothing changed.
  running,  ///< We are the reason; the thread still runs and will see it itself.
  parked,   ///< We are the reason, and the caller must make the thread ready.
};

class wait_word {
 public:
  /// Owner only: begins a wait. Until cancel() or commit() the thread still runs.
  ticket prepare() noexcept {
    const std::uint64_t epoch = (word_.load(memory_order::relaxed) >> shift) + 1;  // relaxed: only the owner changes epochs
    // [wait-1] release: a waker that sees this epoch sees what the thread wrote before it began to wait.
    word_.store(pack(epoch, state::armed, wake_reason::none), memory_order::release);
    return ticket{epoch};
  }

  /// Owner only, before parking: gives the wait up. Returns `none`, or the reason if somebody had won already.
  wake_reason cancel() noexcept {
    std::uint64_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchange below orders
    while (state_of(seen) == state::armed) {
      // [wait-1] acquire on failure: the winner's writes are visible when we act on its reason.
      if (word_.compare_exchange_weak(seen, pack(seen >> shift, state::idle, wake_reason::none), memory_order::acq_rel,
                                      memory_order::acquire))
        return wake_reason::none;
    }
    return reason_of(seen);
  }

  /// For the carrier, after it has left the thread's stack: true if the thread is parked now, false if somebody won
  /// in the meantime and the caller must make it ready.
  bool commit() noexcept {
    if (fault("wait_word.commit_overwrites")) {
      word_.store(pack(word_.load(memory_order::relaxed) >> shift, state::parked, wake_reason::none),
                  memory_order::release);  // [wait-1] relaxed: planted fault, forgets an early wake-up
      return true;
    }
    std::uint64_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchange below orders
    while (state_of(seen) == state::armed) {
      // [wait-1] This is the moment at which the stack changes hands. The saved context was written before it (release
      // half); a claim that finds `parked` acquires it and may run the thread on another carrier at once.
      if (word_.compare_exchange_weak(seen, pack(seen >> shift, state::parked, wake_reason::none), memory_order::acq_rel,
                                      memory_order::acquire))
        return true;
    }
    return false;
  }

  /// Any waker, any context: tries to become the reason why wait `t` ends.
  claim_result claim(ticket t, wake_reason why) noexcept {
    const auto epoch = static_cast<std::uint64_t>(t);
    std::uint64_t seen = word_.load(memory_order::relaxed);  // relaxed: the exchange below orders
    for (;;) {
      if (!fault("wait_word.ignores_epoch") && seen >> shift != epoch) return claim_result::lost;
      const state s = state_of(seen);
      if (s != state::armed && s != state::parked) return claim_result::lost;
      // [wait-1] acquire: the thread's saved context; release: our writes before the wake-up (the value handed over).
      if (word_.compare_exchange_weak(seen, pack(seen >> shift, state::woken, why), memory_order::acq_rel,
                                      memory_order::relaxed))  // relaxed: on failure we only look again
        return s == state::parked ? claim_result::parked : claim_result::running;
    }
  }

  /// Owner: has somebody won the wait that prepare() began?
  [[nodiscard]] bool woken() const noexcept {
    return state_of(word_.load(memory_order::acquire)) == state::woken;  // [wait-1] as in cancel()
  }

  /// Owner, after the wait: who won.
  [[nodiscard]] wake_reason reason() const noexcept {
    return reason_of(word_.load(memory_order::acquire));  // [wait-1] as in cancel()
  }

  /// A thread begins where others stood before it: its epochs follow theirs, so that their late wakers stay refused (I2).
  void continue_after(std::uint64_t epoch) noexcept {
    word_.store(pack(epoch, state::idle, wake_reason::none), memory_order::relaxed);  // relaxed: no wait, nothing to see
  }
  /// Owner, or whoever has the memory after its end: the epoch of the last wait.
  [[nodiscard]] std::uint64_t epoch() const noexcept { return word_.load(memory_order::relaxed) >> shift; }  // relaxed: as above

  /// A ticket for the wait that is going on now, for wakers that interrupt whatever the thread waits for.
  /// Returns false if the thread is not waiting.
  bool current_ticket(ticket& out) const noexcept {
    const std::uint64_t seen = word_.load(memory_order::acquire);  // [wait-1] as in cancel()
    out = ticket{seen >> shift};
    return state_of(seen) == state::armed || state_of(seen) == state::parked;
  }

 private:
  enum class state : std::uint8_t {
    idle,    ///< Not waiting. The thread runs or is queued; it owns the word.
    armed,   ///< Waiting in words only: it still stands on its stack, its carrier owns that.
    parked,  ///< Nobody touches the stack; whoever claims the wait owns it.
    woken,   ///< Claimed. The stack belongs to the thread or to the run queue that the winner put it in.
  };
  static constexpr int shift = 8;
  static constexpr std::uint64_t pack(std::uint64_t epoch, state s, wake_reason why) noexcept {
    return epoch << shift | static_cast<std::uint64_t>(s) << 4 | static_cast<std::uint64_t>(why);
  }
  static constexpr state state_of(std::uint64_t word) noexcept { return static_cast<state>(word >> 4 & 3); }
  static constexpr wake_reason reason_of(std::uint64_t word) noexcept { return static_cast<wake_reason>(word & 15); }

  atomic<std::uint64_t> word_{0};
};

}  // namespace weft::engine
