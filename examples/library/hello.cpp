// SPDX-License-Identifier: BSL-1.0
// The first program: ten thousand threads, alive at once, each with its own thread_local.
#include <cstdio>
#include <vector>

#include <weft/weft.hpp>

thread_local int mine = 0;

int main() {
  weft::latch all_here(10'000);
  weft::mutex m;
  long sum = 0;
  std::vector<weft::jthread> threads;
  for (int i = 0; i < 10'000; ++i)
    threads.emplace_back([&, i] {
      mine = i;
      all_here.arrive_and_wait();  // parks: costs no kernel thread
      const std::lock_guard hold(m);
      sum += mine;
    });
  threads.clear();  // joins
  std::printf("10,000 threads were alive at once; their numbers add up to %ld\n", sum);
}
