// SPDX-License-Identifier: BSL-1.0
// Question: what does one switch between two threads cost, when both do nothing but sched_yield on one CPU or carrier?
// Rival: kernel threads pinned to one CPU, which pay a system call and the kernel's scheduler.
#include "bench.hpp"

#include <atomic>

#include <sched.h>

namespace {

// The kernel's sched_yield often comes back without having switched, so it is switches that are counted, not calls: those at
// whose end the other thread has been here. Both run on one CPU or carrier, so the counter needs no more than that.
std::atomic<int> last{-1};
std::atomic<long> switches{0};

void yield_often(int me, long count) {
  for (long i = 0; i < count; ++i) {
    if (last.load(std::memory_order_relaxed) != me) {
      last.store(me, std::memory_order_relaxed);
      switches.store(switches.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    sched_yield();
  }
}

void* yield_as_other(void* count) {
  yield_often(1, *static_cast<long*>(count));
  return nullptr;
}

double time_switch(long count) {
  switches = 0;
  const std::int64_t begin = bench::now_ns();
  const pthread_t other = bench::start(yield_as_other, &count);
  yield_often(0, count);
  bench::join(other);
  return static_cast<double>(bench::now_ns() - begin) / static_cast<double>(switches.load());
}

}  // namespace

int main(int argc, char** argv) {
  const long count = bench::count_from(argc, argv, 500'000);
  time_switch(count / 10);
  bench::report("switch", time_switch(count), "ns");
}
