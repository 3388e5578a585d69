// SPDX-License-Identifier: BSL-1.0
// Question: how much memory does a parked thread with a 64 KiB stack hold, and how many can there be?
// Rival: kernel threads, which also hold 16 KiB and more in the kernel (not counted here) and end at pid_max.
//
//   parked [THREADS]
#include "bench.hpp"

namespace {
/// A figure of /proc/self/status, in KiB.
double status_kib(const char* field) {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) bench::must(1, "/proc/self/status");
  char line[256];
  double kib = 0;
  while (std::fgets(line, sizeof line, file) != nullptr)
    if (std::strncmp(line, field, std::strlen(field)) == 0) kib = std::atof(line + std::strlen(field));
  std::fclose(file);
  return kib;
}
}  // namespace

int main(int argc, char** argv) {
  const long count = bench::count_from(argc, argv, 100'000);
  static bench::parked_threads threads;
  const double resident = status_kib("VmRSS:"), tables = status_kib("VmPTE:");
  const std::int64_t begin = bench::now_ns();
  threads.start_all(count, 64 * 1024);
  const double n = static_cast<double>(count);
  bench::report("parked_create", static_cast<double>(bench::now_ns() - begin) / n, "ns");
  bench::report("parked_resident", (status_kib("VmRSS:") - resident) / n, "KiB");
  bench::report("parked_page_tables", (status_kib("VmPTE:") - tables) / n, "KiB");
  bench::report("parked_threads", n, "threads");
  threads.let_go();
}
