// SPDX-License-Identifier: BSL-1.0
#include "io/pipe_credit.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>

#include "os/syscall.hpp"

namespace weft::engine::io {

using os::arg;
using os::raw_syscall;

void pipe_credit::look_as_reader(int fd) noexcept {
  int bytes = 0;
  if (raw_syscall(SYS_ioctl, fd, FIONREAD, arg(&bytes)) != 0) bytes = 0;
  note(bytes, 1);
}

void pipe_credit::look_as_writer(int fd) noexcept {
  int bytes = 0;
  const long flags = raw_syscall(SYS_fcntl, fd, F_GETFL);
  const long capacity = raw_syscall(SYS_fcntl, fd, F_GETPIPE_SZ);
  const bool packets = flags < 0 || (flags & O_DIRECT) != 0;  // then each write has a slot to itself
  if (packets || capacity < 0 || raw_syscall(SYS_ioctl, fd, FIONREAD, arg(&bytes)) != 0) return note(0, 1);
  constexpr int slot = page, least_in_slot = slot / 2, ends = 2;
  const int free_slots = static_cast<int>(capacity) / slot - bytes / least_in_slot - ends;
  note(free_slots * least_in_slot, least_in_slot);
}

void pipe_credit::note(int credit, int least) noexcept {
  d_.credit.store(credit >= least ? credit : 0, memory_order::relaxed);                      // relaxed: a hint
  d_.streak.store(credit >= least ? streak_before_look - 1 : pause_after_poor_look, memory_order::relaxed);  // relaxed: a hint
}

}  // namespace weft::engine::io
