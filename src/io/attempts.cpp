// SPDX-License-Identifier: BSL-1.0
#include "io/attempts.hpp"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/pipe_credit.hpp"
#include "os/syscall.hpp"

namespace weft::engine::io {

namespace {

using os::arg;
using os::raw_syscall;

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
  descriptor* d = record_of(fd);
  if (d == nullptr) return find_kind(fd);
  descriptor_kind k = d->kind.load(memory_order::relaxed);  // relaxed: a hint
  if (k == descriptor_kind::unknown) {
    k = find_kind(fd);
    d->kind.store(k, memory_order::relaxed);  // relaxed: a hint
  }
  return k;
}

void note_kind(int fd, descriptor_kind k) noexcept {
  if (descriptor* d = record_if_any(fd)) d->kind.store(k, memory_order::relaxed);  // relaxed: a hint
}

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
  descriptor* d = record_if_any(fd);
  if (d == nullptr || count != 1) return;
  pipe_credit credit(*d);
  if (result == static_cast<long>(parts->iov_len)) (credit.*went_well)(fd);
  if (result == -EAGAIN) credit.refused();
}

bool not_supported(long result) noexcept { return result == -EOPNOTSUPP || result == -ENOSYS; }

/// What a call that cannot wait says; look_again if that shows that the descriptor is of another kind.
constexpr long look_again = -5100;
long judged(int fd, long result, bool of_another_kind, descriptor_kind kind) noexcept {
  if (result == -EAGAIN) return after_eagain(fd);
  if (!of_another_kind) return result;
  note_kind(fd, kind);
  return look_again;
}

}  // namespace

bool polls_ready(int fd, event_mask wanted) noexcept {
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
  if (descriptor* d = record_of(fd)) d->nonblocking.store(true, memory_order::relaxed);  // relaxed: a hint
  return -EAGAIN;
}

bool known_nonblocking(int fd) noexcept {
  const descriptor* d = record_if_any(fd);
  return d != nullptr && d->nonblocking.load(memory_order::relaxed);  // relaxed: a hint
}

void descriptor_flags_changed(int fd) noexcept {
  if (descriptor* d = record_if_any(fd)) d->nonblocking.store(false, memory_order::relaxed);  // relaxed: a hint
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
        result = judged(fd, result, result == -ENOTSOCK, descriptor_kind::unknown);
        break;
      case descriptor_kind::pipe:
      case descriptor_kind::nowait:
        result = raw_syscall(SYS_preadv2, fd, arg(parts), count, -1, 0, RWF_NOWAIT);
        if (kind == descriptor_kind::pipe) note_for_credit(fd, parts, count, result, &pipe_credit::read_all);
        result = judged(fd, result, not_supported(result), descriptor_kind::poll_first);
        break;
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
    if (result != look_again) return result;
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
        result = judged(fd, result, result == -ENOTSOCK, descriptor_kind::unknown);
        break;
      case descriptor_kind::pipe:
      case descriptor_kind::nowait:
        result = raw_syscall(SYS_pwritev2, fd, arg(parts), count, -1, 0, RWF_NOWAIT);
        if (kind == descriptor_kind::pipe) note_for_credit(fd, parts, count, result, &pipe_credit::written_all);
        result = judged(fd, result, not_supported(result), descriptor_kind::poll_first);
        break;
      case descriptor_kind::poll_first:
        if (known_nonblocking(fd)) return raw_syscall(SYS_writev, fd, arg(parts), count);
        if (!polls_ready(fd, POLLOUT)) return after_eagain(fd);
        // Room for some is not room for all.
        if (total_of(parts, count) > 4096) return must_block;
        return raw_syscall(SYS_writev, fd, arg(parts), count);
      default:
        return raw_syscall(SYS_writev, fd, arg(parts), count);
    }
    if (result != look_again) return result;
  }
}

long connect_now(int fd, long flags, const sockaddr* to, socklen_t size, bool& begun) noexcept {
  if (begun) {
    int error = 0;
    socklen_t bytes = sizeof error;
    raw_syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, arg(&error), arg(&bytes));
    return -error;
  }
  raw_syscall(SYS_fcntl, fd, F_SETFL, flags | O_NONBLOCK);
  const long result = raw_syscall(SYS_connect, fd, arg(to), static_cast<long>(size));
  raw_syscall(SYS_fcntl, fd, F_SETFL, flags);
  if (result == -EAGAIN) return must_block;
  begun = result == -EINPROGRESS || result == -EALREADY;
  return begun ? would_block : result;
}

}  // namespace weft::engine::io
