// SPDX-License-Identifier: BSL-1.0
// A stretch in which the calling thread may block in the kernel and says so beforehand: its slot goes to others at once.
// For calls that cannot park: file locks, children, name look-ups, System V semaphores.
//
// Calls that can be tried without waiting are tried first, by the kernel's own call (no errno, no cancellation): only what
// would block gives its slot away. The blocking call itself is libc's, which acts on cancellation while it waits. It then
// unwinds past the stretch, whose end is not run and need not be: the thread's next section gets it a slot.
#pragma once
#include <errno.h>

#include "core/section.hpp"
#include "os/syscall.hpp"
#include "posix/cancel.hpp"
#include "posix/runtime.hpp"

namespace weft::engine::posix {

/// The calling thread if it has a slot that it can give away. Null in model 1:1, before the engine runs, in kernel threads
/// that are not ours, and in the handler of a fault that came inside a section.
[[nodiscard]] inline user_thread* slot_owner() noexcept {
  if (native() || runtime.now != stage::running) return nullptr;
  thread* me = current();
  if (me == nullptr || me->kind != thread_kind::user || me->no_preempt.raised()) return nullptr;
  return static_cast<user_thread*>(me);
}

class blocking {
 public:
  /// Outside sections. Costs about 100 ns when nobody waits for the slot; wakes a sleeping carrier when somebody does.
  explicit blocking(user_thread& me) noexcept : me_(me) {
    const section in(me_);
    the_scheduler.hand_off(me_);
  }
  /// Returns with a slot, possibly on another carrier.
  ~blocking() { const section in(me_); }
  blocking(const blocking&) = delete;
  blocking& operator=(const blocking&) = delete;

 private:
  user_thread& me_;
};

/// Calls `f` in such a stretch if the caller has a slot; errno is as `f` left it.
template <class F>
auto while_blocking(F f) {
  user_thread* me = slot_owner();
  if (me == nullptr) return f();
  const blocking stretch(*me);
  return f();
}

/// The same for a call that returns -1 and EINTR for whatever signal comes: if it was none of the program's, it is made again.
/// (Most calls are, by the kernel, because the engine's handler has SA_RESTART; those with a timeout and some others are not.)
template <class F>
auto while_blocking_undisturbed(F f) {
  user_thread* me = slot_owner();
  if (me == nullptr) return f();
  const std::uint32_t handlers = me->handlers_run;
  for (;;) {
    const auto result = while_blocking(f);
    if (result != -1 || errno != EINTR || me->handlers_run != handlers) return result;
    cancellation_point(*me);
  }
}

/// `attempt` does what `f` does without waiting and returns the kernel's result: only if that is -refusal is it `f`'s turn.
template <class Attempt, class F>
auto unless_it_would_block(long refusal, Attempt attempt, F f) -> decltype(f()) {
  if (slot_owner() == nullptr) return f();
  const long result = attempt();
  if (result >= 0) return static_cast<decltype(f())>(result);
  if (result == -refusal) return while_blocking_undisturbed(f);
  errno = static_cast<int>(-result);
  return -1;
}

/// The same for calls that are cancellation points.
template <class Attempt, class F>
auto unless_it_would_block_or_is_cancelled(long refusal, Attempt attempt, F f) -> decltype(f()) {
  if (user_thread* me = slot_owner()) cancellation_point(*me);
  return unless_it_would_block(refusal, attempt, f);
}

}  // namespace weft::engine::posix
