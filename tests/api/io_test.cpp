// SPDX-License-Identifier: BSL-1.0
// weft::io: transfers, deadlines, stop requests, descriptors with and without O_NONBLOCK, and weft::blocking.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "support.hpp"
#include "weft/io.hpp"
#include "weft/runtime.hpp"
#include "weft/scope.hpp"

namespace api_test {
namespace {

struct two_ends {
  int in = -1, out = -1;  // read from in, write to out
  ~two_ends() {
    weft::io::close(in);
    weft::io::close(out);
  }
};
void make_pipe(two_ends& p, int flags = 0) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC | flags), 0);
  p.in = ends[0], p.out = ends[1];
}
void make_sockets(two_ends& p, int type = SOCK_STREAM) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends), 0);
  p.in = ends[0], p.out = ends[1];
}

template <class Kind>
class Io : public testing::Test {};
TYPED_TEST_SUITE(Io, kinds, kind_names);

TYPED_TEST(Io, ReadsWhatIsWritten) {
  for (const int flags : {0, O_NONBLOCK}) {
    two_ends p;
    make_pipe(p, flags);
    std::string message(1 << 20, '.');  // far more than a pipe holds
    for (std::size_t i = 0; i < message.size(); ++i) message[i] = static_cast<char>('a' + i % 26);
    TypeParam writer([&] {
      weft::io::write(p.out, message.data(), message.size());
      weft::io::close(std::exchange(p.out, -1));
    });
    std::string received(message.size(), ' ');
    EXPECT_EQ(weft::io::read_all(p.in, received.data(), received.size()), message.size());
    EXPECT_EQ(received, message);
    EXPECT_EQ(weft::io::read(p.in, received.data(), 1), 0u) << "the end";
    EXPECT_EQ(fcntl(p.in, F_GETFL) & O_NONBLOCK, flags) << "the flags are the program's";
    writer.join();
  }
}

TYPED_TEST(Io, DeadlinesAndStopRequestsEndWaits) {
  two_ends p, s;
  make_pipe(p);
  make_sockets(s);
  TypeParam user([&] {
    char byte;
    for (const int fd : {p.in, s.in}) {
      std::error_code error;
      EXPECT_GE(time_of([&] { EXPECT_EQ(weft::io::read(fd, &byte, 1, weft::io::within(short_while), error), 0u); }), short_while);
      EXPECT_EQ(error, std::errc::timed_out);
      std::stop_source stop;
      weft::thread other([&] {
        let_others_get_there();
        stop.request_stop();
      });
      EXPECT_EQ(weft::io::read(fd, &byte, 1, {.stop = stop.get_token()}, error), 0u);
      EXPECT_EQ(error, std::errc::operation_canceled);
      EXPECT_THROW(weft::io::read(fd, &byte, 1, {.stop = stop.get_token()}), std::system_error);
      other.join();
    }
    EXPECT_EQ(weft::io::wait(p.out, POLLOUT), POLLOUT);
    std::error_code error;
    EXPECT_EQ(weft::io::wait(p.in, POLLIN, weft::io::within(1ms), error), 0);
    EXPECT_EQ(error, std::errc::timed_out);
  });
  user.join();
}

TYPED_TEST(Io, SaysWhatIsWrong) {
  TypeParam user([] {
    char byte = 0;
    std::error_code error;
    EXPECT_EQ(weft::io::read(-1, &byte, 1, {}, error), 0u);
    EXPECT_EQ(error, std::errc::bad_file_descriptor);
    EXPECT_EQ(weft::io::accept(-1, 0, {}, error), -1);
    EXPECT_EQ(error, std::errc::bad_file_descriptor);
    EXPECT_THROW(weft::io::write(-1, &byte, 1), std::system_error);
  });
  user.join();
}

TYPED_TEST(Io, ServesConnections) {
  constexpr int clients = 20, messages = 20;
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const plain = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(listener, plain, size), 0);
  ASSERT_EQ(listen(listener, clients), 0);
  ASSERT_EQ(getsockname(listener, plain, &size), 0);
  std::atomic<int> answered{0};
  TypeParam server([&] {
    weft::scope connections;
    for (int i = 0; i < clients; ++i)
      connections.spawn([fd = weft::io::accept(listener)] {
        char buffer[64];
        while (const std::size_t n = weft::io::receive(fd, buffer, sizeof buffer, 0)) weft::io::write(fd, buffer, n);
        weft::io::close(fd);
      });
  });
  {
    const crew<TypeParam> crowd(clients, [&] {
      const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      weft::io::connect(fd, plain, size);
      for (int i = 0; i < messages; ++i) {
        char sent[32] = "a message", received[32] = {};
        EXPECT_EQ(weft::io::send(fd, sent, sizeof sent, MSG_NOSIGNAL), sizeof sent);
        EXPECT_EQ(weft::io::read_all(fd, received, sizeof received), sizeof received);
        answered += std::memcmp(sent, received, sizeof sent) == 0;
      }
      weft::io::close(fd);
    });
  }
  server.join();
  weft::io::close(listener);
  EXPECT_EQ(answered, clients * messages);
}

TYPED_TEST(Io, StopRequestsAreNeverMissed) {
  two_ends p;
  make_pipe(p);
  constexpr int rounds = sanitized ? 200 : 3000;
  TypeParam user([&] {
    char byte;
    for (int i = 0; i < rounds; ++i) {
      std::stop_source stop;
      weft::fiber other([&] { stop.request_stop(); });
      std::error_code error;
      (void)weft::io::read(p.in, &byte, 1, {.stop = stop.get_token()}, error);
      EXPECT_EQ(error, std::errc::operation_canceled);
      other.join();
    }
  });
  user.join();
}

TEST(Blocking, OthersRunMeanwhile) {
  two_ends p;
  make_pipe(p);
  // More of them than carriers wait in the kernel until one who comes later writes.
  const crew<weft::thread> blocked(10, [&] {
    char byte;
    EXPECT_EQ(weft::blocking([&] { return ::read(p.in, &byte, 1); }), 1);
  });
  weft::fiber writer([&] { weft::io::write(p.out, "0123456789", 10); });
  writer.join();
}

TEST(Blocking, UnannouncedIsNoticed) {
  if (one_to_one()) GTEST_SKIP() << "kernel threads block for themselves";
  two_ends p;
  make_pipe(p);
  const crew<weft::thread> blocked(4, [&] {
    char byte;
    EXPECT_EQ(::read(p.in, &byte, 1), 1);
  });
  weft::thread writer([&] { weft::io::write(p.out, "0123", 4); });
  writer.join();
}

}  // namespace
}  // namespace api_test
