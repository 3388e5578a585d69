// SPDX-License-Identifier: BSL-1.0
// Question: how late do many sleeping threads wake, and what does a sleep cost? Each thread sleeps ten times, for a random
// 0 to 1 s, on a 64 KiB stack.
// Rival: kernel threads, whose timers are the kernel's; they end at pid_max, so compare at 10,000.
//
//   sleepers [THREADS]
#include "bench.hpp"

#include <sys/resource.h>

namespace {
constexpr int sleeps = 10;

struct sleeper {
  pthread_t thread;
  std::uint64_t seed;
  std::int64_t late[sleeps];
};

/// Nobody sleeps before everybody is there: what is measured is sleeping, not creating.
pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t all_there = PTHREAD_COND_INITIALIZER, may_start = PTHREAD_COND_INITIALIZER;
long missing;
bool started = false;

std::uint64_t random(std::uint64_t& seed) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed;
}

void* body(void* argument) {
  auto& me = *static_cast<sleeper*>(argument);
  pthread_mutex_lock(&mutex);
  if (--missing == 0) pthread_cond_signal(&all_there);
  while (!started) pthread_cond_wait(&may_start, &mutex);
  pthread_mutex_unlock(&mutex);
  for (std::int64_t& late : me.late) {
    const auto span = static_cast<std::int64_t>(random(me.seed) % 1'000'000'000);
    const timespec t{0, span};
    const std::int64_t due = bench::now_ns() + span;
    nanosleep(&t, nullptr);
    late = bench::now_ns() - due;
  }
  return nullptr;
}

double cpu_seconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}
}  // namespace

int main(int argc, char** argv) {
  const long count = bench::count_from(argc, argv, 100'000);
  std::vector<sleeper> sleepers(static_cast<std::size_t>(count));
  pthread_attr_t attributes;
  bench::must(pthread_attr_init(&attributes), "pthread_attr_init");
  bench::must(pthread_attr_setstacksize(&attributes, 64 * 1024), "pthread_attr_setstacksize");
  missing = count;
  std::uint64_t seed = 1;
  for (sleeper& s : sleepers) {
    s.seed = seed += 0x9e3779b97f4a7c15;
    s.thread = bench::start(body, &s, &attributes);
  }
  pthread_mutex_lock(&mutex);
  while (missing != 0) pthread_cond_wait(&all_there, &mutex);
  const double before = cpu_seconds();
  started = true;
  pthread_cond_broadcast(&may_start);
  pthread_mutex_unlock(&mutex);
  for (const sleeper& s : sleepers) bench::join(s.thread);
  const double used = cpu_seconds() - before;
  bench::delays late;
  for (const sleeper& s : sleepers)
    for (int i = 1; i < sleeps; ++i) late.add(s.late[i]);  // the first sleeps all begin at once, while others still start
  late.sort();
  bench::report("sleepers_median", late.at(0.5), "ms");
  bench::report("sleepers_p99", late.at(0.99), "ms");
  bench::report("sleepers_most", late.most(), "ms");
  bench::report("sleepers_cpu", used * 1e9 / static_cast<double>(count * sleeps), "ns");
}
