// SPDX-License-Identifier: BSL-1.0
#include "os/limits.hpp"

#include <fcntl.h>
#include <sys/resource.h>

#include "os/syscall.hpp"

namespace weft::engine::os {

namespace {
/// The number in a file; `otherwise` when there is none (no such file, "max").
std::uint64_t number_in(const char* path, std::uint64_t otherwise) noexcept {
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, arg(path), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return otherwise;
  char buffer[32];
  const long n = raw_syscall(SYS_read, fd, arg(buffer), sizeof buffer);
  raw_syscall(SYS_close, fd);
  std::uint64_t value = 0;
  long i = 0;
  for (; i < n && buffer[i] >= '0' && buffer[i] <= '9'; ++i) value = value * 10 + static_cast<std::uint64_t>(buffer[i] - '0');
  return i == 0 ? otherwise : value;
}
}  // namespace

std::uint32_t kernel_thread_room() noexcept {
  std::uint64_t room = number_in("/proc/sys/kernel/pid_max", 32768);
  const auto at_most = [&](std::uint64_t n) {
    if (n < room) room = n;
  };
  at_most(number_in("/proc/sys/kernel/threads-max", room));
  at_most(number_in("/sys/fs/cgroup/pids.max", room));
  rlimit limit;
  if (::getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) at_most(limit.rlim_cur);
  return room > 0xffffffff ? 0xffffffff : static_cast<std::uint32_t>(room);
}

}  // namespace weft::engine::os
