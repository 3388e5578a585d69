// SPDX-License-Identifier: BSL-1.0
// Who owns a slot while its carrier may be blocked in the kernel: the protocol between a carrier and the monitor.
//
// A carrier that blocks in foreign code cannot say so. The monitor takes its slot away, and the carrier must notice
// before it touches the slot again, although it pays no fence on its way into the engine.
//
//   carrier enters the engine                       monitor takes the slot away
//   c1 thread.no_preempt += 1 (plain)               m1 CAS claim: held -> taking
//   c2 (compiler barrier)                           m2 os::barrier_everywhere()  (membarrier: every CPU)
//   c3 claim == held? go on, the slot is ours       m3 is the carrier inside the engine (no_preempt != 0)?
//      claim == taking? CAS taking -> none,            no:  CAS taking -> none (may fail: c3 did it). Taken.
//        and wait for another slot                     yes: CAS taking -> held. Won: undone. Lost: c3 let go. Taken.
//      claim == none? wait for another slot
// L1  If the carrier passes c3 with `held` after m1's exchange, that read came before the barrier m2 reached its CPU
//     (else it would have seen `taking`), hence c1 is visible at m3: the monitor finds the carrier inside and undoes.
// L2  When m3 finds it outside, every later c3 sees `taking` or `none`: it does not touch the slot.
// L3  `taking` is left by exactly one successful exchange; both sides read the outcome from it.
// L4  The word names the slot. A carrier that lets go at c3 may be given another slot before m3: the monitor must know
//     which one it has taken, and its exchange at m3 must not touch the other one. (While the monitor is at it nobody can
//     give the carrier the same slot again.)
// The monitor is one kernel thread, so two takers never meet.
//
// Rejected: a compare-exchange at every entry (5 ns on every lock); Go's handshake (needs calls to announce themselves).
#pragma once
#include <cstdint>

#include "base/atomic.hpp"
#include "base/fault.hpp"

namespace weft::engine {

class slot_claim {
 public:
  /// Carrier, inside the engine (no_preempt raised, compiler barrier passed): is the slot still ours?
  /// False: it is not, or the monitor was about to take it and has it now.
  bool confirm() noexcept {
    std::uint32_t seen = state_.load(memory_order::relaxed);  // relaxed: ordered by the monitor's barrier (L1)
    if (is_held(seen)) [[likely]] return true;
    // [claim-1] We let go of the slot; the monitor, whose undo then fails, acquires what we last wrote to it.
    if (seen != none && state_.compare_exchange_strong(seen, none, memory_order::acq_rel, memory_order::acquire))
      return false;
    return is_held(seen);
  }

  /// Carrier, or whoever hands it the slot while it sleeps: it owns slot number `slot` from now on.
  void give(std::uint32_t slot) noexcept {
    state_.store(slot, memory_order::release);  // [claim-1] pairs with begin_taking
  }

  /// Carrier, inside the engine, which just confirmed: lets go of its slot by itself. False if the monitor was faster.
  bool release() noexcept {
    for (;;) {
      std::uint32_t seen = state_.load(memory_order::relaxed);  // relaxed: the exchange decides
      if (!is_held(seen) && !confirm()) return false;
      // [claim-1] as in confirm: the slot's next owner acquires what we last wrote to it.
      if (is_held(seen) && state_.compare_exchange_strong(seen, none, memory_order::acq_rel, memory_order::acquire))
        return true;
    }
  }

  /// For the carrier that was taken off the list of sleepers: has its waker handed it the slot?
  [[nodiscard]] bool was_given() const noexcept { return state_.load(memory_order::acquire) != none; }  // [claim-1]

  /// Does the carrier own a slot? A hint unless the caller is inside the engine on this carrier.
  [[nodiscard]] bool holds() const noexcept { return is_held(state_.load(memory_order::relaxed)); }  // relaxed: a hint

  /// Monitor only, m1. False: the carrier has no slot. Then call the barrier, look, and call finish_taking with the
  /// number of the slot that came in `slot`.
  bool begin_taking(std::uint32_t& slot) noexcept {
    slot = state_.load(memory_order::relaxed);  // relaxed: the exchange decides
    // [claim-1] acquire: what the carrier last wrote to the slot is ours to read if we keep it.
    return is_held(slot) && state_.compare_exchange_strong(slot, slot | taking, memory_order::acq_rel,
                                                           memory_order::relaxed);  // relaxed: refused
  }

  /// Monitor only, m3. Returns true if the slot now belongs to the monitor.
  bool finish_taking(std::uint32_t slot, bool carrier_is_inside) noexcept {
    if (fault("slot_claim.never_undoes")) carrier_is_inside = false;
    std::uint32_t seen = slot | taking;
    // [claim-1] The single exchange that leaves `taking` (L3): acquires the carrier's last writes when it let go.
    const bool won = state_.compare_exchange_strong(seen, carrier_is_inside ? slot : none, memory_order::acq_rel,
                                                    memory_order::acquire);
    return !(won && carrier_is_inside);
  }

 private:
  // held: the slot's number. Ordered so that the look at every entry is one compare.
  static constexpr std::uint32_t taking = 1u << 30, none = 1u << 31;
  static constexpr bool is_held(std::uint32_t state) noexcept { return state < taking; }
  atomic<std::uint32_t> state_{none};
};

}  // namespace weft::engine
