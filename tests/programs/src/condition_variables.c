// SPDX-License-Identifier: BSL-1.0
// Condition variables: no signal lost, broadcast reaches all, both clocks, timeouts, and a baton that goes round a ring.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "check.h"

enum { ring_size = 50, laps = 200, producers = 8, items_each = 5000, capacity = 3 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

// --- A baton: each thread waits on a condition variable of its own.
static pthread_cond_t turn_comes[ring_size];
static long turn;

static void* run_in_ring(void* argument) {
  const long id = (long)argument;
  pthread_mutex_lock(&mutex);
  for (int lap = 0; lap < laps; ++lap) {
    while (turn % ring_size != id) pthread_cond_wait(&turn_comes[id], &mutex);
    ++turn;
    pthread_cond_signal(&turn_comes[turn % ring_size]);
  }
  pthread_mutex_unlock(&mutex);
  return NULL;
}

static void ring(void) {
  pthread_t thread[ring_size];
  for (int i = 0; i < ring_size; ++i) CHECK_EQ(pthread_cond_init(&turn_comes[i], NULL), 0);
  for (long i = 0; i < ring_size; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, run_in_ring, (void*)i), 0);
  for (int i = 0; i < ring_size; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  for (int i = 0; i < ring_size; ++i) CHECK_EQ(pthread_cond_destroy(&turn_comes[i]), 0);
  printf("the baton went %ld times from hand to hand\n", turn);
}

// --- Producers and consumers on a queue of three places: two condition variables, signals only.
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;
static long queue[capacity], filled, head, sum_taken, taken;

static void* produce(void* argument) {
  for (long i = 0; i < items_each; ++i) {
    pthread_mutex_lock(&mutex);
    while (filled == capacity) pthread_cond_wait(&not_full, &mutex);
    queue[(head + filled++) % capacity] = (long)argument * items_each + i;
    pthread_cond_signal(&not_empty);
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

static void* consume(void* unused) {
  (void)unused;
  for (int i = 0; i < items_each; ++i) {
    pthread_mutex_lock(&mutex);
    while (filled == 0) pthread_cond_wait(&not_empty, &mutex);
    sum_taken += queue[head];
    head = (head + 1) % capacity;
    --filled;
    ++taken;
    pthread_cond_signal(&not_full);
    pthread_mutex_unlock(&mutex);
  }
  return NULL;
}

static void hand_over(void) {
  pthread_t thread[2 * producers];
  for (long i = 0; i < producers; ++i) {
    CHECK_EQ(pthread_create(&thread[2 * i], NULL, produce, (void*)i), 0);
    CHECK_EQ(pthread_create(&thread[2 * i + 1], NULL, consume, NULL), 0);
  }
  for (int i = 0; i < 2 * producers; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  printf("%ld items taken, sum %ld\n", taken, sum_taken);
}

// --- Broadcast.
static int waiting, woken, go;

static void* wait_for_all(void* unused) {
  (void)unused;
  pthread_mutex_lock(&mutex);
  ++waiting;
  pthread_cond_broadcast(&changed);
  while (!go) pthread_cond_wait(&changed, &mutex);
  ++woken;
  pthread_mutex_unlock(&mutex);
  return NULL;
}

static void broadcast(void) {
  enum { count = 300 };
  pthread_t thread[count];
  for (int i = 0; i < count; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, wait_for_all, NULL), 0);
  pthread_mutex_lock(&mutex);
  while (waiting < count) pthread_cond_wait(&changed, &mutex);
  go = 1;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
  for (int i = 0; i < count; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  printf("broadcast woke %d\n", woken);
}

// --- Time.
static long long now_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static struct timespec from_ns(long long ns) { return (struct timespec){ns / 1000000000, ns % 1000000000}; }

static void expect_timeout(clockid_t clock, int by_clockwait) {
  pthread_condattr_t attributes;
  pthread_cond_t never;
  CHECK_EQ(pthread_condattr_init(&attributes), 0);
  if (!by_clockwait) CHECK_EQ(pthread_condattr_setclock(&attributes, clock), 0);
  CHECK_EQ(pthread_cond_init(&never, &attributes), 0);
  const long long due = now_ns(clock) + 15000000;
  const struct timespec deadline = from_ns(due);
  pthread_mutex_lock(&mutex);
  int result;
  do result = by_clockwait ? pthread_cond_clockwait(&never, &mutex, clock, &deadline) : pthread_cond_timedwait(&never, &mutex, &deadline);
  while (result == 0);
  CHECK_EQ(result, ETIMEDOUT);
  CHECK(now_ns(clock) >= due);
  CHECK_EQ(pthread_mutex_trylock(&mutex), EBUSY);  // held again after the timeout
  const struct timespec past = from_ns(1), wrong = {0, -1};
  CHECK_EQ(by_clockwait ? pthread_cond_clockwait(&never, &mutex, clock, &past) : pthread_cond_timedwait(&never, &mutex, &past), ETIMEDOUT);
  CHECK_EQ(by_clockwait ? pthread_cond_clockwait(&never, &mutex, clock, &wrong) : pthread_cond_timedwait(&never, &mutex, &wrong), EINVAL);
  pthread_mutex_unlock(&mutex);
  CHECK_EQ(pthread_cond_destroy(&never), 0);
}

static void* time_out(void* unused) {
  (void)unused;
  expect_timeout(CLOCK_REALTIME, 0);
  expect_timeout(CLOCK_MONOTONIC, 0);
  expect_timeout(CLOCK_REALTIME, 1);
  expect_timeout(CLOCK_MONOTONIC, 1);
  return NULL;
}

static int flag;
static void* wait_with_deadline(void* unused) {
  (void)unused;
  const struct timespec deadline = from_ns(now_ns(CLOCK_REALTIME) + 60000000000LL);
  pthread_mutex_lock(&mutex);
  while (!flag) CHECK_EQ(pthread_cond_timedwait(&changed, &mutex, &deadline), 0);
  pthread_mutex_unlock(&mutex);
  return NULL;
}

int main(void) {
  ring();
  hand_over();
  broadcast();
  pthread_t thread[20];
  for (int i = 0; i < 20; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, time_out, NULL), 0);
  for (int i = 0; i < 20; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  time_out(NULL);
  printf("timeouts on both clocks\n");
  for (int i = 0; i < 20; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, wait_with_deadline, NULL), 0);
  sched_yield();
  pthread_mutex_lock(&mutex);
  flag = 1;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
  for (int i = 0; i < 20; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  printf("woken long before the deadline\n");
  return 0;
}
