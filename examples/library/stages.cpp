// SPDX-License-Identifier: BSL-1.0
// A pipeline: numbers are made, worked on by four workers, put in order again, and added up. Channels join the stages; a full one slows the
// stage before it down, and closing one ends the stage behind it.
#include <cstdio>
#include <map>
#include <utility>

#include <weft/weft.hpp>

int main() {
  using numbered = std::pair<int, long>;
  weft::channel<numbered> made(16), worked_on(16);
  weft::channel<long> in_order(16);

  weft::scope stages;
  stages.spawn([&] {
    for (int i = 0; i < 10'000; ++i) made.send({i, i});
    made.close();
  });
  weft::latch workers(4);
  for (int w = 0; w < 4; ++w)
    stages.spawn([&] {
      for (auto [turn, value] : made) worked_on.send({turn, value * value});
      workers.count_down();
    });
  stages.spawn([&] {
    workers.wait();
    worked_on.close();
  });
  stages.spawn([&] {
    std::map<int, long> early;
    int next = 0;
    for (auto [turn, value] : worked_on) {
      early.emplace(turn, value);
      for (auto first = early.begin(); first != early.end() && first->first == next; first = early.erase(first), ++next) in_order.send(first->second);
    }
    in_order.close();
  });
  weft::outcome<long> sum = stages.submit([&] {
    long total = 0, before = -1;
    for (const long value : in_order) {
      if (value < before) std::puts("out of order");
      before = value;
      total += value;
    }
    return total;
  });
  stages.join();
  std::printf("%ld\n", sum.get());
}
