// SPDX-License-Identifier: BSL-1.0
// Reader-writer locks of every kind: readers together, writers alone, who goes first, timeouts on both clocks, and the errors
// that a program can get. Ownership must belong to the thread.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { threads = 24, rounds = 3000 };

static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_rwlock_t strict = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
static long left, right, writes;

static struct timespec in_ms(clockid_t clock, long ms) {
  struct timespec t;
  clock_gettime(clock, &t);
  t.tv_nsec += ms * 1000000;
  t.tv_sec += t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  return t;
}

static void run_all(void* (*body)(void*), void* argument) {
  pthread_t thread[threads];
  for (int i = 0; i < threads; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, body, argument), 0);
  for (int i = 0; i < threads; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
}

// Every way in, in turns; what is inside is plain.
static void* hammer(void* raw) {
  pthread_rwlock_t* l = raw;
  unsigned dice = (unsigned)(size_t)&dice >> 6 | 1;
  for (int i = 0; i < rounds; ++i) {
    dice = dice * 1103515245 + 12345;
    const unsigned what = dice >> 16 & 15;
    const struct timespec soon = in_ms(CLOCK_REALTIME, 1), soon_steady = in_ms(CLOCK_MONOTONIC, 1);
    int error;
    if (what < 2) {
      error = what == 0 ? pthread_rwlock_wrlock(l) : pthread_rwlock_clockwrlock(l, CLOCK_MONOTONIC, &soon_steady);
    } else if (what == 2) {
      error = pthread_rwlock_trywrlock(l);
    } else if (what == 3) {
      error = pthread_rwlock_timedwrlock(l, &soon);
    } else if (what < 8) {
      error = pthread_rwlock_rdlock(l);
    } else if (what < 10) {
      error = pthread_rwlock_tryrdlock(l);
    } else if (what < 12) {
      error = pthread_rwlock_timedrdlock(l, &soon);
    } else {
      error = pthread_rwlock_clockrdlock(l, CLOCK_MONOTONIC, &soon_steady);
    }
    if (error != 0) {
      CHECK(what != 0 && (what < 4 || what >= 8));
      CHECK_EQ(error, what == 2 || what == 8 || what == 9 ? EBUSY : ETIMEDOUT);
      continue;
    }
    if (what < 4) {
      ++left;
      if (i % 8 == 0) sched_yield();
      ++right;
      __atomic_add_fetch(&writes, 1, __ATOMIC_RELAXED);
    } else {
      CHECK_EQ(left, right);
      if (i % 8 == 0) sched_yield();
      CHECK_EQ(left, right);
    }
    CHECK_EQ(pthread_rwlock_unlock(l), 0);
  }
  return NULL;
}

static void exclusion(const char* name, pthread_rwlock_t* l) {
  left = right = writes = 0;
  run_all(hammer, l);
  CHECK(left == right && left == writes && writes > 0);
  CHECK_EQ(pthread_rwlock_trywrlock(l), 0);  // nothing is left of anybody
  CHECK_EQ(pthread_rwlock_unlock(l), 0);
  CHECK_EQ(pthread_rwlock_destroy(l), 0);
  printf("%s: exclusive\n", name);
}

static void* find_written(void* unused) {
  (void)unused;
  const struct timespec past = {1, 0}, wrong = {1, 1000000000}, negative = {1, -1}, soon = in_ms(CLOCK_REALTIME, 20);
  CHECK_EQ(pthread_rwlock_tryrdlock(&lock), EBUSY);
  CHECK_EQ(pthread_rwlock_trywrlock(&lock), EBUSY);
  CHECK_EQ(pthread_rwlock_timedrdlock(&lock, &past), ETIMEDOUT);
  CHECK_EQ(pthread_rwlock_timedwrlock(&lock, &past), ETIMEDOUT);
  CHECK_EQ(pthread_rwlock_timedrdlock(&lock, &soon), ETIMEDOUT);
  CHECK_EQ(pthread_rwlock_timedwrlock(&lock, &soon), ETIMEDOUT);
  CHECK_EQ(pthread_rwlock_timedrdlock(&lock, &wrong), EINVAL);
  CHECK_EQ(pthread_rwlock_timedwrlock(&lock, &negative), EINVAL);
  CHECK_EQ(pthread_rwlock_clockrdlock(&lock, CLOCK_PROCESS_CPUTIME_ID, &soon), EINVAL);
  CHECK_EQ(pthread_rwlock_clockwrlock(&lock, 99, &soon), EINVAL);
  return NULL;
}

static void* find_read(void* unused) {
  (void)unused;
  const struct timespec past = {1, 0};
  CHECK_EQ(pthread_rwlock_trywrlock(&lock), EBUSY);
  CHECK_EQ(pthread_rwlock_timedwrlock(&lock, &past), ETIMEDOUT);
  CHECK_EQ(pthread_rwlock_tryrdlock(&lock), 0);
  CHECK_EQ(pthread_rwlock_rdlock(&lock), 0);
  CHECK_EQ(pthread_rwlock_unlock(&lock), 0);
  CHECK_EQ(pthread_rwlock_unlock(&lock), 0);
  return NULL;
}

