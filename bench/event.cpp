// SPDX-License-Identifier: BSL-1.0
// Question: how late does a thread that waits in read see what a kernel thread outside wrote, when four endless loops share two
// CPUs or carriers with it?
// Rival: the kernel's scheduler, which lets the reader displace a loop at once or at the next tick.
//
//   event [EVENTS]
#include "bench.hpp"

#include <atomic>

#include <sys/wait.h>
#include <unistd.h>

namespace {
std::atomic<bool> stop{false};

void* loop(void*) {
  std::uint64_t x = 1;
  while (!stop.load(std::memory_order_relaxed)) x = x * 6364136223846793005u + 1;
  bench::keep(x);
  return nullptr;
}

/// In a process of its own: every 2 ms the time goes into the pipe. (It sleeps, so it displaces the loops' kernel threads.)
void write_times(int pipe_end, long events) {
  for (long i = 0; i < events; ++i) {
    usleep(2000);
    const std::int64_t now = bench::now_ns();
    if (write(pipe_end, &now, sizeof now) != sizeof now) _exit(1);
  }
  _exit(0);
}

struct reader_part {
  int in;
  long events;
  bench::delays late;
};
void* read_times(void* argument) {
  auto& me = *static_cast<reader_part*>(argument);
  for (long i = 0; i < me.events; ++i) {
    std::int64_t then = 0;
    if (read(me.in, &then, sizeof then) != sizeof then) bench::must(errno, "read");
    me.late.add(bench::now_ns() - then);
  }
  return nullptr;
}
}  // namespace

int main(int argc, char** argv) {
  const long events = bench::count_from(argc, argv, 1000);
  int ends[2];
  bench::must(pipe(ends) == 0 ? 0 : errno, "pipe");
  const pid_t writer = fork();
  bench::must(writer >= 0 ? 0 : errno, "fork");
  if (writer == 0) write_times(ends[1], events);
  // The reader first: how long a new thread waits behind four loops is another question.
  reader_part part{ends[0], events, {}};
  const pthread_t reader = bench::start(read_times, &part);
  pthread_t loops[4];
  for (pthread_t& thread : loops) thread = bench::start(loop, nullptr);
  bench::join(reader);
  stop = true;
  for (const pthread_t thread : loops) bench::join(thread);
  waitpid(writer, nullptr, 0);
  part.late.sort();
  bench::report("event_median", part.late.at(0.5), "ms");
  bench::report("event_p99", part.late.at(0.99), "ms");
}
