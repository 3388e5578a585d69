// SPDX-License-Identifier: BSL-1.0
// Every kind of mutex and its promises: exclusion, recursion, ownership errors, timeouts, static initialisers. Ownership must
// belong to the thread, not to whatever kernel thread happens to run it.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "check.h"

enum { threads = 16, rounds = 2000 };

static pthread_mutex_t normal = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t recursive = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_mutex_t checking = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
static pthread_mutex_t adaptive = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
static long counter;

static void run_all(void* (*body)(void*), void* argument) {
  pthread_t thread[threads];
  for (int i = 0; i < threads; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, body, argument), 0);
  for (int i = 0; i < threads; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
}

// The count goes through a local and a yield, so that two threads inside at once would lose an increment.
static void* exclude(void* mutex) {
  for (int i = 0; i < rounds; ++i) {
    CHECK_EQ(pthread_mutex_lock(mutex), 0);
    const long value = counter;
    if (i % 16 == 0) sched_yield();
    counter = value + 1;
    CHECK_EQ(pthread_mutex_unlock(mutex), 0);
  }
  return NULL;
}

static void* recurse(void* unused) {
  (void)unused;
  for (int i = 0; i < rounds / 10; ++i) {
    for (int depth = 0; depth < 10; ++depth) CHECK_EQ(pthread_mutex_lock(&recursive), 0);
    CHECK_EQ(pthread_mutex_trylock(&recursive), 0);
    sched_yield();
    ++counter;
    for (int depth = 0; depth < 11; ++depth) CHECK_EQ(pthread_mutex_unlock(&recursive), 0);
  }
  return NULL;
}

static void* check_owner(void* unused) {
  (void)unused;
  for (int i = 0; i < rounds / 10; ++i) {
    CHECK_EQ(pthread_mutex_lock(&checking), 0);
    sched_yield();
    CHECK_EQ(pthread_mutex_lock(&checking), EDEADLK);
    CHECK_EQ(pthread_mutex_trylock(&checking), EBUSY);
    ++counter;
    CHECK_EQ(pthread_mutex_unlock(&checking), 0);
    CHECK_EQ(pthread_mutex_unlock(&checking) != 0, 1);
  }
  return NULL;
}

static struct timespec in_ms(clockid_t clock, long ms) {
  struct timespec t;
  clock_gettime(clock, &t);
  t.tv_nsec += ms * 1000000;
  t.tv_sec += t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  return t;
}

// The main thread holds all of them.
static void* find_all_taken(void* unused) {
  (void)unused;
  CHECK_EQ(pthread_mutex_trylock(&normal), EBUSY);
  CHECK_EQ(pthread_mutex_trylock(&recursive), EBUSY);
  CHECK_EQ(pthread_mutex_trylock(&checking), EBUSY);
  CHECK_EQ(pthread_mutex_unlock(&recursive), EPERM);
  CHECK_EQ(pthread_mutex_unlock(&checking), EPERM);
  const struct timespec soon = in_ms(CLOCK_REALTIME, 20), soon_steady = in_ms(CLOCK_MONOTONIC, 20), past = {1, 0};
  const struct timespec wrong = {1, 2000000000};
  CHECK_EQ(pthread_mutex_timedlock(&normal, &past), ETIMEDOUT);
  CHECK_EQ(pthread_mutex_timedlock(&normal, &soon), ETIMEDOUT);
  CHECK_EQ(pthread_mutex_timedlock(&recursive, &soon), ETIMEDOUT);
  CHECK_EQ(pthread_mutex_clocklock(&normal, CLOCK_MONOTONIC, &soon_steady), ETIMEDOUT);
  CHECK_EQ(pthread_mutex_clocklock(&checking, CLOCK_MONOTONIC, &soon_steady), ETIMEDOUT);
  CHECK_EQ(pthread_mutex_timedlock(&normal, &wrong), EINVAL);
  return NULL;
}

static void* take_in_time(void* mutex) {
  const struct timespec late = in_ms(CLOCK_REALTIME, 60000);
  CHECK_EQ(pthread_mutex_timedlock(mutex, &late), 0);
  ++counter;
  sched_yield();
  CHECK_EQ(pthread_mutex_unlock(mutex), 0);
  return NULL;
}

static void timeouts(void) {
  pthread_t thread;
  pthread_mutex_lock(&normal);
  pthread_mutex_lock(&recursive);
  pthread_mutex_lock(&checking);
  CHECK_EQ(pthread_create(&thread, NULL, find_all_taken, NULL), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  pthread_mutex_unlock(&normal);
  pthread_mutex_unlock(&recursive);
  pthread_mutex_unlock(&checking);
  counter = 0;
  run_all(take_in_time, &normal);
  CHECK_EQ(counter, threads);
}

static void count_up(pthread_mutex_t* mutex, const char* name) {
  counter = 0;
  run_all(exclude, mutex);
  CHECK_EQ(counter, threads * rounds);
  printf("%s mutex: %ld\n", name, counter);
}

int main(void) {
  count_up(&normal, "normal");
  count_up(&recursive, "recursive");
  count_up(&checking, "error-checking");
  count_up(&adaptive, "adaptive");

  pthread_mutexattr_t attributes;
  pthread_mutex_t made;
  const int kinds[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK};
  for (int i = 0; i < 3; ++i) {
    CHECK_EQ(pthread_mutexattr_init(&attributes), 0);
    CHECK_EQ(pthread_mutexattr_settype(&attributes, kinds[i]), 0);
    CHECK_EQ(pthread_mutex_init(&made, &attributes), 0);
    CHECK_EQ(pthread_mutexattr_destroy(&attributes), 0);
    count_up(&made, "initialised");
    pthread_mutex_lock(&made);
    CHECK_EQ(pthread_mutex_destroy(&made), EBUSY);
    pthread_mutex_unlock(&made);
    CHECK_EQ(pthread_mutex_destroy(&made), 0);
  }

  counter = 0;
  run_all(recurse, NULL);
  printf("recursion: %ld\n", counter);
  counter = 0;
  run_all(check_owner, NULL);
  printf("ownership: %ld\n", counter);
  timeouts();
  printf("timeouts: right\n");
  return 0;
}
