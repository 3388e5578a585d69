// SPDX-License-Identifier: BSL-1.0
// The least that blocking sockets need in C++: an owned descriptor, "send all of it", "read up to a blank line". Blocking on
// purpose: the program is written the way most servers with a thread per connection are, and knows nothing of Weft.
#pragma once

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace connections {

[[noreturn]] inline void throw_errno(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

class socket_fd {
 public:
  explicit socket_fd(int fd) : fd_{fd} {}
  socket_fd(socket_fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  socket_fd& operator=(socket_fd&&) = delete;
  ~socket_fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

inline sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

inline void send_all(const socket_fd& socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) throw_errno("send");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

/// Messages end in a blank line and may arrive in pieces, or several in one piece.
class message_reader {
 public:
  explicit message_reader(const socket_fd& socket) : socket_{socket} {}

  /// The next message without its blank line; false when the peer has closed between two messages.
  bool next(std::string& message) {
    constexpr std::string_view end = "\r\n\r\n";
    for (;;) {
      if (const auto at = pending_.find(end); at != std::string::npos) {
        message.assign(pending_, 0, at);
        pending_.erase(0, at + end.size());
        return true;
      }
      char buffer[1024];
      const ssize_t got = ::recv(socket_.get(), buffer, sizeof buffer, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw_errno("recv");
      if (got == 0) {
        if (!pending_.empty()) throw std::runtime_error("the peer closed in the middle of a message");
        return false;
      }
      pending_.append(buffer, static_cast<std::size_t>(got));
    }
  }

 private:
  const socket_fd& socket_;
  std::string pending_;
};

}  // namespace connections
