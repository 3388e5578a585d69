// SPDX-License-Identifier: BSL-1.0
// One turn of a spin loop: tells the CPU that we spin; in the explorer, lets another virtual thread run.
#pragma once

#ifdef WEFT_EXPLORE
#include "explored_atomic.hpp"
#endif

namespace weft::engine {

inline void pause_cpu() noexcept {
#ifdef WEFT_EXPLORE
  explore::spin_hint();
#elif defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace weft::engine
