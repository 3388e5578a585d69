// SPDX-License-Identifier: BSL-1.0
// Question: what does it cost to create a thread that does nothing and to join it, one after the other?
// Rival: NPTL, which caches stacks but asks the kernel for every thread.
#include "bench.hpp"

namespace {
void* nothing(void* argument) { return argument; }

std::int64_t time_pairs(long count) {
  const std::int64_t begin = bench::now_ns();
  for (long i = 0; i < count; ++i) bench::join(bench::start(nothing, nullptr));
  return bench::now_ns() - begin;
}
}  // namespace

int main(int argc, char** argv) {
  const long count = bench::count_from(argc, argv, 20'000);
  time_pairs(count / 10);
  bench::report("create_join", static_cast<double>(time_pairs(count)) / static_cast<double>(count), "ns");
}
