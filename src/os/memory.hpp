// SPDX-License-Identifier: BSL-1.0
// Memory straight from the kernel: no malloc, usable from the scheduler.
#pragma once
#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/annotate.hpp"
#include "os/syscall.hpp"

namespace weft::engine::os {

inline constexpr std::size_t page_size = 4096;
inline constexpr int advice_guard_install = 102;  // MADV_GUARD_INSTALL, absent from Debian 12's headers
inline constexpr int advice_guard_remove = 103;   // MADV_GUARD_REMOVE

/// `bytes` (a multiple of the page size) of zeroed, lazily committed memory; null when there is none.
inline void* map(std::size_t bytes) noexcept {
  const long result = raw_syscall(SYS_mmap, 0, static_cast<long>(bytes), PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  mapping_annotation::mapped();
  return result < 0 && result > -4096 ? nullptr : std::bit_cast<void*>(result);
}

inline void unmap(void* memory, std::size_t bytes) noexcept {
  mapping_annotation::unmapped();
  raw_syscall(SYS_munmap, arg(memory), static_cast<long>(bytes));
}

/// Gives the pages back; they read as zeros when touched again. Pages that are locked in memory stay, but are cleared.
inline void discard(void* memory, std::size_t bytes) noexcept {
  if (raw_syscall(SYS_madvise, arg(memory), static_cast<long>(bytes), MADV_DONTNEED) != 0) std::memset(memory, 0, bytes);
}

/// Can eight bytes be read there? Asks the kernel: an address that it cannot read is an error other than that of the
/// nonsense that we ask for. 60 ns.
inline bool can_read(std::uintptr_t address) noexcept {
  constexpr long nonsense = -1;
  return raw_syscall(SYS_rt_sigprocmask, nonsense, static_cast<long>(address), 0, 8) == -EINVAL;
}

/// Copies what lies there, or says that nothing can be read there, however the memory comes and goes meanwhile. 200 ns.
inline bool copy_if_readable(const void* from, void* to, std::size_t bytes) noexcept {
  const iovec local{to, bytes}, remote{const_cast<void*>(from), bytes};
  return raw_syscall(SYS_process_vm_readv, raw_syscall(SYS_getpid), arg(&local), 1, arg(&remote), 1, 0) == static_cast<long>(bytes);
}

template <class T>
constexpr T round_up(T value, T unit) noexcept {
  return (value + unit - 1) / unit * unit;
}

}  // namespace weft::engine::os
