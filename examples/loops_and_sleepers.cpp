// SPDX-License-Identifier: BSL-1.0
// Threads that only compute beside threads that mostly sleep: a scheduler that waits for threads to yield would let the loops
// starve the sleepers. Prints how late the sleepers woke; the loops' result shows that they lost nothing either. No Weft header.
//
//   loops_and_sleepers [LOOPS [SLEEPERS [SLEEPS]]]      defaults 4, 100 and 50 (sleeps of 1 ms)
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

/// Some arithmetic that the compiler cannot shorten and that never calls anything.
std::uint64_t spin_until(const std::atomic<bool>& stop) {
  std::uint64_t x = 88172645463325252ull, rounds = 0;
  while (!stop.load(std::memory_order_relaxed)) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    ++rounds;
  }
  return x == 0 ? 0 : rounds;
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int index, int fallback) { return argc > index ? std::atoi(argv[index]) : fallback; };
  const int loops = number(1, 4), sleepers = number(2, 100), sleeps = number(3, 50);
  if (argc > 4 || loops < 0 || sleepers < 1 || sleeps < 1) {
    std::fprintf(stderr, "usage: loops_and_sleepers [LOOPS [SLEEPERS [SLEEPS]]]\n");
    return 2;
  }
  std::atomic<bool> stop{false};
  std::atomic<int> loops_that_worked{0};
  std::vector<std::thread> spinning, sleeping;
  for (int i = 0; i < loops; ++i) spinning.emplace_back([&] { loops_that_worked += spin_until(stop) > 0; });

  std::vector<std::vector<double>> late(static_cast<std::size_t>(sleepers));
  for (auto& mine : late)
    sleeping.emplace_back([&mine, sleeps] {
      for (int i = 0; i < sleeps; ++i) {
        const auto due = clock_type::now() + std::chrono::milliseconds{1};
        std::this_thread::sleep_until(due);
        mine.push_back(std::chrono::duration<double, std::milli>(clock_type::now() - due).count());
      }
    });
  for (std::thread& thread : sleeping) thread.join();
  stop = true;
  for (std::thread& thread : spinning) thread.join();

  std::vector<double> all;
  for (const auto& mine : late) all.insert(all.end(), mine.begin(), mine.end());
  std::sort(all.begin(), all.end());
  std::printf("%zu sleeps of 1 ms beside %d loops: late by %.2f ms (median), %.2f ms (p99), %.2f ms (most)\n", all.size(), loops,
              all[all.size() / 2], all[all.size() * 99 / 100], all.back());
  std::printf("%d of %d loops got to run\n", loops_that_worked.load(), loops);
}
