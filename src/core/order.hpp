// SPDX-License-Identifier: BSL-1.0
// The seam for schedulers of another kind than work stealing: who of all that are ready runs next.
//
// A scheduler with an order keeps every ready thread in its global queue, which asks the order; slots have no work of their own then. What is
// gained is an exact order over all carriers, what is lost is that each wake-up takes one lock.
// A thread's rank says whom it may displace: the least runs first. One that becomes ready displaces whoever runs with a greater rank, at
// once if that is a thread that can be preempted; one that yields, or whose slice is over, goes on if nobody's rank is as small.
#pragma once
#include "core/thread.hpp"

namespace weft::engine {

/// Why an order is given a thread.
enum class became_ready : std::uint8_t {
  started,
  woken,
  yielded,   ///< Or its slice is over.
  put_back,  ///< It was popped in vain, or could not go on for a reason that is not its own: the first of its equals.
};

/// Calls come one at a time, under the lock of the global queue. None may wait or allocate.
class order {
 public:
  /// Keeps `t` and sets its rank.
  virtual void push(thread& t, became_ready why) noexcept = 0;
  /// Who shall run; null if there is nobody.
  virtual thread* pop() noexcept = 0;
  /// `t` runs, or is kept here, and what its rank comes from has changed: the CPU time it used, its priority, its deadline.
  virtual void changed(thread& t) noexcept = 0;
  /// Is time the order's own? It stands while anybody runs, and jumps to the next deadline when nobody can.
  [[nodiscard]] virtual bool time_is_virtual() const noexcept { return false; }

 protected:
  ~order() = default;
};

}  // namespace weft::engine
