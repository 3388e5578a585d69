// SPDX-License-Identifier: BSL-1.0
// Question: what does a program pay that only computes and never waits? Two threads, arithmetic and memory, fixed work.
// Rival: the same threads natively; user-level threads can only lose here (by the monitor's signals and by cold caches).
#include "bench.hpp"

namespace {
constexpr std::size_t size = 1 << 18;

void* compute(void* rounds) {
  std::vector<std::uint32_t> table(size);
  std::uint64_t x = 88172645463325252ull;
  for (long i = *static_cast<long*>(rounds); i > 0; --i) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    table[x % size] += static_cast<std::uint32_t>(x >> 32);
  }
  bench::keep(table[0] + x);
  return nullptr;
}
}  // namespace

int main(int argc, char** argv) {
  long rounds = bench::count_from(argc, argv, 500'000'000);
  const std::int64_t begin = bench::now_ns();
  const pthread_t a = bench::start(compute, &rounds), b = bench::start(compute, &rounds);
  bench::join(a);
  bench::join(b);
  bench::report("cpu_bound", static_cast<double>(bench::now_ns() - begin) / 1e6, "ms");
}
