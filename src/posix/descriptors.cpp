// SPDX-License-Identifier: BSL-1.0
// What descriptors are and how to try them (posix/descriptors.hpp), and the calls that open and close numbers.
#include "posix/descriptors.hpp"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "os/clock.hpp"
#include "os/syscall.hpp"
#include "posix/blocking.hpp"
#include "posix/exported.hpp"
#include "posix/pipe_credit.hpp"

namespace weft::engine::posix {

namespace {

using io::descriptor_kind;
using os::arg;
using os::raw_syscall;

/// Did this process ever set a timeout on a socket? Programs that never do are not asked for one at each wait.
constinit atomic<bool> socket_timeouts{false};

descriptor_kind find_kind(int fd) noexcept {
  struct stat s;
  if (raw_syscall(SYS_fstat, fd, arg(&s)) != 0) return descriptor_kind::unknown;
  switch (s.st_mode & S_IFMT) {
    case S_IFSOCK:
      return descriptor_kind::socket;
    case S_IFREG:
    case S_IFBLK:
      return descriptor_kind::file;
    case S_IFDIR:
      return descriptor_kind::plain;
    case S_IFIFO:
      return descriptor_kind::pipe;
    default:
      return descriptor_kind::nowait;  // until it says that it is not
  }
}

/// May be wrong when the number has changed hands unseen; then the operation fails in a way that shows it.
descriptor_kind kind_of(int fd) noexcept {
  io::descriptor* d = io::record_of(fd);
  if (d == nullptr) return find_kind(fd);
  descriptor_kind k = d->kind.load(memory_order::relaxed);  // relaxed: a hint
  if (k == descriptor_kind::unknown) {
    k = find_kind(fd);
    d->kind.store(k, memory_order::relaxed);  // relaxed: a hint
  }
  return k;
}

void note_kind(int fd, descriptor_kind k) noexcept {
  if (io::descriptor* d = io::record_if_any(fd)) d->kind.store(k, memory_order::relaxed);  // relaxed: a hint
}

/// Are the caller's descriptors those of the engine? A child of vfork has the parent's memory, but a table of its own: what
/// it closes there is open here, and threads that wait for it go on waiting.
bool closes_its_own() noexcept { return !native() && runtime.now == stage::running && !self().vforked; }

std::size_t total_of(const iovec* parts, int count) noexcept {
  std::size_t n = 0;
  for (int i = 0; i < count; ++i) n += parts[i].iov_len;
  return n;
}

long socket_transfer(long call, int fd, const iovec* parts, int count) noexcept {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts);
  message.msg_iovlen = static_cast<std::size_t>(count);
  return raw_syscall(call, fd, arg(&message), MSG_DONTWAIT);
}

/// For later calls: how did this one go?
void note_for_credit(int fd, const iovec* parts, int count, long result, void (pipe_credit::*went_well)(int) noexcept) noexcept {
  io::descriptor* d = io::record_if_any(fd);
  if (d == nullptr || count != 1) return;
  pipe_credit credit(*d);
  if (result == static_cast<long>(parts->iov_len)) (credit.*went_well)(fd);
  if (result == -EAGAIN) credit.refused();
}

long not_supported(long result) noexcept { return result == -EOPNOTSUPP || result == -ENOSYS; }

}  // namespace

bool polls_ready(int fd, io::event_mask wanted) noexcept {
  pollfd p{.fd = fd, .events = static_cast<short>(wanted), .revents = 0};
  const timespec now{};
  long result;
  do result = raw_syscall(SYS_ppoll, arg(&p), 1, arg(&now), 0, 8);
  while (result == -EINTR);  // the engine's own signal
  return result != 0;
}

long after_eagain(int fd) noexcept {
  const long flags = raw_syscall(SYS_fcntl, fd, F_GETFL);
  if (flags < 0 || (flags & O_NONBLOCK) == 0) return would_block;
  if (io::descriptor* d = io::record_of(fd)) d->nonblocking.store(true, memory_order::relaxed);  // relaxed: a hint
  return -EAGAIN;
}

bool known_nonblocking(int fd) noexcept {
  const io::descriptor* d = io::record_if_any(fd);
  return d != nullptr && d->nonblocking.load(memory_order::relaxed);  // relaxed: a hint
}

