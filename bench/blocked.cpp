// SPDX-License-Identifier: BSL-1.0
// Question: when every carrier is blocked in a call that Weft does not replace, how long until a thread that is ready runs?
// Two threads meet (both spin, so both hold a slot of the two there are), one wakes a third, and both read, by a system call
// of their own making, from pipes that only the third will write to. A runtime without rescue stops here for ever.
// Rival: kernel threads, for which this is an ordinary wake-up.
#include "bench.hpp"

#include <atomic>

#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

long trials;
std::atomic<long> meeting{0};
std::atomic<std::int64_t> made_ready{0};
sem_t ready;
int pipes[2][2];

void* block(void* which_as_pointer) {
  const long which = reinterpret_cast<long>(which_as_pointer);
  for (long trial = 0; trial < trials; ++trial) {
    meeting.fetch_add(1);
    while (meeting.load() < 2 * (trial + 1)) {
    }
    if (which == 0) {
      made_ready = bench::now_ns();
      sem_post(&ready);
    }
    char byte;
    if (syscall(SYS_read, pipes[which][0], &byte, 1) != 1) bench::must(errno, "read");
    // Time for the third thread to be parked again: otherwise it is only found running, and nothing is measured.
    const timespec pause{0, 1'000'000};
    nanosleep(&pause, nullptr);
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  trials = bench::count_from(argc, argv, 1000);
  sem_init(&ready, 0, 0);
  for (auto& ends : pipes) bench::must(pipe(ends) == 0 ? 0 : errno, "pipe");
  pthread_t threads[2];
  for (long i = 0; i < 2; ++i) threads[i] = bench::start(block, reinterpret_cast<void*>(i));
  bench::delays late;
  for (long trial = 0; trial < trials; ++trial) {
    while (sem_wait(&ready) != 0) {
    }
    late.add(bench::now_ns() - made_ready);
    for (auto& ends : pipes)
      if (write(ends[1], "x", 1) != 1) bench::must(errno, "write");
  }
  for (const pthread_t thread : threads) bench::join(thread);
  late.sort();
  bench::report("blocked_median", late.at(0.5), "ms");
  bench::report("blocked_most", late.most(), "ms");
  bench::report("blocked_over_10_ms", static_cast<double>(late.over(10)), "trials");
}
