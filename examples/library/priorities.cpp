// SPDX-License-Identifier: BSL-1.0
// A runtime with priorities beside the default one: however much the background computes, an alarm runs at once; and who holds a mutex that the alarm
// waits for is as urgent as the alarm meanwhile.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <vector>

#include <weft/weft.hpp>

using namespace std::chrono_literals;

int main() {
  weft::runtime r({.parallelism = 1, .order = weft::scheduling::priority});
  std::atomic<bool> stop{false};
  weft::mutex shared;
  long work = 0;
  std::vector<weft::thread> background;
  for (int i = 0; i < 20; ++i)
    background.emplace_back(weft::spawn_options{.in = &r, .priority = -10}, [&] {
      while (!stop) {
        const std::lock_guard hold(shared);
        for (int k = 0; k < 10'000; ++k) work = work + 1;
      }
    });

  std::vector<double> late;
  weft::thread alarm({.name = "alarm", .in = &r, .priority = 20}, [&] {
    for (int i = 0; i < 100; ++i) {
      const auto due = weft::clock::now() + 2ms;
      weft::this_thread::sleep_until(due);
      const std::lock_guard hold(shared);
      late.push_back(std::chrono::duration<double, std::milli>(weft::clock::now() - due).count());
    }
  });
  alarm.join();
  stop = true;
  for (weft::thread& t : background) t.join();
  std::sort(late.begin(), late.end());
  std::printf("100 alarms beside 20 threads that compute: median %.2f ms late, the last but one %.2f ms\n", late[50], late[98]);
}
