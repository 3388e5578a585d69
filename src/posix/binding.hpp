// SPDX-License-Identifier: BSL-1.0
// Binding: a thread that asks for what only a kernel thread can have (a real-time policy, its own CPUs, its own system call
// filter, robust mutexes of libc's) keeps its carrier for itself from then on, and the slot goes to others. It waits by
// futex, as kernel threads do that Weft did not make, and when it ends its kernel thread ends, too.
//
// I1  A bound thread is `foreign` and has a carrier; a kernel thread that Weft did not make has none.
// I2  Its id stays what it was (recursive mutexes that it holds say so). Only inside libc's functions for robust mutexes is
//     it the kernel's (as_kernel_thread).
#pragma once
#include "core/section.hpp"
#include "mem/thread_block.hpp"
#include "posix/runtime.hpp"

namespace weft::engine::posix {

[[nodiscard]] inline bool is_bound(const user_thread& t) noexcept {
  return t.kind == thread_kind::foreign && t.on != nullptr;
}

/// Makes `change`, which affects the calling kernel thread and returns 0 or a negated errno; if it succeeds, the calling
/// thread is bound from now on. Kernel threads that are not ours just make it. Outside sections.
template <class Change>
long bind_for(user_thread& me, Change change) noexcept {
  const section in(me);
  if (me.kind != thread_kind::user) return change();
  carrier& c = *me.on;
  // Before the change: no carrier may be made that would inherit it.
  c.bound.store(true, memory_order::relaxed);  // relaxed: read by this kernel thread, a hint for others
  const long result = change();
  if (result < 0) {
    c.bound.store(false, memory_order::relaxed);  // relaxed: as above
  } else {
    the_scheduler.bind(me);
  }
  return result;
}

/// Binds the calling thread, whatever for.
inline void bind_to_carrier(user_thread& me) noexcept {
  (void)bind_for(me, []() noexcept { return 0L; });
}

/// The calling kernel thread's system call by which a thread binds itself: -1 with errno, as libc's function.
long bound_call(long number, long a, long b = 0, long c = 0, long d = 0, long e = 0) noexcept;

/// While it lives the calling thread, bound by it if need be, has the id of its kernel thread, and its list of robust
/// mutexes is known to the kernel: for libc's functions on robust mutexes and on those with priority inheritance.
/// (A thread that is cancelled inside keeps that id for the rest of its life: its cleanup handlers.)
class as_kernel_thread {
 public:
  explicit as_kernel_thread(user_thread& me) noexcept;
  ~as_kernel_thread() {
    if (own_id_ != 0) mem::set_thread_id(pointer_, own_id_);
  }
  as_kernel_thread(const as_kernel_thread&) = delete;
  as_kernel_thread& operator=(const as_kernel_thread&) = delete;

 private:
  std::uintptr_t pointer_;
  int own_id_ = 0;
};

/// At the end of a bound thread: the robust mutexes that it still holds tell their next owners.
void give_up_robust_mutexes(user_thread& me) noexcept;

}  // namespace weft::engine::posix
