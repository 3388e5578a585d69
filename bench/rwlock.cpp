// SPDX-License-Identifier: BSL-1.0
// Question: what does a read lock cost that nobody contends for, lock and unlock, in a program with a second thread?
// Rival: glibc's, two atomic additions; there is nothing to win here, only something to lose.
#include "bench.hpp"

namespace {
void* nothing(void* argument) { return argument; }

std::int64_t time_locks(long count) {
  pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
  const std::int64_t begin = bench::now_ns();
  for (long i = 0; i < count; ++i) {
    pthread_rwlock_rdlock(&lock);
    pthread_rwlock_unlock(&lock);
  }
  return bench::now_ns() - begin;
}
}  // namespace

int main(int argc, char** argv) {
  const long count = bench::count_from(argc, argv, 10'000'000);
  bench::join(bench::start(nothing, nullptr));
  time_locks(count / 10);
  bench::report("rwlock", static_cast<double>(time_locks(count)) / static_cast<double>(count), "ns");
}
