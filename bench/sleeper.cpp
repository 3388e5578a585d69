// SPDX-License-Identifier: BSL-1.0
// Question: how late does a thread wake from a sleep of 1 ms when four endless loops share two CPUs or carriers with it?
// Rival: the kernel's scheduler, which lets a sleeper displace a loop at once or at the next tick.
#include "bench.hpp"

#include <atomic>

namespace {
std::atomic<bool> stop{false};

void* loop(void*) {
  std::uint64_t x = 1;
  while (!stop.load(std::memory_order_relaxed)) x = x * 6364136223846793005u + 1;
  bench::keep(x);
  return nullptr;
}
}  // namespace

int main(int argc, char** argv) {
  const long sleeps = bench::count_from(argc, argv, 1000);
  pthread_t loops[4];
  for (pthread_t& thread : loops) thread = bench::start(loop, nullptr);
  bench::delays late;
  for (long i = 0; i < sleeps; ++i) {
    const std::int64_t due = bench::now_ns() + 1'000'000;
    const timespec until{due / 1'000'000'000, due % 1'000'000'000};
    bench::must(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr), "clock_nanosleep");
    late.add(bench::now_ns() - due);
  }
  stop = true;
  for (const pthread_t thread : loops) bench::join(thread);
  late.sort();
  bench::report("sleeper_median", late.at(0.5), "ms");
  bench::report("sleeper_p99", late.at(0.99), "ms");
}
