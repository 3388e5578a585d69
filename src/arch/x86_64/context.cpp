// SPDX-License-Identifier: BSL-1.0
#include "arch/context.hpp"

#include <bit>

namespace weft::arch {

context make_context(void* top, void (*entry)(void*), void* argument) noexcept {
  // weft_context_entry starts with the stack pointer just above the frame and calls: the ABI wants it 16-byte aligned.
  const auto end = (std::bit_cast<std::uintptr_t>(top) & ~std::uintptr_t{15}) - 16;
  auto* f = std::bit_cast<frame*>(end - sizeof(frame));
  *f = frame{};
  asm volatile("stmxcsr %0" : "=m"(f->mxcsr));
  asm volatile("fnstcw %0" : "=m"(f->x87_control));
  f->r12 = std::bit_cast<std::uint64_t>(entry);
  f->r13 = std::bit_cast<std::uint64_t>(argument);
  f->resume_at = std::bit_cast<std::uint64_t>(&weft_context_entry);
  return context{f};
}

}  // namespace weft::arch
