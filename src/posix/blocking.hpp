// SPDX-License-Identifier: BSL-1.0
// A stretch in which the calling thread may block in the kernel and says so beforehand: its slot goes to others at once.
// For calls that cannot park: file locks, children, name look-ups, System V semaphores.
#pragma once

#include "core/section.hpp"
#include "posix/runtime.hpp"

namespace weft::posix {

class blocking {
 public:
  /// Outside sections. Costs about 100 ns when nobody waits for the slot; wakes a sleeping carrier when somebody does.
  explicit blocking(user_thread& me) noexcept : me_(me) {
    if (me_.kind != thread_kind::user) return;
    const section in(me_);
    the_scheduler.hand_off(me_);
  }
  /// Returns with a slot, possibly on another carrier.
  ~blocking() {
    if (me_.kind == thread_kind::user) const section in(me_);
  }
  blocking(const blocking&) = delete;
  blocking& operator=(const blocking&) = delete;

 private:
  user_thread& me_;
};

/// Calls `f` in such a stretch if the caller is a thread of ours; errno is as `f` left it.
template <class F>
auto while_blocking(F f) {
  if (native() || runtime.now != stage::running) return f();
  const blocking stretch(self());
  return f();
}

}  // namespace weft::posix
