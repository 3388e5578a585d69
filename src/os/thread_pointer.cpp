// SPDX-License-Identifier: BSL-1.0
#include "os/thread_pointer.hpp"

#include <asm/prctl.h>

#include "os/syscall.hpp"

namespace weft::engine::os {

void set_thread_pointer_slowly(std::uintptr_t value) noexcept {
  raw_syscall(SYS_arch_prctl, ARCH_SET_FS, static_cast<long>(value));
}

}  // namespace weft::engine::os
