// SPDX-License-Identifier: BSL-1.0
// fcntl under all its names: locks that wait give the slot away, and changed flags are told to whoever keeps them in mind.
#include <fcntl.h>
#include <stdarg.h>

#include "posix/blocking.hpp"
#include "posix/descriptors.hpp"
#include "posix/exported.hpp"

namespace weft::engine::posix {

namespace {

/// The argument is an int, a pointer or missing: as libc does, it is taken as a pointer and passed on.
int control(int fd, int command, void* argument) {
  if (native()) return libc.fcntl(fd, command, argument);
  switch (command) {
    case F_SETLKW:
    case F_OFD_SETLKW: {
      const int at_once = command == F_SETLKW ? F_SETLK : F_OFD_SETLK;
      return unless_it_would_block_or_is_cancelled(
          EAGAIN, [=] { return os::raw_syscall(SYS_fcntl, fd, at_once, os::arg(argument)); },
          [=] { return libc.fcntl(fd, command, argument); });
    }
    case F_SETFL: {
      const int result = libc.fcntl(fd, command, argument);
      if (result == 0) descriptor_flags_changed(fd);
      return result;
    }
    default:
      return libc.fcntl(fd, command, argument);
  }
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

#define WEFT_DEFINE_FCNTL(name)                                \
  WEFT_EXPORT int name(int fd, int command, ...) {             \
    va_list rest;                                              \
    va_start(rest, command);                                   \
    void* argument = va_arg(rest, void*);                      \
    va_end(rest);                                              \
    return control(fd, command, argument);                     \
  }

WEFT_DEFINE_FCNTL(fcntl)
WEFT_DEFINE_FCNTL(fcntl64)
WEFT_DEFINE_FCNTL(__fcntl)