static void errors(void) {
  pthread_t thread;
  const struct timespec wrong = {1, 1000000000}, past = {1, 0};
  CHECK_EQ(pthread_rwlock_timedrdlock(&lock, &wrong), EINVAL);  // although it is free
  CHECK_EQ(pthread_rwlock_wrlock(&lock), 0);
  CHECK_EQ(pthread_rwlock_rdlock(&lock), EDEADLK);
  CHECK_EQ(pthread_rwlock_wrlock(&lock), EDEADLK);
  CHECK_EQ(pthread_rwlock_timedwrlock(&lock, &past), EDEADLK);
  CHECK_EQ(pthread_rwlock_tryrdlock(&lock), EBUSY);
  CHECK_EQ(pthread_create(&thread, NULL, find_written, NULL), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(pthread_rwlock_unlock(&lock), 0);
  CHECK_EQ(pthread_rwlock_timedrdlock(&lock, &past), 0);  // free: nobody looks at the time
  CHECK_EQ(pthread_create(&thread, NULL, find_read, NULL), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(pthread_rwlock_unlock(&lock), 0);
  printf("errors: right\n");
}

static int order[8], came;
static void* write_in(void* raw) {
  pthread_rwlock_t* l = raw;
  CHECK_EQ(pthread_rwlock_wrlock(l), 0);
  order[__atomic_fetch_add(&came, 1, __ATOMIC_SEQ_CST)] = 'w';
  CHECK_EQ(pthread_rwlock_unlock(l), 0);
  return NULL;
}
static void* read_in(void* raw) {
  pthread_rwlock_t* l = raw;
  CHECK_EQ(pthread_rwlock_rdlock(l), 0);
  order[__atomic_fetch_add(&came, 1, __ATOMIC_SEQ_CST)] = 'r';
  CHECK_EQ(pthread_rwlock_unlock(l), 0);
  return NULL;
}
static void* give_up(void* raw) {
  const struct timespec soon = in_ms(CLOCK_REALTIME, 150);
  CHECK_EQ(pthread_rwlock_timedwrlock(raw, &soon), ETIMEDOUT);
  return NULL;
}

// Main holds a share; a writer waits: may another reader join?
static void preference(const char* name, int kind) {
  pthread_rwlockattr_t attributes;
  pthread_rwlock_t l;
  pthread_t one, two;
  CHECK_EQ(pthread_rwlockattr_init(&attributes), 0);
  CHECK_EQ(pthread_rwlockattr_setkind_np(&attributes, kind), 0);
  CHECK_EQ(pthread_rwlock_init(&l, &attributes), 0);
  came = 0;
  CHECK_EQ(pthread_rwlock_rdlock(&l), 0);
  CHECK_EQ(pthread_create(&one, NULL, write_in, &l), 0);
  usleep(100000);
  const int joins = pthread_rwlock_tryrdlock(&l);
  if (joins == 0) CHECK_EQ(pthread_rwlock_unlock(&l), 0);
  CHECK_EQ(pthread_create(&two, NULL, read_in, &l), 0);
  usleep(100000);
  CHECK_EQ(pthread_rwlock_unlock(&l), 0);
  CHECK_EQ(pthread_join(one, NULL), 0);
  CHECK_EQ(pthread_join(two, NULL), 0);
  printf("%s: tryrdlock behind a waiting writer: %s, order %c%c\n", name, joins == 0 ? "joins" : "EBUSY", order[0], order[1]);
  // A writer that gives up lets the readers behind it in.
  came = 0;
  CHECK_EQ(pthread_rwlock_rdlock(&l), 0);
  CHECK_EQ(pthread_create(&one, NULL, give_up, &l), 0);
  usleep(50000);
  CHECK_EQ(pthread_create(&two, NULL, read_in, &l), 0);
  CHECK_EQ(pthread_join(one, NULL), 0);
  CHECK_EQ(pthread_join(two, NULL), 0);
  CHECK_EQ(came, 1);
  CHECK_EQ(pthread_rwlock_unlock(&l), 0);
  exclusion(name, &l);
}

static volatile sig_atomic_t handled;
static void handle(int signal) { handled += signal == SIGUSR1; }
static void interrupted(void) {
  pthread_t thread;
  const struct sigaction action = {.sa_handler = handle};
  CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
  CHECK_EQ(pthread_rwlock_wrlock(&lock), 0);
  came = 0;
  CHECK_EQ(pthread_create(&thread, NULL, read_in, &lock), 0);
  for (int i = 0; i < 5; ++i) {
    usleep(10000);
    CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
    while (handled == i) usleep(1000);
  }
  CHECK_EQ(came, 0);
  CHECK_EQ(pthread_rwlock_unlock(&lock), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  printf("signals: %d handled while waiting\n", (int)handled);
}

int main(void) {
  errors();
  interrupted();
  exclusion("static", &lock);
  exclusion("static, writers strictly first", &strict);
  preference("readers first", PTHREAD_RWLOCK_PREFER_READER_NP);
  preference("writers first", PTHREAD_RWLOCK_PREFER_WRITER_NP);
  preference("writers strictly first", PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  return 0;
}
