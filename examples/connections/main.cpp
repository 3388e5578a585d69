// SPDX-License-Identifier: BSL-1.0
// A server with a thread per connection and all its clients, one thread each, in one program: plain std::thread, std::mutex,
// blocking sockets, no Weft header. Every connection is open before the first request goes out, and every reply is checked
// against what the client works out for itself. Run it as it is, under `weft run`, or under `weft compare`.
//
//   connections [--connections N] [--requests R] [--workers W]
//
// Prints what happened, never how long it took (that is what `weft compare` is for), so runs can be compared byte for byte.
// Exits 0 only if every reply was right.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include <sys/resource.h>

#include "server.hpp"
#include "threads.hpp"

namespace {

using namespace connections;

struct options {
  std::size_t connections = 2000, requests = 20, workers = 4;
};

options parse(int argc, char** argv) {
  options o;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    std::size_t* const value = name == "--connections" ? &o.connections
                               : name == "--requests"  ? &o.requests
                               : name == "--workers"   ? &o.workers
                                                       : nullptr;
    char* end = nullptr;
    const unsigned long parsed = value && i + 1 < argc ? std::strtoul(argv[i + 1], &end, 10) : 0;
    if (!value || parsed == 0 || *end != '\0' || parsed > 1'000'000) {
      std::fprintf(stderr, "usage: connections [--connections N] [--requests R] [--workers W]   (each 1 to 1000000)\n");
      std::exit(2);
    }
    *value = parsed;
  }
  return o;
}

/// Both ends of every connection are ours. False, with a word on it, when the hard limit does not allow that many.
bool allow_open_files(std::size_t connections) {
  const rlim_t wanted = 2 * connections + 64;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max >= wanted) return true;
  std::fprintf(stderr,
               "connections: %zu connections need %llu open files, the hard limit is %llu: raise it (ulimit -Hn) or pass a "
               "smaller --connections\n",
               connections, static_cast<unsigned long long>(wanted), static_cast<unsigned long long>(limit.rlim_max));
  return false;
}

struct tally {
  std::atomic<std::uint64_t> right{0}, wrong{0}, failed{0};
};

/// One client: connect, wait for all the others, then ask and check.
void run_client(std::size_t id, std::uint16_t port, std::size_t requests, gate& all_connected, tally& tally) {
  bool counted = false;
  try {
    const socket_fd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (socket.get() < 0) throw_errno("socket");
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const sockaddr_in address = loopback(port);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) throw_errno("connect");
    counted = true;
    all_connected.arrive_and_wait();

    const std::string name = "client-" + std::to_string(id);
    message_reader reader{socket};
    session expected;
    std::string reply;
    for (std::size_t i = 0; i < requests; ++i) {
      const std::string path = "/page/" + std::to_string(id * 31 + i * 7);
      send_all(socket, "GET " + path + " HTTP/1.1\r\nSession: " + name + "\r\n\r\n");
      expected.visit(path);
      if (!reader.next(reply)) throw std::runtime_error("the server closed the connection");
      ++(reply + "\r\n\r\n" == expected.reply(name) ? tally.right : tally.wrong);
    }
  } catch (const std::exception& e) {
    if (!counted) all_connected.arrive();
    ++tally.failed;
    std::fprintf(stderr, "connections: client %zu: %s\n", id, e.what());
  }
}

int run(const options& o) {
  tally tally;
  server server{o.connections, o.workers};
  gate all_connected{o.connections};
  std::vector<std::thread> clients;
  clients.reserve(o.connections);
  for (std::size_t id = 0; id < o.connections; ++id)
    clients.push_back(start_thread([&, id] { run_client(id, server.port(), o.requests, all_connected, tally); }));
  for (std::thread& client : clients) client.join();
  server.finish();

  std::printf("connections: %zu at once, %zu requests each\n", o.connections, o.requests);
  std::printf("replies: %llu right, %llu wrong, %llu clients failed\n", static_cast<unsigned long long>(tally.right),
              static_cast<unsigned long long>(tally.wrong), static_cast<unsigned long long>(tally.failed));
  for (const auto& [line, count] : server.log())
    std::printf("log: %s %llu\n", line.c_str(), static_cast<unsigned long long>(count));
  return tally.right == o.connections * o.requests ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  const options o = parse(argc, argv);
  if (!allow_open_files(o.connections)) return EXIT_FAILURE;
  try {
    return run(o);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "connections: %s\n", e.what());
    return EXIT_FAILURE;
  }
}
