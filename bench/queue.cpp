// SPDX-License-Identifier: BSL-1.0
// Question: what does an item cost that goes through one queue (a mutex, two condition variables, sixteen places) between many
// producers and many consumers?
// Rival: kernel threads contending for the same mutex and waking each other through the kernel.
//
//   queue [PRODUCERS [ITEMS]]      as many consumers as producers
#include "bench.hpp"

namespace {

constexpr long capacity = 16;
long places[capacity], filled, head, items_each, sum;
pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;

void* produce(void*) {
  for (long i = 0; i < items_each; ++i) {
    pthread_mutex_lock(&mutex);
    while (filled == capacity) pthread_cond_wait(&not_full, &mutex);
    places[(head + filled++) % capacity] = i;
    pthread_cond_signal(&not_empty);
    pthread_mutex_unlock(&mutex);
  }
  return nullptr;
}

void* consume(void*) {
  for (long i = 0; i < items_each; ++i) {
    pthread_mutex_lock(&mutex);
    while (filled == 0) pthread_cond_wait(&not_empty, &mutex);
    sum += places[head];
    head = (head + 1) % capacity;
    --filled;
    pthread_cond_signal(&not_full);
    pthread_mutex_unlock(&mutex);
  }
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  const long producers = bench::count_from(argc, argv, 500);
  items_each = argc > 2 ? std::atol(argv[2]) : 400;
  std::vector<pthread_t> threads;
  const std::int64_t begin = bench::now_ns();
  for (long i = 0; i < producers; ++i) {
    threads.push_back(bench::start(produce, nullptr));
    threads.push_back(bench::start(consume, nullptr));
  }
  for (const pthread_t thread : threads) bench::join(thread);
  const std::int64_t elapsed = bench::now_ns() - begin;
  if (sum != producers * (items_each * (items_each - 1) / 2)) bench::must(EINVAL, "sum of the items");
  bench::report("queue", static_cast<double>(elapsed) / static_cast<double>(producers * items_each), "ns");
}
