// SPDX-License-Identifier: BSL-1.0
// The thread pointer through the kernel, for machines without FSGSBASE.
#pragma once
#include <cstdint>

namespace weft::engine::os {

/// arch_prctl: 400 to 870 ns.
void set_thread_pointer_slowly(std::uintptr_t value) noexcept;

}  // namespace weft::engine::os
