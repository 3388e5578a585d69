// SPDX-License-Identifier: BSL-1.0
// What kind of memory an address is in.
#pragma once

namespace weft::engine::os {

/// Is the memory here this process's own, so that no other process can see a change? False also when the kernel cannot
/// tell (before Linux 6.11, or no descriptor to be had). Opens and closes a descriptor; about 2 us.
[[nodiscard]] bool is_private_memory(const void* address) noexcept;

/// Does another process see changes there, or might it? False also when the kernel cannot tell. The same cost.
#ifdef WEFT_EXPLORE
inline bool is_shared_memory(const void*) noexcept { return false; }
#else
[[nodiscard]] bool is_shared_memory(const void* address) noexcept;
#endif

}  // namespace weft::engine::os
