// SPDX-License-Identifier: BSL-1.0
// Question: how much CPU do 10,000 parked threads cost while nothing happens?
// Rival: kernel threads, which cost nothing then; a runtime whose idle carriers or monitor tick costs more than nothing.
//
//   idle [THREADS [SECONDS]]
#include "bench.hpp"

#include <sys/resource.h>

namespace {
double cpu_ms() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](const timeval& t) { return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3; };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

void wait_ms(long ms) {
  timespec left{ms / 1000, ms % 1000 * 1'000'000};
  while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) != 0) {
  }
}
}  // namespace

int main(int argc, char** argv) {
  const long count = bench::count_from(argc, argv, 10'000), seconds = argc > 2 ? std::atol(argv[2]) : 5;
  static bench::parked_threads threads;
  threads.start_all(count, 64 * 1024);
  wait_ms(200);  // what the start left to do is not idling
  const double cpu = cpu_ms();
  const std::int64_t begin = bench::now_ns();
  wait_ms(seconds * 1000);
  const double wall_ms = static_cast<double>(bench::now_ns() - begin) / 1e6;
  bench::report("idle_cpu", 100 * (cpu_ms() - cpu) / wall_ms, "%");
  threads.let_go();
}