void descriptor_flags_changed(int fd) noexcept {
  if (io::descriptor* d = io::record_if_any(fd)) d->nonblocking.store(false, memory_order::relaxed);  // relaxed: a hint
}

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

long read_now(int fd, const iovec* parts, int count) noexcept {
  for (int turn = 0;; ++turn) {
    long result;
    const descriptor_kind kind = turn < 4 ? kind_of(fd) : descriptor_kind::plain;
    switch (kind) {
      case descriptor_kind::socket:
        // Reading nothing is not receiving nothing.
        if (total_of(parts, count) == 0) return raw_syscall(SYS_readv, fd, arg(parts), count);
        result = count == 1 ? raw_syscall(SYS_recvfrom, fd, arg(parts->iov_base), static_cast<long>(parts->iov_len), MSG_DONTWAIT)
                            : socket_transfer(SYS_recvmsg, fd, parts, count);
        if (result == -EAGAIN) return after_eagain(fd);
        if (result != -ENOTSOCK) return result;
        note_kind(fd, descriptor_kind::unknown);
        continue;
      case descriptor_kind::pipe:
      case descriptor_kind::nowait:
        result = raw_syscall(SYS_preadv2, fd, arg(parts), count, -1, 0, RWF_NOWAIT);
        if (kind == descriptor_kind::pipe) note_for_credit(fd, parts, count, result, &pipe_credit::read_all);
        if (result == -EAGAIN) return after_eagain(fd);
        if (!not_supported(result)) return result;
        note_kind(fd, descriptor_kind::poll_first);
        continue;
      case descriptor_kind::poll_first:
        if (!polls_ready(fd, POLLIN)) return after_eagain(fd);
        return raw_syscall(SYS_readv, fd, arg(parts), count);
      case descriptor_kind::file: {
        result = raw_syscall(SYS_preadv2, fd, arg(parts), count, -1, 0, RWF_NOWAIT);
        if (result == -EAGAIN) return must_block;  // not in memory
        if (not_supported(result)) {
          note_kind(fd, descriptor_kind::plain);
          continue;
        }
        // Less than asked for: the end of the file, or of what is in memory.
        if (result <= 0 || count != 1 || static_cast<std::size_t>(result) == parts->iov_len) return result;
        const long rest = raw_syscall(SYS_read, fd, arg(static_cast<char*>(parts->iov_base) + result),
                                      static_cast<long>(parts->iov_len) - result);
        return rest > 0 ? result + rest : result;
      }
      default:
        return raw_syscall(SYS_readv, fd, arg(parts), count);
    }
  }
}

long write_now(int fd, const iovec* parts, int count) noexcept {
  for (int turn = 0;; ++turn) {
    long result;
    const descriptor_kind kind = turn < 4 ? kind_of(fd) : descriptor_kind::plain;
    switch (kind) {
      case descriptor_kind::socket:
        result = count == 1 ? raw_syscall(SYS_sendto, fd, arg(parts->iov_base), static_cast<long>(parts->iov_len), MSG_DONTWAIT)
                            : socket_transfer(SYS_sendmsg, fd, parts, count);
        if (result == -EAGAIN) return after_eagain(fd);
        if (result != -ENOTSOCK) return result;
        note_kind(fd, descriptor_kind::unknown);
        continue;
      case descriptor_kind::pipe:
      case descriptor_kind::nowait:
        result = raw_syscall(SYS_pwritev2, fd, arg(parts), count, -1, 0, RWF_NOWAIT);
        if (kind == descriptor_kind::pipe) note_for_credit(fd, parts, count, result, &pipe_credit::written_all);
        if (result == -EAGAIN) return after_eagain(fd);
        if (!not_supported(result)) return result;
        note_kind(fd, descriptor_kind::poll_first);
        continue;
      case descriptor_kind::poll_first:
        if (known_nonblocking(fd)) return raw_syscall(SYS_writev, fd, arg(parts), count);
        if (!polls_ready(fd, POLLOUT)) return after_eagain(fd);
        // Room for some is not room for all.
        if (total_of(parts, count) > 4096) return must_block;
        return raw_syscall(SYS_writev, fd, arg(parts), count);
      default:
        return raw_syscall(SYS_writev, fd, arg(parts), count);
    }
  }
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
