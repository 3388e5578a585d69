// SPDX-License-Identifier: BSL-1.0
// Sockets: receive, send, accept, connect. Trying without waiting is MSG_DONTWAIT where the call has flags. accept has none:
// one thread at a time polls the listener and accepts, so that within the process nobody finds it empty. connect: io/attempts.hpp.
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/clock.hpp"
#include "os/syscall.hpp"
#include "posix/blocking.hpp"
#include "posix/descriptors.hpp"
#include "posix/exported.hpp"

namespace weft::engine::posix {

namespace {

using os::arg;
using os::raw_syscall;

/// Flags with which a call does not wait, whatever the descriptor.
constexpr int never_waits = MSG_DONTWAIT | MSG_ERRQUEUE | MSG_OOB;

/// Receives once: `receive(fd, flags)` is the raw system call.
template <class Receive>
long receive_once(user_thread& me, int fd, int flags, Receive receive) {
  cancellation_point(me);
  if ((flags & never_waits) != 0 || known_nonblocking(fd)) return receive(fd, flags);
  const auto attempt = [&](io::turn& t) -> long {
    const long result = receive(t.fd(), flags | MSG_DONTWAIT);
    return result == -EAGAIN ? after_eagain(t.fd()) : result;
  };
  return until_done(me, fd, POLLIN, attempt, [&] { return socket_deadline(fd, SO_RCVTIMEO); });
}

/// recv with MSG_WAITALL: until the buffer is full, the stream ends, or something happens. As the kernel's result; must_block.
long receive_all(user_thread& me, int fd, char* buffer, std::size_t bytes, int flags) {
  std::size_t have = 0;
  while (have < bytes) {
    const long n = receive_once(me, fd, flags & ~MSG_WAITALL, [&](int f, int fl) {
      return raw_syscall(SYS_recvfrom, f, arg(buffer + have), static_cast<long>(bytes - have), fl);
    });
    if (n == must_block && have != 0) {
      const ssize_t rest = while_blocking_undisturbed([&] { return libc.recv(fd, buffer + have, bytes - have, flags); });
      return static_cast<long>(have) + (rest > 0 ? rest : 0);
    }
    if (n <= 0) return have != 0 ? static_cast<long>(have) : n;
    have += static_cast<std::size_t>(n);
    int type = 0;
    socklen_t size = sizeof type;
    if (have < bytes && raw_syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, arg(&type), arg(&size)) == 0 && type != SOCK_STREAM)
      break;  // a datagram is whole
  }
  return static_cast<long>(have);
}

template <class Send>
long send_once(user_thread& me, int fd, int flags, Send send) {
  cancellation_point(me);
  if ((flags & MSG_DONTWAIT) != 0 || known_nonblocking(fd)) return send(fd, flags);
  const auto attempt = [&](io::turn& t) -> long {
    const long result = send(t.fd(), flags | MSG_DONTWAIT);
    return result == -EAGAIN ? after_eagain(t.fd()) : result;
  };
  return until_done(me, fd, POLLOUT, attempt, [&] { return socket_deadline(fd, SO_SNDTIMEO); });
}

bool waits(int fd, int flags) noexcept { return (flags & MSG_DONTWAIT) == 0 && !known_nonblocking(fd); }

/// A stream may take a part of it; a call that waits returns when all is sent.
ssize_t send_all(user_thread& me, int fd, const char* data, std::size_t bytes, int flags, const sockaddr* to, socklen_t size) {
  std::size_t sent = 0;
  do {
    const long n = send_once(me, fd, flags, [&](int f, int fl) {
      return raw_syscall(SYS_sendto, f, arg(data + sent), static_cast<long>(bytes - sent), fl, arg(to), static_cast<long>(size));
    });
    if (n == must_block) {
      const ssize_t rest = while_blocking_undisturbed([&] { return libc.sendto(fd, data + sent, bytes - sent, flags, to, size); });
      return sent == 0 ? rest : static_cast<ssize_t>(sent) + (rest > 0 ? rest : 0);
    }
    if (n < 0) return sent != 0 ? static_cast<ssize_t>(sent) : to_errno(n);
    sent += static_cast<std::size_t>(n);
  } while (sent < bytes && waits(fd, flags));
  return static_cast<ssize_t>(sent);
}

/// A large message may go in parts; what is left of it goes by itself, without what was attached to it.
ssize_t send_message(user_thread& me, int fd, const msghdr* message, int flags) {
  const long n = send_once(me, fd, flags, [&](int f, int fl) { return raw_syscall(SYS_sendmsg, f, arg(message), fl); });
  if (n == must_block) return while_blocking_undisturbed([&] { return libc.sendmsg(fd, message, flags); });
  if (n < 0 || !waits(fd, flags)) return to_errno(n);
  auto skip = static_cast<std::size_t>(n);
  ssize_t sent = n;
  for (std::size_t i = 0; i < message->msg_iovlen; ++i) {
    const iovec& part = message->msg_iov[i];
    if (skip >= part.iov_len) {
      skip -= part.iov_len;
      continue;
    }
    const int saved = errno;
    const ssize_t more = send_all(me, fd, static_cast<const char*>(part.iov_base) + skip, part.iov_len - skip, flags, nullptr, 0);
    if (more < 0) {
      errno = saved;
      return sent;
    }
    sent += more;
    if (static_cast<std::size_t>(more) < part.iov_len - skip) return sent;
    skip = 0;
  }
  return sent;
}

int accept_one(user_thread& me, int fd, sockaddr* from, socklen_t* size, int flags) {
  cancellation_point(me);
  const auto plain = [&](int f) { return raw_syscall(SYS_accept4, f, arg(from), arg(size), flags); };
  if (known_nonblocking(fd)) return static_cast<int>(to_errno(plain(fd)));
  const nanoseconds_at until = socket_deadline(fd, SO_RCVTIMEO);
  const auto attempt = [&](io::turn& t) -> long {
    switch (t.take(until)) {
      case io::wait_end::ready:
        break;
      case io::wait_end::deadline:
        return -EAGAIN;
      case io::wait_end::interrupt:
        return disturbed;
      case io::wait_end::refused:
        return must_block;
    }
    if (!polls_ready(t.fd(), POLLIN) && after_eagain(t.fd()) == would_block) return would_block;
    return plain(t.fd());
  };
  const long result = until_done(me, fd, POLLIN, attempt, [&] { return until; });
  if (result != must_block) return static_cast<int>(to_errno(result));
  return while_blocking_undisturbed([&] { return libc.accept4(fd, from, size, flags); });
}

int connect_one(user_thread& me, int fd, const sockaddr* to, socklen_t size) {
  cancellation_point(me);
  int type = 0;
  socklen_t type_size = sizeof type;
  const long flags = raw_syscall(SYS_fcntl, fd, F_GETFL);
  if (flags < 0 || (flags & O_NONBLOCK) != 0 ||
      raw_syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, arg(&type), arg(&type_size)) != 0 || type == SOCK_DGRAM || type == SOCK_RAW)
    return libc.connect(fd, to, size);
  bool begun = false;
  const auto attempt = [&](io::turn& t) { return io::connect_now(t.fd(), flags, to, size, begun); };
  const long result = until_done(me, fd, POLLOUT, attempt, [&] { return socket_deadline(fd, SO_SNDTIMEO); });
  if (result == -EAGAIN && begun) return static_cast<int>(to_errno(-EINPROGRESS));  // as the kernel after SO_SNDTIMEO
  if (result != must_block) return static_cast<int>(to_errno(result));
  return while_blocking_undisturbed([&] { return libc.connect(fd, to, size); });
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT ssize_t recvfrom(int fd, void* buffer, size_t bytes, int flags, sockaddr* from, socklen_t* size) {
  user_thread* me = parkable();
  if (me == nullptr) return libc.recvfrom(fd, buffer, bytes, flags, from, size);
  const bool all = (flags & MSG_WAITALL) != 0 && (flags & MSG_PEEK) == 0 && from == nullptr && bytes != 0;
  const long result = all ? receive_all(*me, fd, static_cast<char*>(buffer), bytes, flags)
                          : receive_once(*me, fd, flags, [&](int f, int fl) {
                              return raw_syscall(SYS_recvfrom, f, arg(buffer), static_cast<long>(bytes), fl, arg(from), arg(size));
                            });
  if (result != must_block) return to_errno(result);
  return while_blocking_undisturbed([&] { return libc.recvfrom(fd, buffer, bytes, flags, from, size); });
}
WEFT_EXPORT ssize_t recv(int fd, void* buffer, size_t bytes, int flags) { return recvfrom(fd, buffer, bytes, flags, nullptr, nullptr); }
WEFT_EXPORT ssize_t __recvfrom_chk(int fd, void* buffer, size_t bytes, size_t room, int flags, sockaddr* from, socklen_t* size) {
  if (bytes > room) ::abort();
  return recvfrom(fd, buffer, bytes, flags, from, size);
}
WEFT_EXPORT ssize_t __recv_chk(int fd, void* buffer, size_t bytes, size_t room, int flags) {
  return __recvfrom_chk(fd, buffer, bytes, room, flags, nullptr, nullptr);
}

WEFT_EXPORT ssize_t recvmsg(int fd, msghdr* message, int flags) {
  user_thread* me = parkable();
  if (me == nullptr) return libc.recvmsg(fd, message, flags);
  long result = must_block;
  // With MSG_WAITALL the message may come in several parts with something attached to each: the kernel puts it together.
  if ((flags & MSG_WAITALL) == 0)
    result = receive_once(*me, fd, flags, [&](int f, int fl) { return raw_syscall(SYS_recvmsg, f, arg(message), fl); });
  if (result != must_block) return to_errno(result);
  return while_blocking_undisturbed([&] { return libc.recvmsg(fd, message, flags); });
}

WEFT_EXPORT int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* bound) {
  user_thread* me = parkable();
  if (me == nullptr || bound != nullptr || (flags & never_waits) != 0 || known_nonblocking(fd))
    return while_blocking_undisturbed([&] { return libc.recvmmsg(fd, messages, count, flags, bound); });
  unsigned have = 0;
  do {
    const long n = receive_once(*me, fd, flags & ~MSG_WAITFORONE, [&](int f, int fl) {
      return raw_syscall(SYS_recvmmsg, f, arg(messages + have), static_cast<long>(count - have), fl);
    });
    if (n == must_block) {
      const int rest = while_blocking_undisturbed([&] { return libc.recvmmsg(fd, messages + have, count - have, flags, nullptr); });
      return have == 0 ? rest : static_cast<int>(have) + (rest > 0 ? rest : 0);
    }
    if (n < 0) return have != 0 ? static_cast<int>(have) : static_cast<int>(to_errno(n));
    have += static_cast<unsigned>(n);
  } while (have < count && (flags & MSG_WAITFORONE) == 0 && !known_nonblocking(fd));
  return static_cast<int>(have);
}

