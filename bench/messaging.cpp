// SPDX-License-Identifier: BSL-1.0
// Question: what does a message of 100 bytes cost that one thread writes into a pipe (or a socket) and another reads, when
// hundreds do so at once? As hackbench: groups of twenty senders and twenty receivers; each sender writes to each receiver of
// its group in turn.
// Rival: kernel threads, which the kernel switches as the pipes fill and drain.
//
//   messaging [pipe|socket [GROUPS [ROUNDS]]]
#include "bench.hpp"

#include <string>

#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr int members = 20;
constexpr std::size_t message_bytes = 100;
long rounds;

struct group {
  int in[members], out[members];
};
struct member {
  group* of;
  int number;
};

pthread_barrier_t everybody_there;

void* send_messages(void* argument) {
  const auto& me = *static_cast<member*>(argument);
  char message[message_bytes] = {};
  pthread_barrier_wait(&everybody_there);
  for (long i = 0; i < rounds; ++i)
    for (const int fd : me.of->out)
      if (write(fd, message, sizeof message) != static_cast<ssize_t>(sizeof message)) bench::must(errno, "write");
  return nullptr;
}

void* receive_messages(void* argument) {
  const auto& me = *static_cast<member*>(argument);
  char message[message_bytes];
  pthread_barrier_wait(&everybody_there);
  for (long i = 0; i < rounds * members; ++i) {
    std::size_t have = 0;
    while (have < sizeof message) {
      const ssize_t n = read(me.of->in[me.number], message + have, sizeof message - have);
      if (n <= 0) bench::must(n < 0 ? errno : EPIPE, "read");
      have += static_cast<std::size_t>(n);
    }
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  const bool pipes = argc < 2 || std::string(argv[1]) == "pipe";
  const long groups_wanted = argc > 2 ? std::atol(argv[2]) : 10;
  rounds = argc > 3 ? std::atol(argv[3]) : 100;
  std::vector<group> groups(static_cast<std::size_t>(groups_wanted));
  std::vector<member> parts;
  parts.reserve(groups.size() * members);
  std::vector<pthread_t> threads;
  pthread_barrier_init(&everybody_there, nullptr, static_cast<unsigned>(groups.size() * 2 * members + 1));
  for (group& g : groups) {
    for (int i = 0; i < members; ++i) {
      int ends[2];
      bench::must((pipes ? pipe(ends) : socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) == 0 ? 0 : errno, "pipe or socketpair");
      g.in[i] = ends[0];
      g.out[i] = ends[1];
    }
    for (int i = 0; i < members; ++i) {
      parts.push_back({&g, i});
      threads.push_back(bench::start(receive_messages, &parts.back()));
      threads.push_back(bench::start(send_messages, &parts.back()));
    }
  }
  pthread_barrier_wait(&everybody_there);
  const std::int64_t begin = bench::now_ns();
  for (const pthread_t thread : threads) bench::join(thread);
  const auto messages = static_cast<double>(groups_wanted * members * members * rounds);
  bench::report("message", static_cast<double>(bench::now_ns() - begin) / messages, "ns");
}
