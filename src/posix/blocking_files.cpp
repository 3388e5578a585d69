// SPDX-License-Identifier: BSL-1.0
// Calls on files that wait for a disk, a terminal or another's lock: the slot is given away first (posix/blocking.hpp).
// What waits for a disk does so in most cases and is announced always; a lock is tried first.
// Left to the monitor: what nearly always finds its answer in memory (stat, rename, unlink, reading a directory), and
// ioctl, of which nobody can say whether it waits.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <termios.h>
#include <unistd.h>

#include "posix/blocking.hpp"
#include "posix/exported.hpp"

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT int fsync(int fd) {
  return while_blocking([=] { return libc.fsync(fd); });
}
WEFT_EXPORT int fdatasync(int fd) {
  return while_blocking([=] { return libc.fdatasync(fd); });
}
WEFT_EXPORT void sync(void) {
  while_blocking([] { libc.sync(); });
}
WEFT_EXPORT int syncfs(int fd) {
  return while_blocking([=] { return libc.syncfs(fd); });
}
WEFT_EXPORT int sync_file_range(int fd, off64_t offset, off64_t bytes, unsigned flags) {
  return while_blocking([=] { return libc.sync_file_range(fd, offset, bytes, flags); });
}
WEFT_EXPORT int msync(void* address, size_t bytes, int flags) {
  if ((flags & MS_SYNC) == 0) {
    touch();
    return libc.msync(address, bytes, flags);
  }
  return while_blocking([=] { return libc.msync(address, bytes, flags); });
}

WEFT_EXPORT int truncate(const char* path, off_t size) {
  return while_blocking([=] { return libc.truncate(path, size); });
}
WEFT_EXPORT int truncate64(const char* path, off64_t size) { return truncate(path, size); }
WEFT_EXPORT int ftruncate(int fd, off_t size) {
  return while_blocking([=] { return libc.ftruncate(fd, size); });
}
WEFT_EXPORT int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }
WEFT_EXPORT int fallocate(int fd, int mode, off_t offset, off_t size) {
  return while_blocking_undisturbed([=] { return libc.fallocate(fd, mode, offset, size); });
}
WEFT_EXPORT int fallocate64(int fd, int mode, off64_t offset, off64_t size) { return fallocate(fd, mode, offset, size); }
WEFT_EXPORT int posix_fallocate(int fd, off_t offset, off_t size) {
  user_thread* me = slot_owner();
  for (;;) {
    const std::uint32_t handlers = me != nullptr ? me->handlers_run : 0;
    const int error = while_blocking([=] { return libc.posix_fallocate(fd, offset, size); });
    if (error != EINTR || me == nullptr || me->handlers_run != handlers) return error;
  }
}
WEFT_EXPORT int posix_fallocate64(int fd, off64_t offset, off64_t size) { return posix_fallocate(fd, offset, size); }
WEFT_EXPORT ssize_t copy_file_range(int in, off64_t* in_at, int out, off64_t* out_at, size_t bytes, unsigned flags) {
  return while_blocking_undisturbed([=] { return libc.copy_file_range(in, in_at, out, out_at, bytes, flags); });
}
WEFT_EXPORT int tcdrain(int fd) {
  return while_blocking_undisturbed([=] { return libc.tcdrain(fd); });
}
WEFT_EXPORT ssize_t getrandom(void* buffer, size_t bytes, unsigned flags) {
  return unless_it_would_block_or_is_cancelled(
      EAGAIN, [=] { return os::raw_syscall(SYS_getrandom, os::arg(buffer), static_cast<long>(bytes), flags | GRND_NONBLOCK); },
      [=] { return libc.getrandom(buffer, bytes, flags); });
}

WEFT_EXPORT int flock(int fd, int operation) {
  return unless_it_would_block(
      EWOULDBLOCK, [=] { return os::raw_syscall(SYS_flock, fd, operation | LOCK_NB); },
      [=] { return libc.flock(fd, operation); });
}

WEFT_EXPORT int lockf(int fd, int command, off_t size) {
  if (command != F_LOCK) {
    touch();
    return libc.lockf(fd, command, size);
  }
  struct flock wanted = {};
  wanted.l_type = F_WRLCK;
  wanted.l_whence = SEEK_CUR;
  wanted.l_len = size;
  return unless_it_would_block_or_is_cancelled(
      EAGAIN, [&] { return os::raw_syscall(SYS_fcntl, fd, F_SETLK, os::arg(&wanted)); },
      [=] { return libc.lockf(fd, command, size); });
}
WEFT_EXPORT int lockf64(int fd, int command, off64_t size) { return lockf(fd, command, size); }