WEFT_EXPORT ssize_t sendto(int fd, const void* data, size_t bytes, int flags, const sockaddr* to, socklen_t size) {
  user_thread* me = parkable();
  if (me == nullptr) return libc.sendto(fd, data, bytes, flags, to, size);
  return send_all(*me, fd, static_cast<const char*>(data), bytes, flags, to, size);
}
WEFT_EXPORT ssize_t send(int fd, const void* data, size_t bytes, int flags) { return sendto(fd, data, bytes, flags, nullptr, 0); }

WEFT_EXPORT ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  user_thread* me = parkable();
  if (me == nullptr) return libc.sendmsg(fd, message, flags);
  return send_message(*me, fd, message, flags);
}

WEFT_EXPORT int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  user_thread* me = parkable();
  if (me == nullptr) return libc.sendmmsg(fd, messages, count, flags);
  for (unsigned i = 0; i < count; ++i) {
    const ssize_t n = sendmsg(fd, &messages[i].msg_hdr, flags);
    if (n < 0) return i != 0 ? static_cast<int>(i) : -1;
    messages[i].msg_len = static_cast<unsigned>(n);
  }
  return static_cast<int>(count);
}

WEFT_EXPORT int accept4(int fd, sockaddr* from, socklen_t* size, int flags) {
  user_thread* me = parkable();
  return me != nullptr ? accept_one(*me, fd, from, size, flags) : libc.accept4(fd, from, size, flags);
}
WEFT_EXPORT int accept(int fd, sockaddr* from, socklen_t* size) {
  user_thread* me = parkable();
  return me != nullptr ? accept_one(*me, fd, from, size, 0) : libc.accept(fd, from, size);
}

WEFT_EXPORT int connect(int fd, const sockaddr* to, socklen_t size) {
  user_thread* me = parkable();
  return me != nullptr ? connect_one(*me, fd, to, size) : libc.connect(fd, to, size);
}
