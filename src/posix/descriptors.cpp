// SPDX-License-Identifier: BSL-1.0
// Timeouts of sockets, and the calls that close numbers or put other files there.
#include "posix/descriptors.hpp"

#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "os/clock.hpp"
#include "os/syscall.hpp"
#include "posix/blocking.hpp"
#include "posix/exported.hpp"

namespace weft::engine::posix {

namespace {

using os::arg;
using os::raw_syscall;

/// Did this process ever set a timeout on a socket? Programs that never do are not asked for one at each wait.
constinit atomic<bool> socket_timeouts{false};

/// Are the caller's descriptors those of the engine? A child of vfork has the parent's memory, but a table of its own: what
/// it closes there is open here, and threads that wait for it go on waiting.
bool closes_its_own() noexcept { return !native() && runtime.now == stage::running && !self().vforked; }

}  // namespace

void forget_descriptor(int fd) noexcept {
  if (closes_its_own()) io::let_go(self(), fd);
}

nanoseconds_at socket_deadline(int fd, int option) noexcept {
  if (!socket_timeouts.load(memory_order::relaxed)) return never;  // relaxed: whoever sets one sees it in time
  timeval t{};
  socklen_t bytes = sizeof t;
  if (raw_syscall(SYS_getsockopt, fd, SOL_SOCKET, option, arg(&t), arg(&bytes)) != 0) return never;
  if (t.tv_sec == 0 && t.tv_usec == 0) return never;
  const nanoseconds_at now = os::now();
  return t.tv_sec >= (never - now) / second - 1 ? never : now + t.tv_sec * second + t.tv_usec * microsecond;
}

namespace {

/// Before the program closes `fd`. False: it is none of its descriptors.
bool may_close(int fd) noexcept {
  if (!closes_its_own()) return true;
  if (io::is_own(fd)) return false;
  forget_descriptor(fd);
  return true;
}

/// Before the program puts a file at number `fd`.
void make_room_at(int fd) noexcept {
  if (!closes_its_own()) return;
  if (io::is_own(fd)) io::move_own(self(), fd);
  forget_descriptor(fd);
}

int close_numbers(unsigned first, unsigned last, int flags) noexcept {
  if (!closes_its_own() || (flags & static_cast<int>(CLOSE_RANGE_CLOEXEC)) != 0) return touch(), libc.close_range(first, last, flags);
  if (first <= last) io::for_each_record(first, last, [](int fd, io::descriptor&) { forget_descriptor(fd); });
  // Around ours.
  for (unsigned from = first;;) {
    constexpr unsigned none = ~0u;  // no descriptor's number
    unsigned hidden = none;
    for (int i = 0; i < io::most_own; ++i) {
      const int own = io::own_descriptor(i);
      if (own >= 0 && static_cast<unsigned>(own) >= from && static_cast<unsigned>(own) < hidden) hidden = static_cast<unsigned>(own);
    }
    if (hidden == none || hidden > last) return libc.close_range(from, last, flags);
    if (hidden > from && libc.close_range(from, hidden - 1, flags) != 0) return -1;
    if (hidden == last) return 0;
    from = hidden + 1;
  }
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT int close(int fd) {
  if (user_thread* me = parkable()) cancellation_point(*me);
  if (may_close(fd)) return libc.close(fd);
  errno = EBADF;
  return -1;
}

WEFT_EXPORT int close_range(unsigned first, unsigned last, int flags) { return close_numbers(first, last, flags); }
WEFT_EXPORT void closefrom(int first) { (void)close_numbers(first < 0 ? 0 : static_cast<unsigned>(first), ~0u, 0); }

WEFT_EXPORT int dup2(int from, int to) {
  if (from != to) make_room_at(to);
  return libc.dup2(from, to);
}
WEFT_EXPORT int dup3(int from, int to, int flags) {
  if (from != to) make_room_at(to);
  return libc.dup3(from, to, flags);
}

WEFT_EXPORT int fclose(FILE* file) {
  if (!native() && file != nullptr)
    if (const int fd = ::fileno(file); fd >= 0) forget_descriptor(fd);
  return libc.fclose(file);
}

WEFT_EXPORT int ioctl(int fd, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  void* argument = va_arg(list, void*);
  va_end(list);
  touch();
  if (request == FIONBIO) descriptor_flags_changed(fd);
  return libc.ioctl(fd, request, argument);
}

WEFT_EXPORT int setsockopt(int fd, int level, int option, const void* value, socklen_t bytes) {
  touch();
  constexpr int new_receive = 66, new_send = 67;  // the same with 64-bit time
  if (level == SOL_SOCKET && (option == SO_RCVTIMEO || option == SO_SNDTIMEO || option == new_receive || option == new_send))
    socket_timeouts.store(true, memory_order::relaxed);  // relaxed: see socket_deadline
  return libc.setsockopt(fd, level, option, value, bytes);
}
