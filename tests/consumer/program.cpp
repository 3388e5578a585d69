// SPDX-License-Identifier: BSL-1.0
// What a stranger would write first: threads that hand numbers to fibers through a queue.
#include <cstdio>
#include <deque>
#include <mutex>
#include <vector>

#include "weft/condition_variable.hpp"
#include "weft/fiber.hpp"
#include "weft/mutex.hpp"
#include "weft/thread.hpp"

int main() {
  constexpr int pairs = 4, numbers = 1000;
  weft::mutex lock;
  weft::condition_variable more;
  std::deque<int> queue;
  long sum = 0;

  std::vector<weft::fiber> takers;
  std::vector<weft::thread> givers;
  for (int i = 0; i < pairs; ++i) {
    takers.emplace_back([&] {
      for (int n = 0; n < numbers; ++n) {
        std::unique_lock hold(lock);
        more.wait(hold, [&] { return !queue.empty(); });
        sum += queue.front();
        queue.pop_front();
      }
    });
    givers.emplace_back([&] {
      for (int n = 1; n <= numbers; ++n) {
        const std::lock_guard hold(lock);
        queue.push_back(n);
        more.notify_one();
      }
    });
  }
  for (weft::thread& t : givers) t.join();
  for (weft::fiber& f : takers) f.join();
  std::printf("%d threads gave %ld to %d fibers\n", pairs, sum, pairs);
}
