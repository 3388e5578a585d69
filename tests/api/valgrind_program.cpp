// SPDX-License-Identifier: BSL-1.0
// A bit of everything, for Valgrind: what it reports here is an error of ours, or a stack that it does not know.
#include <cstdio>
#include <stdexcept>
#include <vector>

#include "weft/weft.hpp"

namespace {

thread_local long mine = 1;

long work(long n) {
  const std::vector<long> heap(static_cast<std::size_t>(n), 2);
  mine += n;
  weft::this_thread::yield();
  try {
    if (n % 2 == 0) throw std::runtime_error("even");
  } catch (const std::runtime_error&) {
    weft::this_thread::sleep_for(std::chrono::microseconds(10));
  }
  return heap[static_cast<std::size_t>(n) - 1] + n;
}

}  // namespace

int main() {
  long sum = 0;
  weft::mutex m;
  weft::channel<long> c(1);
  weft::scope all;
  for (long i = 1; i <= 20; ++i) {
    all.spawn([&, i] { c.send(work(i)); });
    all.spawn_fiber([&] {
      const long got = *c.receive();
      const std::lock_guard hold(m);
      sum += got;
    });
  }
  all.join();
  weft::runtime beside({.parallelism = 1, .order = weft::scheduling::priority});
  sum += beside.run([] { return work(3); });
  std::printf("%ld\n", sum);
  return sum == 20 * 21 / 2 + 20 * 2 + 5 ? 0 : 1;
}
