// SPDX-License-Identifier: BSL-1.0
// System calls without libc: no errno (a carrier's scheduler has no thread-local storage of libc's), no cancellation
// point, nothing that a program may have replaced. The result is the kernel's: -4095..-1 is a negated errno.
#pragma once
#include <sys/syscall.h>

namespace weft::engine::os {

#if defined(__x86_64__)
inline long raw_syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) noexcept {
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}
#else
#error "Weft needs raw_syscall() for this CPU"
#endif

template <class T>
long arg(T* pointer) noexcept {
  return reinterpret_cast<long>(pointer);
}

}  // namespace weft::engine::os
