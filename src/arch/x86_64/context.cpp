// SPDX-License-Identifier: BSL-1.0
#include "arch/context.hpp"

#include <bit>

namespace weft::engine::arch {

context make_context(void* top, void (*entry)(void*), void* argument) noexcept {
  // weft_context_entry takes what lies above the frame from the stack and calls: the ABI wants that 16-byte aligned.
  struct first_frame {
    frame saved;
    void (*entry)(void*);
    void* argument;
  };
  const auto end = (std::bit_cast<std::uintptr_t>(top) & ~std::uintptr_t{15}) - 16;
  auto* f = std::bit_cast<first_frame*>(end - sizeof(first_frame));
  *f = {.saved = {}, .entry = entry, .argument = argument};
  asm volatile("stmxcsr %0" : "=m"(f->saved.mxcsr));
  asm volatile("fnstcw %0" : "=m"(f->saved.x87_control));
  f->saved.resume_at = std::bit_cast<std::uint64_t>(&weft_context_entry);
  return context{f};
}

}  // namespace weft::engine::arch
