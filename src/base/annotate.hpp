// SPDX-License-Identifier: BSL-1.0
// Tells ThreadSanitizer and AddressSanitizer that a switch changes the stack, and ThreadSanitizer what the kernel orders.
// Empty in normal builds.
// Sanitizers keep their own state in thread-local storage, so under them threads borrow the carrier's storage and are
// not preempted (DESIGN: test the protocols that way; send programs built with sanitizers to 1:1).
#pragma once
#include <cstddef>

#if __has_include(<valgrind/valgrind.h>) && !defined(WEFT_EXPLORE)
#include <valgrind/valgrind.h>
#endif

#if defined(__SANITIZE_THREAD__)
extern "C" {
void* __tsan_get_current_fiber(void);
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* where);
void __tsan_release(void* where);
}
#elif defined(__SANITIZE_ADDRESS__)
extern "C" {
void __sanitizer_start_switch_fiber(void** fake_stack_save, const void* bottom, std::size_t size);
void __sanitizer_finish_switch_fiber(void* fake_stack_save, const void** bottom_old, std::size_t* size_old);
void __asan_unpoison_memory_region(const volatile void* low, std::size_t size);
}
#endif

namespace weft::engine {

#if defined(__SANITIZE_THREAD__)
/// One stack as the sanitizer knows it.
struct stack_annotation {
  void* fiber = nullptr;
  void created(const void*, std::size_t) noexcept { fiber = __tsan_create_fiber(0); }
  void adopted() noexcept { fiber = __tsan_get_current_fiber(); }
  void destroyed() noexcept { __tsan_destroy_fiber(fiber); }
  // The switch orders (flag 0), because the engine relies on it: what a carrier and its slot hold is passed from one stack
  // to the next by nothing but the order in which one kernel thread runs them, and the one that comes next parks or frees
  // the one that left (scheduler::after). The price: a race between two threads is not seen while they follow each other
  // on one carrier. So tests run threads on several, and count. Rejected: flag 1 (no sync), and every such field atomic.
  void leave_for(stack_annotation& next, bool) noexcept { __tsan_switch_to_fiber(next.fiber, 0); }
  void entered() noexcept {}
};

/// The kernel orders the end of a mapping before the start of the next one at the same place. The sanitizer learns that from
/// libc's functions, which the engine does not call; so it is told here, for all mappings at once.
struct mapping_annotation {
  static void mapped() noexcept { __tsan_acquire(&order); }
  static void unmapped() noexcept { __tsan_release(&order); }

 private:
  static inline char order = 0;
};
#elif defined(__SANITIZE_ADDRESS__)
struct stack_annotation {
  void* fake_stack = nullptr;
  const void* bottom = nullptr;
  std::size_t bytes = 0;
  bool switched_to = false;  ///< A carrier's first round is not entered by a switch.
  void created(const void* low, std::size_t size) noexcept {
    fake_stack = nullptr;
    bottom = low;
    bytes = size;
  }
  void adopted() noexcept;  // reads the kernel thread's own bounds
  /// The frames of a thread that is over never return; whoever uses the stack next must not trip over their red zones.
  void destroyed() noexcept { __asan_unpoison_memory_region(bottom, bytes); }
  void leave_for(stack_annotation& next, bool for_ever) noexcept {
    next.switched_to = true;
    __sanitizer_start_switch_fiber(for_ever ? nullptr : &fake_stack, next.bottom, next.bytes);
  }
  void entered() noexcept {
    if (!switched_to) return;
    switched_to = false;
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
  }
};
#else
struct stack_annotation {
  void created(const void*, std::size_t) noexcept {}
  void adopted() noexcept {}
  void destroyed() noexcept {}
  void leave_for(stack_annotation&, bool) noexcept {}
  void entered() noexcept {}
};
#endif

/// Tells Valgrind, where its header was there when this was built, that a stack begins: a jump to it is a switch, and not a frame of some megabytes. For
/// good, as stacks are kept. Without Valgrind a few instructions that do nothing.
#if __has_include(<valgrind/valgrind.h>) && !defined(WEFT_EXPLORE)
inline void tell_valgrind_of_stack(const void* low, std::size_t bytes) noexcept {
  (void)VALGRIND_STACK_REGISTER(low, static_cast<const char*>(low) + bytes);
}
#else
inline void tell_valgrind_of_stack(const void*, std::size_t) noexcept {}
#endif

#if !defined(__SANITIZE_THREAD__)
struct mapping_annotation {
  static void mapped() noexcept {}
  static void unmapped() noexcept {}
};
#endif

}  // namespace weft::engine
