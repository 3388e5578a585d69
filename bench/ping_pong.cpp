// SPDX-License-Identifier: BSL-1.0
// Question: what does it cost to hand something to another thread and get it back (a round trip), through a mutex and a condition
// variable, and through two semaphores, when both threads share one CPU or carrier?
// Rival: futex wake and wait between kernel threads pinned to one CPU; across CPUs they take ten times longer.
#include "bench.hpp"

#include <semaphore.h>

namespace {

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
long turn;

/// Takes every second turn, beginning with `mine`.
void take_turns(long mine, long end) {
  pthread_mutex_lock(&mutex);
  for (; mine < end; mine += 2) {
    while (turn != mine) pthread_cond_wait(&changed, &mutex);
    ++turn;
    pthread_cond_signal(&changed);
  }
  pthread_mutex_unlock(&mutex);
}

void* take_odd_turns(void* end) {
  take_turns(1, *static_cast<long*>(end));
  return nullptr;
}

std::int64_t time_condition(long rounds) {
  long end = 2 * rounds;
  turn = 0;
  const std::int64_t begin = bench::now_ns();
  const pthread_t other = bench::start(take_odd_turns, &end);
  take_turns(0, end);
  bench::join(other);
  return bench::now_ns() - begin;
}

sem_t ping, pong;

void* answer(void* rounds) {
  for (long i = *static_cast<long*>(rounds); i > 0; --i) {
    sem_wait(&ping);
    sem_post(&pong);
  }
  return nullptr;
}

std::int64_t time_semaphores(long rounds) {
  sem_init(&ping, 0, 0);
  sem_init(&pong, 0, 0);
  const std::int64_t begin = bench::now_ns();
  const pthread_t other = bench::start(answer, &rounds);
  for (long i = 0; i < rounds; ++i) {
    sem_post(&ping);
    sem_wait(&pong);
  }
  bench::join(other);
  return bench::now_ns() - begin;
}

}  // namespace

int main(int argc, char** argv) {
  const long rounds = bench::count_from(argc, argv, 100'000);
  time_condition(rounds / 10);
  bench::report("ping_pong_condition", static_cast<double>(time_condition(rounds)) / static_cast<double>(rounds), "ns");
  time_semaphores(rounds / 10);
  bench::report("ping_pong_semaphore", static_cast<double>(time_semaphores(rounds)) / static_cast<double>(rounds), "ns");
}
