// SPDX-License-Identifier: BSL-1.0
// Where a signal interrupted the program.
#pragma once
#include <ucontext.h>

#include <cstdint>

namespace weft::engine::arch {

/// The address of the instruction that comes next, given a handler's third argument.
[[nodiscard]] inline std::uintptr_t program_counter(const void* signal_context) noexcept {
  const auto& frame = *static_cast<const ucontext_t*>(signal_context);
#if defined(__x86_64__)
  return static_cast<std::uintptr_t>(frame.uc_mcontext.gregs[REG_RIP]);
#else
#error "Weft needs the program counter of this CPU"
#endif
}

}  // namespace weft::engine::arch
