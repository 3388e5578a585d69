// SPDX-License-Identifier: BSL-1.0
// weft::io: an operation is tried without waiting (io/attempts.hpp), and its caller parks in the reactor or, a kernel thread, polls.
#include "weft/io.hpp"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "api/stopping.hpp"
#include "api/strand.hpp"
#include "io/attempts.hpp"
#include "io/reactor.hpp"
#include "os/clock.hpp"
#include "os/syscall.hpp"
#include "weft/detail/strand.hpp"

namespace weft::io {

using namespace weft::engine;
using api::self;
using api::strand;
using engine::io::event_mask;
using engine::io::must_block;
using engine::io::turn;
using engine::io::wait_end;
using engine::io::would_block;
using os::arg;
using os::raw_syscall;

namespace {

nanoseconds_at deadline_of(const limit& l) noexcept { return l.deadline.time_since_epoch().count(); }

/// The engine's attempts tell descriptors with O_NONBLOCK apart; here all of them wait.
long waits(long result) noexcept { return result == -EAGAIN ? would_block : result; }

/// Parks between attempts. A result, -ETIMEDOUT, -ECANCELED, or must_block.
template <class Attempt>
long perform_parked(strand& me, int fd, event_mask wanted, const limit& l, Attempt attempt) noexcept {
  const api::stop_watch watch(me, weft::detail::patience(l.stop).stop);
  for (;;) {
    turn t(me, fd, wanted);
    wait_end end = wait_end::ready;
    while (end == wait_end::ready) {
      const long result = waits(attempt(t.fd()));
      if (result != would_block) return result;
      const section in(me);
      if (watch.requested()) return -ECANCELED;
      end = t.wait(deadline_of(l));
    }
    if (end == wait_end::deadline) return -ETIMEDOUT;
    if (end == wait_end::refused) return must_block;
  }
}

/// Polls between attempts, together with an eventfd that a stop request makes readable.
template <class Attempt>
long perform_polling(int fd, event_mask wanted, const limit& l, Attempt attempt) noexcept {
  struct wake_up {
    int fd;
    void ring() const noexcept {
      const std::uint64_t one = 1;
      if (fd >= 0) raw_syscall(SYS_write, fd, arg(&one), sizeof one);
    }
    ~wake_up() {
      if (fd >= 0) raw_syscall(SYS_close, fd);
    }
  } bell{l.stop.stop_possible() ? ::eventfd(0, EFD_CLOEXEC) : -1};
  if (l.stop.stop_possible() && bell.fd < 0) return -errno;
  const std::stop_callback on_stop(l.stop, [&bell]() noexcept { bell.ring(); });
  for (;;) {
    const long result = waits(attempt(fd));
    if (result != would_block) return result;
    if (l.stop.stop_requested()) return -ECANCELED;
    const nanoseconds_at when = deadline_of(l);
    const nanoseconds left = when == never ? 0 : when - os::now();
    if (left < 0) return -ETIMEDOUT;
    pollfd both[] = {{fd, static_cast<short>(wanted), 0}, {bell.fd, POLLIN, 0}};
    const timespec span{left / second, left % second};
    const long ready = raw_syscall(SYS_ppoll, arg(both), 2, when == never ? 0 : arg(&span), 0, 8);
    if (ready < 0 && ready != -EINTR) return ready;
  }
}

/// `block` is the plain call, for what can only be waited for in the kernel.
template <class Attempt, class Block>
long perform(int fd, event_mask wanted, const limit& l, Attempt attempt, Block block) noexcept {
  if (fd < 0) return -EBADF;  // poll would wait for nothing for ever
  strand& me = self();
  const bool parks = me.kind == thread_kind::user;
  const long result = parks ? perform_parked(me, fd, wanted, l, attempt) : perform_polling(fd, wanted, l, attempt);
  if (result != must_block) return result;
  weft::detail::begin_blocking();
  long blocked;
  do blocked = block();
  while (blocked == -EINTR);
  weft::detail::end_blocking();
  return blocked;
}

std::size_t told(long result, std::error_code& error) noexcept {
  if (result >= 0) {
    error.clear();
    return static_cast<std::size_t>(result);
  }
  error.assign(static_cast<int>(-result), std::generic_category());
  return 0;
}

long read_once(int fd, void* data, std::size_t bytes, const limit& l) noexcept {
  const iovec part{data, bytes};
  return perform(
      fd, POLLIN, l, [&](int f) { return engine::io::read_now(f, &part, 1); },
      [&] { return raw_syscall(SYS_read, fd, arg(data), static_cast<long>(bytes)); });
}
long write_once(int fd, const void* data, std::size_t bytes, const limit& l) noexcept {
  const iovec part{const_cast<void*>(data), bytes};
  return perform(
      fd, POLLOUT, l, [&](int f) { return engine::io::write_now(f, &part, 1); },
      [&] { return raw_syscall(SYS_write, fd, arg(data), static_cast<long>(bytes)); });
}

}  // namespace

std::size_t read(int fd, void* data, std::size_t bytes, const limit& l, std::error_code& error) noexcept {
  return told(read_once(fd, data, bytes, l), error);
}

std::size_t read_all(int fd, void* data, std::size_t bytes, const limit& l, std::error_code& error) noexcept {
  std::size_t have = 0;
  error.clear();
  while (have < bytes && !error) {
    const std::size_t n = told(read_once(fd, static_cast<char*>(data) + have, bytes - have, l), error);
    if (n == 0) break;
    have += n;
  }
  return have;
}

std::size_t write(int fd, const void* data, std::size_t bytes, const limit& l, std::error_code& error) noexcept {
  std::size_t written = 0;
  error.clear();
  while (written < bytes && !error) written += told(write_once(fd, static_cast<const char*>(data) + written, bytes - written, l), error);
  return written;
}

std::size_t receive(int fd, void* data, std::size_t bytes, int flags, const limit& l, std::error_code& error) noexcept {
  const auto call = [&](int f, int how) { return raw_syscall(SYS_recvfrom, f, arg(data), static_cast<long>(bytes), how, 0, 0); };
  return told(perform(fd, POLLIN, l, [&](int f) { return call(f, flags | MSG_DONTWAIT); }, [&] { return call(fd, flags); }), error);
}

std::size_t send(int fd, const void* data, std::size_t bytes, int flags, const limit& l, std::error_code& error) noexcept {
  const auto call = [&](int f, int how) { return raw_syscall(SYS_sendto, f, arg(data), static_cast<long>(bytes), how, 0, 0); };
  return told(perform(fd, POLLOUT, l, [&](int f) { return call(f, flags | MSG_DONTWAIT); }, [&] { return call(fd, flags); }), error);
}

int accept(int fd, int flags, const limit& l, std::error_code& error) noexcept {
  // accept has no flag for this one call: poll first. Somebody else may be faster; then it waits in the kernel if it must.
  const auto attempt = [&](int f) -> long {
    return engine::io::polls_ready(f, POLLIN) ? raw_syscall(SYS_accept4, f, 0, 0, flags) : would_block;
  };
  const long result = perform(fd, POLLIN, l, attempt, [&] { return raw_syscall(SYS_accept4, fd, 0, 0, flags); });
  (void)told(result, error);
  return result >= 0 ? static_cast<int>(result) : -1;
}

void connect(int fd, const sockaddr* to, socklen_t size, const limit& l, std::error_code& error) noexcept {
  const long flags = raw_syscall(SYS_fcntl, fd, F_GETFL);
  bool begun = false;
  const auto attempt = [&](int f) { return flags < 0 ? flags : engine::io::connect_now(f, flags, to, size, begun); };
  (void)told(perform(fd, POLLOUT, l, attempt, [&] { return raw_syscall(SYS_connect, fd, arg(to), static_cast<long>(size)); }), error);
}

short wait(int fd, short events, const limit& l, std::error_code& error) noexcept {
  pollfd p{fd, events, 0};
  const timespec none{};
  const auto attempt = [&](int f) -> long {
    p.fd = f;
    long ready;
    do ready = raw_syscall(SYS_ppoll, arg(&p), 1, arg(&none), 0, 8);
    while (ready == -EINTR);
    return ready == 0 ? would_block : ready;
  };
  const auto wanted = static_cast<event_mask>(static_cast<unsigned short>(events));
  const std::size_t ready = told(perform(fd, wanted, l, attempt, [&] { return raw_syscall(SYS_ppoll, arg(&p), 1, 0, 0, 8); }), error);
  if (ready == 0) return 0;
  if ((p.revents & POLLNVAL) != 0) error.assign(EBADF, std::generic_category());
  return p.revents;
}

void close(int fd) noexcept {
  strand& me = self();
  engine::io::let_go(me, fd);
  raw_syscall(SYS_close, fd);
}

}  // namespace weft::io
