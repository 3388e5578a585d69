// SPDX-License-Identifier: BSL-1.0
// open, creat, fopen: opening a FIFO waits for its other end. An ordinary file must stay as fast as ever, and a look at the
// path beforehand costs half as much as the whole open. So nobody looks until the process has shown that it deals with such
// files: it made a FIFO, or the monitor had to rescue a thread out of open. From then on a path that leads to a FIFO is
// opened with the slot given away.
// Rejected: O_NONBLOCK and waiting for the other end (open a FIFO so, and its writers go on at once); giving the slot away
// at each open (where others wait, each open would be a switch); looking always (1.1 us where open and close take 2.3).
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "posix/blocking.hpp"
#include "posix/exported.hpp"

namespace weft::engine::posix {

namespace {

constinit atomic<bool> fifos_about{false};

void expect_fifos() noexcept { fifos_about.store(true, memory_order::relaxed); }  // relaxed: a hint

/// Can an open with these flags wait? (A FIFO opened for both ends does not.)
bool may_wait(int flags) noexcept {
  if ((flags & (O_NONBLOCK | O_PATH | O_DIRECTORY)) != 0 || (flags & O_ACCMODE) == O_RDWR) return false;
  return (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
}

bool is_fifo(int directory, const char* path) noexcept {
  struct statx seen;
  return os::raw_syscall(SYS_statx, directory, os::arg(path), AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE,
                         os::arg(&seen)) == 0 &&
         S_ISFIFO(seen.stx_mode);
}

/// Opens by `f`, giving the slot away if that is likely to wait.
template <class F>
auto opening(int directory, const char* path, int flags, F f) {
  user_thread* me = may_wait(flags) ? slot_owner() : nullptr;
  if (me == nullptr) {
    touch();
    return f();
  }
  cancellation_point(*me);
  if (fifos_about.load(memory_order::relaxed) && is_fifo(directory, path)) return while_blocking(f);  // relaxed: a hint
  const auto result = f();
  if (!me->on->claim.holds()) expect_fifos();
  return result;
}

/// What fopen's mode means to open, as far as it matters here.
int flags_of(const char* mode) noexcept {
  for (const char* m = mode; *m != '\0' && *m != ','; ++m) {
    if (*m == '+') return O_RDWR;
  }
  return mode[0] == 'r' ? O_RDONLY : O_WRONLY;
}

template <class F>
int making(mode_t mode, F f) {
  touch();
  if (S_ISFIFO(mode)) expect_fifos();
  return f();
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

// The mode is there only if a file may be made; libc reads it under the same condition.
#define WEFT_READ_MODE(flags)                                  \
  mode_t mode = 0;                                             \
  if (__OPEN_NEEDS_MODE(flags)) {                              \
    va_list rest;                                              \
    va_start(rest, flags);                                     \
    mode = va_arg(rest, mode_t);                               \
    va_end(rest);                                              \
  }

#define WEFT_DEFINE_OPEN(name)                                                                           \
  WEFT_EXPORT int name(const char* path, int flags, ...) {                                               \
    WEFT_READ_MODE(flags)                                                                                \
    return opening(AT_FDCWD, path, flags, [=] { return libc.open(path, flags, mode); });                 \
  }
#define WEFT_DEFINE_OPENAT(name)                                                                         \
  WEFT_EXPORT int name(int directory, const char* path, int flags, ...) {                                \
    WEFT_READ_MODE(flags)                                                                                \
    return opening(directory, path, flags, [=] { return libc.openat(directory, path, flags, mode); });   \
  }

WEFT_DEFINE_OPEN(open)
WEFT_DEFINE_OPEN(open64)
WEFT_DEFINE_OPEN(__open)
WEFT_DEFINE_OPEN(__open64)
WEFT_DEFINE_OPENAT(openat)
WEFT_DEFINE_OPENAT(openat64)

WEFT_EXPORT int __open_2(const char* path, int flags) {
  return opening(AT_FDCWD, path, flags, [=] { return libc.__open_2(path, flags); });
}
WEFT_EXPORT int __open64_2(const char* path, int flags) { return __open_2(path, flags); }
WEFT_EXPORT int __openat_2(int directory, const char* path, int flags) {
  return opening(directory, path, flags, [=] { return libc.__openat_2(directory, path, flags); });
}
WEFT_EXPORT int __openat64_2(int directory, const char* path, int flags) { return __openat_2(directory, path, flags); }

WEFT_EXPORT int creat(const char* path, mode_t mode) {
  return opening(AT_FDCWD, path, O_WRONLY, [=] { return libc.creat(path, mode); });
}
WEFT_EXPORT int creat64(const char* path, mode_t mode) { return creat(path, mode); }

WEFT_EXPORT FILE* fopen(const char* path, const char* mode) {
  return opening(AT_FDCWD, path, flags_of(mode), [=] { return libc.fopen(path, mode); });
}
WEFT_EXPORT FILE* fopen64(const char* path, const char* mode) { return fopen(path, mode); }
WEFT_EXPORT FILE* freopen(const char* path, const char* mode, FILE* file) {
  return opening(AT_FDCWD, path, path == nullptr ? O_RDWR : flags_of(mode), [=] { return libc.freopen(path, mode, file); });
}
WEFT_EXPORT FILE* freopen64(const char* path, const char* mode, FILE* file) { return freopen(path, mode, file); }

WEFT_EXPORT int mkfifo(const char* path, mode_t mode) {
  return making(S_IFIFO, [=] { return libc.mkfifo(path, mode); });
}
WEFT_EXPORT int mkfifoat(int directory, const char* path, mode_t mode) {
  return making(S_IFIFO, [=] { return libc.mkfifoat(directory, path, mode); });
}
WEFT_EXPORT int mknod(const char* path, mode_t mode, dev_t device) {
  return making(mode, [=] { return libc.mknod(path, mode, device); });
}
WEFT_EXPORT int mknodat(int directory, const char* path, mode_t mode, dev_t device) {
  return making(mode, [=] { return libc.mknodat(directory, path, mode, device); });
}
