// SPDX-License-Identifier: BSL-1.0
#include "os/task.hpp"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/text.hpp"
#include "os/syscall.hpp"

namespace weft::engine::os {

namespace {
/// Reads the start of /proc/self/task/TID/NAME. Returns the number of bytes, or a negated errno.
long read_task_file(std::int32_t tid, const char* name, char* buffer, long bytes) noexcept {
  text<64> path;
  path << "/proc/self/task/" << tid << '/' << name;
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, arg(path.c_str()), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fd;
  const long n = raw_syscall(SYS_read, fd, arg(buffer), bytes - 1);
  raw_syscall(SYS_close, fd);
  if (n >= 0) buffer[n] = '\0';
  return n;
}
}  // namespace

task_state state_of_task(std::int32_t tid) noexcept {
  char buffer[128];
  if (read_task_file(tid, "stat", buffer, sizeof buffer) <= 0) return task_state::unknown;
  const char* name_end = ::strrchr(buffer, ')');  // the name itself may hold anything
  if (name_end == nullptr || name_end[1] == '\0') return task_state::unknown;
  switch (name_end[2]) {
    case 'R':
      return task_state::running;
    case 'S':
    case 'D':
    case 'I':
      return task_state::blocked;
    default:
      return task_state::unknown;  // stopped, traced, ended: not ours to judge
  }
}

std::uint64_t voluntary_switches(std::int32_t tid) noexcept {
  char buffer[2048];
  if (read_task_file(tid, "status", buffer, sizeof buffer) <= 0) return 0;
  const char* found = ::strstr(buffer, "\nvoluntary_ctxt_switches:");
  if (found == nullptr) return 0;
  std::uint64_t value = 0;
  for (const char* p = found + 25; *p != '\0' && *p != '\n'; ++p)
    if (*p >= '0' && *p <= '9') value = value * 10 + static_cast<std::uint64_t>(*p - '0');
  return value + 1;  // so that "known" is never 0
}

void leave_descriptor_table() noexcept {
  // One call where the kernel has it (5.9): a new table without even copying the old one's entries.
  if (raw_syscall(SYS_close_range, 0, static_cast<long>(~0u), CLOSE_RANGE_UNSHARE) == 0) return;
  if (raw_syscall(SYS_unshare, CLONE_FILES) != 0) return;
  for (int fd = 0; fd < 65536; ++fd) raw_syscall(SYS_close, fd);
}

void write_to_process_stderr(const char* text, unsigned long bytes) noexcept {
  // /proc/self is the process, whose table is that of its other threads.
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, arg("/proc/self/fd/2"), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0) return;
  raw_syscall(SYS_write, fd, arg(text), static_cast<long>(bytes));
  raw_syscall(SYS_close, fd);
}

void set_slice(nanoseconds slice) noexcept {
  struct {
    std::uint32_t size = 48, policy = 0;
    std::uint64_t flags = 0;
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::uint64_t runtime = 0, deadline = 0, period = 0;
  } attributes;
  if (raw_syscall(SYS_sched_getattr, 0, arg(&attributes), sizeof attributes, 0) < 0 || attributes.policy != SCHED_OTHER) return;
  attributes.runtime = static_cast<std::uint64_t>(slice);
  raw_syscall(SYS_sched_setattr, 0, arg(&attributes), 0);
}

void become_punctual() noexcept {
  raw_syscall(SYS_prctl, PR_SET_TIMERSLACK, 1);
  set_slice(short_slice);
}

}  // namespace weft::engine::os
