// SPDX-License-Identifier: BSL-1.0
// Starts a server, sends it requests over many connections from one thread (epoll), one request at a time on each, and
// reports what that cost: requests a second, the latency, and the server's CPU time and memory.
//
//   request_load PROTOCOL CONNECTIONS SECONDS PORT SERVER [ARGUMENT...]
//
// PROTOCOL is echo (64 bytes), memcached (get of 64 bytes) or redis (the same). This process stays on the last CPU that it may
// use; put taskset in front of SERVER to keep that on another one.
#include "bench.hpp"

#include <csignal>
#include <string>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

struct protocol {
  std::string setup, setup_answer, request;
  std::size_t answer_bytes;
};

protocol protocol_named(const std::string& name) {
  const std::string value(64, 'x');
  if (name == "echo") return {"", "", value, value.size()};
  if (name == "memcached") {
    const std::string answer = "VALUE k 0 64\r\n" + value + "\r\nEND\r\n";
    return {"set k 0 0 64\r\n" + value + "\r\n", "STORED\r\n", "get k\r\n", answer.size()};
  }
  if (name == "redis") return {"SET k " + value + "\r\n", "+OK\r\n", "GET k\r\n", std::string("$64\r\n").size() + value.size() + 2};
  bench::must(EINVAL, "protocol");
  return {};
}

void must_be(bool true_thing, const char* what) { bench::must(true_thing ? 0 : errno, what); }

pid_t start_server(char** argv) {
  const pid_t child = fork();
  must_be(child >= 0, "fork");
  if (child != 0) return child;
  execvp(argv[0], argv);
  bench::must(errno, argv[0]);
  return 0;
}

void stay_on_last_cpu() {
  cpu_set_t all;
  must_be(sched_getaffinity(0, sizeof all, &all) == 0, "sched_getaffinity");
  int last = 0;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &all)) last = i;
  CPU_ZERO(&all);
  CPU_SET(last, &all);
  must_be(sched_setaffinity(0, sizeof all, &all) == 0, "sched_setaffinity");
}

/// -1 if nobody listens.
int connect_to(long port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must_be(fd >= 0, "socket");
  sockaddr_in there{};
  there.sin_family = AF_INET;
  there.sin_port = htons(static_cast<std::uint16_t>(port));
  there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&there), sizeof there) != 0) {
    close(fd);
    return -1;
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const linger reset{1, 0};  // ten thousand ports in TIME_WAIT would be missing in the next run
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  return fd;
}

