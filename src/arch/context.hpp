// SPDX-License-Identifier: BSL-1.0
// The CPU's part of a switch: stop executing on one stack, go on where another one stopped.
//
// A suspended context is one pointer: the stack pointer, below which the callee-saved registers and the floating-point
// control words lie in the layout of `frame`. The switch resumes with an indirect jump instead of `ret`, because the
// return-stack predictor would always be wrong (3 ns against 9.5 ns measured).
// The thread pointer (own thread-local storage) changes only when the next context has another one: writing it costs
// more than the rest of the switch. It changes before the stack does; a signal in between finds a thread whose
// no-preempt count is raised, whichever of the two it looks at.
#pragma once
#include <cstddef>
#include <cstdint>

namespace weft::arch {

/// What the switch leaves at the saved stack pointer, lowest address first.
struct frame {
  std::uint32_t mxcsr;
  std::uint16_t x87_control;
  std::uint16_t unused;
  std::uint64_t r15, r14, r13, r12, rbx, rbp;
  std::uint64_t resume_at;
};
static_assert(offsetof(frame, mxcsr) == 0 && offsetof(frame, x87_control) == 4 && offsetof(frame, r15) == 8 &&
              offsetof(frame, rbp) == 48 && offsetof(frame, resume_at) == 56 && sizeof(frame) == 64);

/// A suspended execution: where its stack pointer stands. Meaningless while it runs.
struct context {
  void* stack_pointer = nullptr;
};

extern "C" {
/// Suspends the caller into *from and continues `to`. With thread_pointer != 0, FS becomes that first (needs FSGSBASE).
/// Returns when somebody switches back to *from. Costs about 7 ns, 20 with a thread pointer.
void weft_context_switch(context* from, const context* to, std::uintptr_t thread_pointer) noexcept;
/// First code of a new context: calls r12(r13), which must not return; marks the end of the stack for unwinders.
void weft_context_entry() noexcept;
/// Calls f(argument) on another stack and comes back; the two stacks unwind as one.
void weft_call_on_stack(void (*f)(void*), void* argument, void* stack_top) noexcept;
}

/// Prepares a context that will run entry(argument) on the stack that ends at `top` (any alignment).
/// entry must not return. FP control words are the caller's, as for a new kernel thread.
context make_context(void* top, void (*entry)(void*), void* argument) noexcept;

}  // namespace weft::arch
