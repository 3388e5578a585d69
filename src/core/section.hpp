// SPDX-License-Identifier: BSL-1.0
// An engine section: a stretch in which the running thread may touch engine state. It is not preempted, it stays on its
// carrier until it switches, the carrier holds a slot, and program signals are put off until its end.
// Cost: two loads, two stores, one compare. Sections nest; only the outermost confirms the slot (slot_claim, c3).
#pragma once

#include "core/scheduler.hpp"
#include "core/thread.hpp"
#include "os/fence.hpp"

namespace weft::engine {

/// Does what handlers left for the end of a section. Out of line: rare.
void attend(thread& me) noexcept;
/// The outermost section found that the carrier had lost its slot.
void regain(thread& me) noexcept;

class section {
 public:
  [[gnu::always_inline]] explicit section(thread& me) noexcept : me_(me) {
    if (me_.no_preempt.raise() != 0 || me_.kind != thread_kind::user) return;
    os::light_fence();  // slot_claim, c2
    if (!me_.on->claim.confirm()) [[unlikely]]
      regain(me_);
  }
  [[gnu::always_inline]] ~section() {
    // A handler that comes before lower() leaves its mark, and we see it here; one that comes later acts by itself.
    if (me_.no_preempt.lower() == 0 && me_.pending.load(memory_order::relaxed) != 0) [[unlikely]]  // relaxed: same thread
      attend(me_);
  }
  section(const section&) = delete;
  section& operator=(const section&) = delete;
  thread& me() const noexcept { return me_; }

 private:
  thread& me_;
};

}  // namespace weft::engine
