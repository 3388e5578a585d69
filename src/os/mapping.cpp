// SPDX-License-Identifier: BSL-1.0
#include "os/mapping.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <cstdint>

#include "os/syscall.hpp"

namespace weft::engine::os {

namespace {
/// struct procmap_query of linux/fs.h, which older headers lack.
struct mapping_query {
  std::uint64_t size = sizeof(mapping_query);
  std::uint64_t query_flags = 0;
  std::uint64_t query_addr = 0;
  std::uint64_t vma_start = 0, vma_end = 0, vma_flags = 0, vma_page_size = 0, vma_offset = 0, inode = 0;
  std::uint32_t dev_major = 0, dev_minor = 0, vma_name_size = 0, build_id_size = 0;
  std::uint64_t vma_name_addr = 0, build_id_addr = 0;
};
constexpr unsigned long ask = _IOWR('f', 17, mapping_query);
constexpr std::uint64_t writable = 2, shared = 8;

/// The flags of the mapping there; 0 if the kernel cannot tell.
std::uint64_t flags_at(const void* address) noexcept {
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, arg("/proc/self/maps"), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  mapping_query q;
  q.query_addr = reinterpret_cast<std::uintptr_t>(address);
  const long result = raw_syscall(SYS_ioctl, fd, static_cast<long>(ask), arg(&q));
  raw_syscall(SYS_close, fd);
  return result == 0 ? q.vma_flags : 0;
}
}  // namespace

bool is_private_memory(const void* address) noexcept { return (flags_at(address) & (writable | shared)) == writable; }
bool is_shared_memory(const void* address) noexcept { return (flags_at(address) & shared) != 0; }

}  // namespace weft::engine::os
