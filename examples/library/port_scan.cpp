// SPDX-License-Identifier: BSL-1.0
// Fan-out with a deadline: knocks at many ports at once, at most so many at a time, and gives up in time.
//
//   port_scan [HOST_ADDRESS [FIRST LAST]]     default: 127.0.0.1 1 1024
#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <weft/weft.hpp>

using namespace std::chrono_literals;

namespace {

bool answers(in_addr host, int port, const weft::io::limit& limit) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr = host;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  std::error_code error;
  weft::io::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to, limit, error);
  weft::io::close(fd);
  return !error;
}

}  // namespace

int main(int argc, char** argv) {
  in_addr host{};
  const int first = argc > 3 ? std::atoi(argv[2]) : 1, last = argc > 3 ? std::atoi(argv[3]) : 1024;
  if (::inet_pton(AF_INET, argc > 1 ? argv[1] : "127.0.0.1", &host) != 1 || first < 1 || last > 65535 || first > last) {
    std::fputs("usage: port_scan [IPv4_ADDRESS [FIRST LAST]], ports from 1 to 65535\n", stderr);
    return 2;
  }
  weft::counting_semaphore<> at_once(256);
  weft::channel<int> open(weft::unbounded);
  weft::scope all(std::chrono::steady_clock::now() + 10s);  // after that its stop token says so
  for (int port = first; port <= last; ++port)
    all.spawn_fiber([&, port](std::stop_token stop) {
      at_once.acquire();
      if (!stop.stop_requested() && answers(host, port, weft::io::within(1s, stop))) open.send(port);
      at_once.release();
    });
  all.join();
  open.close();
  std::vector<int> found;
  for (const int port : open) found.push_back(port);
  std::sort(found.begin(), found.end());
  for (const int port : found) std::printf("%d\n", port);
}
