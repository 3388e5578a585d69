// SPDX-License-Identifier: BSL-1.0
// The CPU register that thread-local storage hangs on (FS on x86-64; tpidr_el0 on aarch64).
#pragma once
#include <cstdint>

namespace weft::engine::arch {

#if defined(__x86_64__)
/// The calling thread's thread pointer. The ABI keeps it in the first word that it points to.
inline std::uintptr_t thread_pointer() noexcept {
  std::uintptr_t value;
  asm volatile("movq %%fs:0, %0" : "=r"(value));
  return value;
}

/// Sets it in user mode. Only where the kernel allows FSGSBASE (os::features), otherwise SIGILL. About 14 ns.
inline void set_thread_pointer(std::uintptr_t value) noexcept { asm volatile("wrfsbase %0" ::"r"(value) : "memory"); }

/// Reads the thread-local pointer of that symbol, of the initial-exec model, now. The compiler may keep the address of a thread_local over
/// a switch, and must not where the switch changes this register.
#define WEFT_READ_THREAD_LOCAL(result, symbol) \
  asm volatile("movq " symbol "@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=&r"(result) : : "memory")

/// Byte offsets in glibc's thread control block that the ABI fixes: compiled code reads them.
struct tcb_offsets {
  static constexpr std::size_t tcb = 0, dtv = 8, self = 16, multiple_threads = 24, stack_guard = 0x28,
                               pointer_guard = 0x30;
};
#else
#error "Weft needs the thread pointer of this CPU"
#endif

}  // namespace weft::engine::arch
