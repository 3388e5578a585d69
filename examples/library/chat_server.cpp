// SPDX-License-Identifier: BSL-1.0
// A chat: two fibers for each connection, a channel between the room and each of them. What one says all others hear.
//
//   chat_server [PORT]      default: any free one; says which
#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include <weft/weft.hpp>

namespace {

using line = std::shared_ptr<const std::string>;
weft::mutex room_lock;
std::map<int, std::shared_ptr<weft::channel<line>>> room;

void say(int from, const std::string& text) {
  const auto shared = std::make_shared<const std::string>(text);
  const std::lock_guard hold(room_lock);
  for (auto& [fd, box] : room)
    if (fd != from) (void)box->try_send(line(shared));  // who reads too slowly misses something
}

void serve(int fd) {
  const auto box = std::make_shared<weft::channel<line>>(64);
  { const std::lock_guard hold(room_lock); room[fd] = box; }
  weft::fiber writer([fd, box] {
    std::error_code error;
    for (const line& text : *box)
      if (weft::io::write(fd, text->data(), text->size(), {}, error); error) break;
  });
  char bytes[512];
  std::error_code error;
  while (const std::size_t n = weft::io::read(fd, bytes, sizeof bytes, {}, error)) say(fd, std::string(bytes, n));
  { const std::lock_guard hold(room_lock); room.erase(fd); }
  box->close();
  writer.join();
  weft::io::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  here.sin_port = htons(static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0));
  socklen_t size = sizeof here;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&here), size) != 0 || ::listen(listener, 128) != 0) return std::perror("chat_server"), 1;
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&here), &size);
  std::printf("on port %d\n", ntohs(here.sin_port)), std::fflush(stdout);
  for (;;) weft::fiber({.detached = true}, serve, weft::io::accept(listener));
}
