// SPDX-License-Identifier: BSL-1.0
// Reading, writing, accepting and connecting with deadlines and stop tokens, on descriptors as the program has them.
//
//   std::byte buffer[4096];
//   std::size_t n = weft::io::read(fd, buffer, sizeof buffer, weft::io::within(2s));   // 0: the end
//   weft::io::write(fd, buffer, n);                                                     // all of it
//
// Who may call: threads and fibers, which are parked meanwhile, and kernel threads, which wait in the kernel. A descriptor waits whether or not
// it has O_NONBLOCK, and keeps its flags. Ordinary calls (::read) work in threads as well, but block the carrier, which is noticed after a
// millisecond. A descriptor that somebody waits for is to be closed by io::close: that ends the wait.
// Errors: each function throws std::system_error, or with a std::error_code as its last argument sets that and returns 0 or -1.
// std::errc::timed_out: the time was up; std::errc::operation_canceled: stop was requested. Deadlines and stop requests do not end operations that
// wait for a disk. Cost beside the system call: 20 ns; to wait, one system call more, and what an event costs.
#pragma once
#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <stop_token>
#include <system_error>

#include "weft/detail/export.hpp"
#include "weft/detail/time.hpp"

/// Descriptors, with deadlines and stop tokens.
namespace weft::io {

/// How long an operation may wait.
struct limit {
  /// Until then; without one, as long as it takes.
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  /// Or until this is asked to stop.
  std::stop_token stop = {};
};
/// So long from now.
template <class Rep, class Period>
[[nodiscard]] limit within(const std::chrono::duration<Rep, Period>& span, std::stop_token stop = {}) {
  const std::chrono::nanoseconds when(detail::deadline_after(span));
  return {std::chrono::steady_clock::time_point(when), std::move(stop)};
}

/// Reads what there is, at least a byte, at most `bytes`. 0 at the end of the file or stream.
WEFT_EXPORT std::size_t read(int fd, void* data, std::size_t bytes, const limit& l, std::error_code& error) noexcept;
/// Reads `bytes`; fewer only at the end or after an error.
WEFT_EXPORT std::size_t read_all(int fd, void* data, std::size_t bytes, const limit& l, std::error_code& error) noexcept;
/// Writes all. Returns how much was written: less only after an error.
WEFT_EXPORT std::size_t write(int fd, const void* data, std::size_t bytes, const limit& l, std::error_code& error) noexcept;
/// As recv, with its flags, once.
WEFT_EXPORT std::size_t receive(int fd, void* data, std::size_t bytes, int flags, const limit& l, std::error_code& error) noexcept;
/// As send, with its flags, once.
WEFT_EXPORT std::size_t send(int fd, const void* data, std::size_t bytes, int flags, const limit& l, std::error_code& error) noexcept;
/// A new connection's descriptor, with the flags of accept4 (SOCK_CLOEXEC); -1 after an error.
WEFT_EXPORT int accept(int fd, int flags, const limit& l, std::error_code& error) noexcept;
/// Connects a socket.
WEFT_EXPORT void connect(int fd, const sockaddr* to, socklen_t size, const limit& l, std::error_code& error) noexcept;
/// Waits until one of `events` (POLLIN, POLLOUT ...) can be reported, and returns those that are.
WEFT_EXPORT short wait(int fd, short events, const limit& l, std::error_code& error) noexcept;
/// Closes a descriptor; who waits for it sees it as closed, or as what its number stands for next.
WEFT_EXPORT void close(int fd) noexcept;

namespace detail {
inline void check(const std::error_code& error, const char* what) {
  if (error) throw std::system_error(error, what);
}
}  // namespace detail

/// As the one with an error code, but throws.
inline std::size_t read(int fd, void* data, std::size_t bytes, const limit& l = {}) {
  std::error_code error;
  const std::size_t n = read(fd, data, bytes, l, error);
  detail::check(error, "weft::io::read");
  return n;
}
/// As the one with an error code, but throws: what was read before an error is in `data`, but nobody knows how much.
inline std::size_t read_all(int fd, void* data, std::size_t bytes, const limit& l = {}) {
  std::error_code error;
  const std::size_t n = read_all(fd, data, bytes, l, error);
  detail::check(error, "weft::io::read_all");
  return n;
}
/// As the one with an error code, but throws: some of it may have been written.
inline void write(int fd, const void* data, std::size_t bytes, const limit& l = {}) {
  std::error_code error;
  (void)write(fd, data, bytes, l, error);
  detail::check(error, "weft::io::write");
}
/// As the one with an error code, but throws.
inline std::size_t receive(int fd, void* data, std::size_t bytes, int flags, const limit& l = {}) {
  std::error_code error;
  const std::size_t n = receive(fd, data, bytes, flags, l, error);
  detail::check(error, "weft::io::receive");
  return n;
}
/// As the one with an error code, but throws.
inline std::size_t send(int fd, const void* data, std::size_t bytes, int flags, const limit& l = {}) {
  std::error_code error;
  const std::size_t n = send(fd, data, bytes, flags, l, error);
  detail::check(error, "weft::io::send");
  return n;
}
/// As the one with an error code, but throws.
inline int accept(int fd, int flags = SOCK_CLOEXEC, const limit& l = {}) {
  std::error_code error;
  const int accepted = accept(fd, flags, l, error);
  detail::check(error, "weft::io::accept");
  return accepted;
}
/// As the one with an error code, but throws.
inline void connect(int fd, const sockaddr* to, socklen_t size, const limit& l = {}) {
  std::error_code error;
  connect(fd, to, size, l, error);
  detail::check(error, "weft::io::connect");
}
/// As the one with an error code, but throws.
inline short wait(int fd, short events, const limit& l = {}) {
  std::error_code error;
  const short ready = wait(fd, events, l, error);
  detail::check(error, "weft::io::wait");
  return ready;
}

}  // namespace weft::io
