// SPDX-License-Identifier: BSL-1.0
// CPU time of threads: what a thread burns is in its own account, whoever asks and by which call; what it sleeps, waits or is kept
// waiting for is in nobody's. Bounds are wide, because machines differ; natively they hold as well.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

typedef long long ns;
static const ns ms = 1000000;

static ns read_clock(clockid_t clock) {
  struct timespec t;
  CHECK_EQ(clock_gettime(clock, &t), 0);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static ns mine(void) { return read_clock(CLOCK_THREAD_CPUTIME_ID); }
static ns process(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

static volatile unsigned long sink;
static void burn_once(void) {
  for (int i = 0; i < 20000; ++i) sink = sink * 31 + 7;
}
// By its own clock.
static void burn(ns span) {
  for (const ns end = mine() + span; mine() < end;) burn_once();
}

static sem_t started, may_end;
static pthread_barrier_t together;

// How much a loop takes by the thread's own account does not depend on how many others run.
static ns loop_cost(int n) {
  const ns before = mine();
  for (int i = 0; i < n; ++i) {
    burn_once();
    if (i % 8 == 0) sched_yield();
  }
  return mine() - before;
}
static void* cost_in_crowd(void* out) {
  pthread_barrier_wait(&together);
  *(ns*)out = loop_cost(300);
  return NULL;
}

static void* burn_before_anybody_asks(void* spun) {
  struct timespec t;
  CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &t), 0);
  const ns begin = t.tv_sec * 1000000000LL + t.tv_nsec;
  do {
    burn_once();
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &t), 0);
  } while (t.tv_sec * 1000000000LL + t.tv_nsec - begin < 150 * ms);
  // Who asks first: nobody has told the time of this thread before. Most of what the process has used is its doing.
  const ns told = mine(), all = process();
  CHECK(told >= all / 2 && told <= all);
  *(ns*)spun = told;
  sem_post(&started);
  while (sem_wait(&may_end) != 0) CHECK_EQ(errno, EINTR);
  return NULL;
}
static void* sleep_a_lot(void* out) {
  const ns before = mine();
  for (int i = 0; i < 5; ++i) usleep(20000);
  *(ns*)out = mine() - before;
  return NULL;
}
static void* block_in_kernel(void* out) {
  int ends[2];
  char byte;
  CHECK_EQ(pipe(ends), 0);
  const ns before = mine();
  struct timespec pause = {.tv_nsec = 50000000};
  CHECK_EQ(clock_nanosleep(CLOCK_BOOTTIME, 0, &pause, NULL), 0);
  *(ns*)out = mine() - before;
  CHECK_EQ(write(ends[1], "x", 1), 1);
  CHECK_EQ(read(ends[0], &byte, 1), 1);
  return NULL;
}
static void* ask_others_style(void* out) {
  struct rusage usage;
  burn(60 * ms);
  CHECK_EQ(getrusage(RUSAGE_THREAD, &usage), 0);
  *(ns*)out = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000LL + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000LL;
  return NULL;
}

int main(void) {
  pthread_t thread[8];
  ns told[8], other;
  clockid_t clock;
  struct timespec t;
  CHECK_EQ(sem_init(&started, 0, 0) | sem_init(&may_end, 0, 0), 0);

  // Nobody has asked before the first one does.
  CHECK_EQ(pthread_create(&thread[0], NULL, burn_before_anybody_asks, &told[0]), 0);
  CHECK_EQ(sem_wait(&started), 0);
  CHECK_EQ(pthread_getcpuclockid(thread[0], &clock), 0);
  other = read_clock(clock);
  CHECK(other >= told[0] && other <= told[0] + 50 * ms);
  CHECK_EQ(clock_getres(clock, &t), 0);
  CHECK(t.tv_sec == 0 && t.tv_nsec <= 20000000);
  CHECK_EQ(sem_post(&may_end), 0);
  CHECK_EQ(pthread_join(thread[0], NULL), 0);
  CHECK_EQ(clock_gettime(clock, &t), -1);
  CHECK_EQ(errno, EINVAL);
  puts("burning: accounted");

  CHECK_EQ(pthread_create(&thread[0], NULL, sleep_a_lot, &told[0]), 0);
  CHECK_EQ(pthread_create(&thread[1], NULL, block_in_kernel, &told[1]), 0);
  for (int i = 0; i < 2; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  CHECK(told[0] < 40 * ms && told[1] < 30 * ms);
  puts("sleeping: not accounted");

  const ns alone = loop_cost(300), all_before = process();
  CHECK_EQ(pthread_barrier_init(&together, NULL, 8), 0);
  for (int i = 0; i < 8; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, cost_in_crowd, &told[i]), 0);
  ns sum = 0;
  for (int i = 0; i < 8; ++i) {
    CHECK_EQ(pthread_join(thread[i], NULL), 0);
    CHECK(told[i] > alone / 8 && told[i] < alone * 8 + 20 * ms);
    sum += told[i];
  }
  const ns all = process() - all_before;
  CHECK(sum <= all + all / 4 && sum >= all / 4);
  puts("a crowd: each its own");

  const ns before = mine();
  CHECK_EQ(pthread_create(&thread[0], NULL, ask_others_style, &told[0]), 0);
  CHECK_EQ(pthread_join(thread[0], NULL), 0);
  CHECK(told[0] >= 59 * ms && told[0] < 150 * ms);
  CHECK(mine() - before < 30 * ms);
  puts("getrusage: right");

  ns last = mine();
  for (int i = 0; i < 2000; ++i) {
    if (i % 10 == 0) sched_yield();
    const ns now = mine();
    CHECK(now >= last);
    last = now;
  }
  t = (struct timespec){.tv_nsec = 1000};
  CHECK_EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &t, NULL), EINVAL);
  CHECK_EQ(pthread_getcpuclockid(pthread_self(), &clock), 0);
  CHECK(read_clock(clock) >= last);
  puts("monotonic: yes");
  return 0;
}
