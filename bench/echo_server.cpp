// SPDX-License-Identifier: BSL-1.0
// Question: what does a request cost a server that has a thread for each connection and blocks in read and write?
// Rival: kernel threads. Load comes from request_load.
//
//   echo_server [PORT]      answers each 64 bytes with the same 64 bytes, until it is killed
#include "bench.hpp"

#include <csignal>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr long message_bytes = 64;

void* serve(void* connection_as_pointer) {
  const int fd = static_cast<int>(reinterpret_cast<long>(connection_as_pointer));
  char message[message_bytes];
  for (;;) {
    long have = 0;
    while (have < message_bytes) {
      const ssize_t n = read(fd, message + have, static_cast<std::size_t>(message_bytes - have));
      if (n <= 0) {
        close(fd);
        return nullptr;
      }
      have += n;
    }
    if (write(fd, message, static_cast<std::size_t>(have)) != have) bench::must(errno, "write");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const long port = bench::count_from(argc, argv, 7700);
  std::signal(SIGPIPE, SIG_IGN);
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_port = htons(static_cast<std::uint16_t>(port));
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bench::must(bind(listener, reinterpret_cast<sockaddr*>(&here), sizeof here) == 0 ? 0 : errno, "bind");
  bench::must(listen(listener, 4096) == 0 ? 0 : errno, "listen");
  pthread_attr_t attributes;
  bench::must(pthread_attr_init(&attributes), "pthread_attr_init");
  bench::must(pthread_attr_setstacksize(&attributes, 64 * 1024), "pthread_attr_setstacksize");
  bench::must(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED), "pthread_attr_setdetachstate");
  for (;;) {
    const int fd = accept(listener, nullptr, nullptr);
    if (fd < 0) bench::must(errno, "accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    bench::start(serve, reinterpret_cast<void*>(static_cast<long>(fd)), &attributes);
  }
}
