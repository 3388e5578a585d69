// SPDX-License-Identifier: BSL-1.0
// The CPU's part of a switch: stop executing on one stack, go on where another one stopped.
//
// A suspended context is one pointer: the stack pointer, at which a `frame` lies. The switch resumes with an indirect jump
// instead of `ret`, because the return-stack predictor would always be wrong (3 ns against 9.5 ns measured). It is inlined, for the
// same reason: a call that is left by a jump leaves the predictor one address too many, and every return that follows is
// mispredicted. So the compiler saves the registers, those that it needs, and the frame is what it cannot save.
// The thread pointer (own thread-local storage) changes only when the next context has another one: writing it costs
// more than the rest of the switch. It changes before the stack does; a signal in between finds a thread whose
// no-preempt count is raised, whichever of the two it looks at.
#pragma once
#include <cstddef>
#include <cstdint>

namespace weft::engine::arch {

/// What the switch leaves at the saved stack pointer, lowest address first.
struct frame {
  std::uint32_t mxcsr;
  std::uint16_t x87_control;
  std::uint16_t unused;
  std::uint64_t rbp;
  std::uint64_t resume_at;
};
static_assert(offsetof(frame, mxcsr) == 0 && offsetof(frame, x87_control) == 4 && offsetof(frame, rbp) == 8 &&
              offsetof(frame, resume_at) == 16 && sizeof(frame) == 24);

/// A suspended execution: where its stack pointer stands. Meaningless while it runs.
struct context {
  void* stack_pointer = nullptr;
};

extern "C" {
/// First code of a new context: calls the function that lies above the frame with the argument above that. It must not
/// return; marks the end of the stack for unwinders.
void weft_context_entry() noexcept;
/// Calls f(argument) on another stack and comes back; the two stacks unwind as one.
void weft_call_on_stack(void (*f)(void*), void* argument, void* stack_top) noexcept;
}

/// Prepares a context that will run entry(argument) on the stack that ends at `top` (any alignment).
/// entry must not return. FP control words are the caller's, as for a new kernel thread.
context make_context(void* top, void (*entry)(void*), void* argument) noexcept;

/// Suspends the caller into `from` and continues `to`. With thread_pointer != 0, FS becomes that first (needs FSGSBASE).
/// Returns when somebody switches back to `from`. Costs about 7 ns, 20 with a thread pointer.
inline void switch_context(context& from, const context& to, std::uintptr_t thread_pointer) noexcept;

}  // namespace weft::engine::arch

#if defined(__x86_64__)
#include "arch/x86_64/switch.hpp"
#else
#error "Weft needs the switch of this CPU"
#endif