int first_connection(long port) {
  for (int tries = 0; tries < 1000; ++tries) {
    if (const int fd = connect_to(port); fd >= 0) return fd;
    usleep(10'000);
  }
  bench::must(ETIMEDOUT, "no server");
  return -1;
}

void send_all(int fd, const std::string& text) {
  must_be(send(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()), "send");
}

void receive_all(int fd, std::size_t bytes) {
  std::string text(bytes, 0);
  must_be(recv(fd, text.data(), bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes), "recv");
}

struct connection {
  int fd;
  std::size_t missing;
  std::int64_t sent_at;
};

/// CPU time used so far, in seconds: all threads.
double cpu_of(pid_t server) {
  std::FILE* f = std::fopen(("/proc/" + std::to_string(server) + "/stat").c_str(), "r");
  must_be(f != nullptr, "stat of the server");
  unsigned long user = 0, kernel = 0;
  const int found = std::fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel);
  std::fclose(f);
  bench::must(found == 2 ? 0 : EINVAL, "stat of the server");
  return static_cast<double>(user + kernel) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double resident_kib(pid_t server) {
  std::FILE* f = std::fopen(("/proc/" + std::to_string(server) + "/status").c_str(), "r");
  must_be(f != nullptr, "status of the server");
  char line[256];
  long kib = 0;
  while (std::fgets(line, sizeof line, f) != nullptr) (void)std::sscanf(line, "VmRSS: %ld", &kib);
  std::fclose(f);
  return static_cast<double>(kib);
}

class load {
 public:
  load(const protocol& p, std::vector<connection>& connections) : p_(p), connections_(connections), queue_(epoll_create1(EPOLL_CLOEXEC)) {
    must_be(queue_ >= 0, "epoll_create1");
    for (connection& c : connections_) {
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.ptr = &c;
      must_be(epoll_ctl(queue_, EPOLL_CTL_ADD, c.fd, &event) == 0, "epoll_ctl");
      request(c);
    }
  }
  ~load() { close(queue_); }
  load(const load&) = delete;
  load& operator=(const load&) = delete;

  void run_until(std::int64_t end) {
    epoll_event events[256];
    for (;;) {
      const int n = epoll_wait(queue_, events, 256, 100);
      for (int i = 0; i < n; ++i) receive(*static_cast<connection*>(events[i].data.ptr));
      if (bench::now_ns() >= end) return;
    }
  }
  void begin_anew() {
    answers = 0;
    latency = {};
  }

  long answers = 0;
  bench::delays latency;

 private:
  void request(connection& c) {
    c.missing = p_.answer_bytes;
    c.sent_at = bench::now_ns();
    send_all(c.fd, p_.request);
  }
  void receive(connection& c) {
    char buffer[4096];
    const ssize_t n = recv(c.fd, buffer, std::min(sizeof buffer, c.missing), MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    bench::must(n > 0 ? 0 : ECONNRESET, "the server ended a connection");
    c.missing -= static_cast<std::size_t>(n);
    if (c.missing != 0) return;
    ++answers;
    latency.add(bench::now_ns() - c.sent_at);
    request(c);
  }

  const protocol& p_;
  std::vector<connection>& connections_;
  int queue_;
};

pid_t server = 0;
void end_server() {
  if (server > 0) kill(server, SIGKILL);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) bench::must(EINVAL, "request_load PROTOCOL CONNECTIONS SECONDS PORT SERVER [ARGUMENT...]");
  const protocol p = protocol_named(argv[1]);
  const auto count = static_cast<std::size_t>(std::atol(argv[2]));
  const auto span = static_cast<std::int64_t>(std::atof(argv[3]) * 1e9);
  const long port = std::atol(argv[4]);
  server = start_server(argv + 5);
  std::atexit(end_server);
  stay_on_last_cpu();

  std::vector<connection> connections(count);
  connections[0].fd = first_connection(port);
  if (!p.setup.empty()) {
    send_all(connections[0].fd, p.setup);
    receive_all(connections[0].fd, p.setup_answer.size());
  }
  // Few at a time, each answered once: an overflowing listener would make some of them wait for a second.
  constexpr std::size_t at_once = 100;
  for (std::size_t i = 0; i < count; i += at_once) {
    const std::size_t end = std::min(count, i + at_once);
    for (std::size_t k = std::max<std::size_t>(i, 1); k < end; ++k) connections[k].fd = first_connection(port);
    for (std::size_t k = i; k < end; ++k) send_all(connections[k].fd, p.request);
    for (std::size_t k = i; k < end; ++k) receive_all(connections[k].fd, p.answer_bytes);
  }

  load requests(p, connections);
  requests.run_until(bench::now_ns() + span / 4);  // until everybody has been served
  requests.begin_anew();
  const double cpu_before = cpu_of(server);
  const std::int64_t begin = bench::now_ns();
  requests.run_until(begin + span);
  const auto elapsed = static_cast<double>(bench::now_ns() - begin) / 1e9;
  const double cpu = cpu_of(server) - cpu_before;
  const auto answers = static_cast<double>(requests.answers);
  bench::must(requests.answers != 0 ? 0 : ETIMEDOUT, "no answer");
  requests.latency.sort();
  bench::report("rate", answers / elapsed / 1e3, "k/s");
  bench::report("median", requests.latency.at(0.5), "ms");
  bench::report("p99", requests.latency.at(0.99), "ms");
  bench::report("cpu", cpu * 1e6 / answers, "us");
  bench::report("resident", resident_kib(server) / static_cast<double>(count), "KiB");
  return 0;
}
