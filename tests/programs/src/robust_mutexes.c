// SPDX-License-Identifier: BSL-1.0
// Mutexes with protocols: robust ones (their owner ends, as a thread or as a process), priority inheritance, ceilings. Private, and
// shared between processes, in memory that is shared and in memory that is not.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { crowd = 40 };
static pthread_mutex_t* m;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void make(pthread_mutex_t* mutex, int type, int robust, int protocol, int shared) {
  pthread_mutexattr_t a;
  CHECK_EQ(pthread_mutexattr_init(&a), 0);
  CHECK_EQ(pthread_mutexattr_settype(&a, type), 0);
  CHECK_EQ(pthread_mutexattr_setrobust(&a, robust), 0);
  CHECK_EQ(pthread_mutexattr_setprotocol(&a, protocol), 0);
  CHECK_EQ(pthread_mutexattr_setpshared(&a, shared), 0);
  CHECK_EQ(pthread_mutex_init(mutex, &a), 0);
  CHECK_EQ(pthread_mutexattr_destroy(&a), 0);
}

static struct timespec in_ms(long ms) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  t.tv_nsec += ms * 1000000;
  t.tv_sec += t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  return t;
}

static void* lock_and_end(void* unused) {
  (void)unused;
  CHECK_EQ(pthread_mutex_lock(m), 0);
  sched_yield();
  return NULL;
}
static void* lock_and_exit(void* unused) {
  (void)unused;
  CHECK_EQ(pthread_mutex_lock(m), 0);
  pthread_exit(NULL);
}
static void run(void* (*body)(void*), void* argument) {
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, body, argument), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
}
static void* not_mine(void* unused) {
  (void)unused;
  CHECK_EQ(pthread_mutex_unlock(m), EPERM);
  CHECK_EQ(pthread_mutex_trylock(m), EBUSY);
  const struct timespec soon = in_ms(20);
  CHECK_EQ(pthread_mutex_timedlock(m, &soon), ETIMEDOUT);
  return NULL;
}

static int told, count;
// Everybody wants it; whoever is told repairs it, and every fourth ends with it.
static void* pass_on(void* number) {
  const int error = pthread_mutex_lock(m);
  if (error == EOWNERDEAD) {
    ++told;
    CHECK_EQ(pthread_mutex_consistent(m), 0);
  } else {
    CHECK_EQ(error, 0);
  }
  const int before = count;
  sched_yield();
  count = before + 1;
  if ((long)number % 4 == 0) return NULL;
  CHECK_EQ(pthread_mutex_unlock(m), 0);
  return NULL;
}
static void* find_lost(void* unused) {
  (void)unused;
  CHECK_EQ(pthread_mutex_lock(m), ENOTRECOVERABLE);
  return NULL;
}
static void* hold_for_a_while(void* unused) {
  (void)unused;
  CHECK_EQ(pthread_mutex_lock(m), 0);
  usleep(30000);
  return NULL;
}

static void robust(const char* name, int type) {
  CHECK_EQ(pthread_mutex_consistent(m), EINVAL);
  CHECK_EQ(pthread_mutex_lock(m), 0);
  CHECK_EQ(pthread_mutex_consistent(m), EINVAL);
  if (type == PTHREAD_MUTEX_ERRORCHECK) CHECK_EQ(pthread_mutex_lock(m), EDEADLK);
  if (type == PTHREAD_MUTEX_RECURSIVE) {
    CHECK_EQ(pthread_mutex_lock(m), 0);
    CHECK_EQ(pthread_mutex_unlock(m), 0);
  }
  run(not_mine, NULL);
  CHECK_EQ(pthread_mutex_unlock(m), 0);
  CHECK_EQ(pthread_mutex_unlock(m), EPERM);

  run(lock_and_end, NULL);
  CHECK_EQ(pthread_mutex_trylock(m), EOWNERDEAD);
  CHECK_EQ(pthread_mutex_consistent(m), 0);
  CHECK_EQ(pthread_mutex_consistent(m), EINVAL);
  CHECK_EQ(pthread_mutex_unlock(m), 0);
  CHECK_EQ(pthread_mutex_lock(m), 0);
  CHECK_EQ(pthread_mutex_unlock(m), 0);

  pthread_t thread[crowd];
  CHECK_EQ(pthread_mutex_lock(m), 0);
  told = count = 0;
  for (long i = 0; i < crowd; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, pass_on, (void*)i), 0);
  usleep(20000);
  CHECK_EQ(pthread_mutex_unlock(m), 0);
  for (int i = 0; i < crowd; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  int error = pthread_mutex_lock(m);
  if (error == EOWNERDEAD) {
    ++told;
    CHECK_EQ(pthread_mutex_consistent(m), 0);
  }
  CHECK_EQ(told, crowd / 4);
  CHECK_EQ(count, crowd);
  CHECK_EQ(pthread_mutex_unlock(m), 0);

  // Somebody waits while the owner ends.
  CHECK_EQ(pthread_create(&thread[0], NULL, hold_for_a_while, NULL), 0);
  while ((error = pthread_mutex_trylock(m)) == 0) {
    CHECK_EQ(pthread_mutex_unlock(m), 0);
    sched_yield();
  }
  const struct timespec late = in_ms(60000);
  CHECK_EQ(pthread_mutex_timedlock(m, &late), EOWNERDEAD);
  CHECK_EQ(pthread_join(thread[0], NULL), 0);
  CHECK_EQ(pthread_mutex_consistent(m), 0);
  CHECK_EQ(pthread_mutex_unlock(m), 0);

  run(lock_and_exit, NULL);
  CHECK_EQ(pthread_mutex_lock(m), EOWNERDEAD);
  // One only: glibc 2.36 forgets further waiters of a private mutex.
  CHECK_EQ(pthread_create(&thread[0], NULL, find_lost, NULL), 0);
  usleep(20000);
  CHECK_EQ(pthread_mutex_unlock(m), 0);  // without having been made consistent
  CHECK_EQ(pthread_join(thread[0], NULL), 0);
  CHECK_EQ(pthread_mutex_lock(m), ENOTRECOVERABLE);
  CHECK_EQ(pthread_mutex_trylock(m), ENOTRECOVERABLE);
  CHECK_EQ(pthread_mutex_destroy(m), 0);
  printf("%s: %d told\n", name, told);
}

static void* die_in_the_wait(void* unused) {
  (void)unused;
  CHECK_EQ(pthread_mutex_lock(m), 0);
  CHECK_EQ(pthread_cond_signal(&changed), 0);
  return NULL;
}
static void condition(void) {
  pthread_t thread;
  CHECK_EQ(pthread_cond_wait(&changed, m), EPERM);
  CHECK_EQ(pthread_mutex_lock(m), 0);
  CHECK_EQ(pthread_create(&thread, NULL, die_in_the_wait, NULL), 0);
  CHECK_EQ(pthread_cond_wait(&changed, m), EOWNERDEAD);
  CHECK_EQ(pthread_mutex_consistent(m), 0);
  CHECK_EQ(pthread_mutex_unlock(m), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(pthread_mutex_destroy(m), 0);
  printf("condition: told\n");
}

static void process_dies(void) {
  for (int i = 0; i < 3; ++i) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      if (i == 0) {
        CHECK_EQ(pthread_mutex_lock(m), 0);
      } else {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, lock_and_end, NULL), 0);
        if (i == 2) CHECK_EQ(pthread_join(thread, NULL), 0);
        while (i == 1 && pthread_mutex_trylock(m) == 0) CHECK_EQ(pthread_mutex_unlock(m), 0);
      }
      _exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK_EQ(pthread_mutex_lock(m), EOWNERDEAD);
    CHECK_EQ(pthread_mutex_consistent(m), 0);
    CHECK_EQ(pthread_mutex_unlock(m), 0);
  }
  printf("processes: told\n");
}

static void* increment(void* unused) {
  (void)unused;
  for (int i = 0; i < 200; ++i) {
    CHECK_EQ(pthread_mutex_lock(m), 0);
    const int before = count;
    if (i % 16 == 0) sched_yield();
    count = before + 1;
    CHECK_EQ(pthread_mutex_unlock(m), 0);
  }
  return NULL;
}
static void inheritance(const char* name) {
  pthread_t thread[8];
  count = 0;
  for (int i = 0; i < 8; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, increment, NULL), 0);
  for (int i = 0; i < 8; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  CHECK_EQ(count, 1600);
  int ceiling = 0;
  CHECK_EQ(pthread_mutex_getprioceiling(m, &ceiling), EINVAL);
  CHECK_EQ(pthread_mutex_destroy(m), 0);
  printf("%s: %d\n", name, count);
}

static void* ceilings(void* unused) {
  (void)unused;
  pthread_mutexattr_t a;
  int value = 0, old = 0;
  CHECK_EQ(pthread_mutexattr_init(&a), 0);
  CHECK_EQ(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_PROTECT), 0);
  CHECK_EQ(pthread_mutexattr_setprioceiling(&a, 200), EINVAL);
  CHECK_EQ(pthread_mutexattr_setprioceiling(&a, 10), 0);
  CHECK_EQ(pthread_mutex_init(m, &a), 0);
  CHECK_EQ(pthread_mutex_getprioceiling(m, &value), 0);
  CHECK_EQ(value, 10);
  CHECK_EQ(pthread_mutex_lock(m), EINVAL);
  CHECK_EQ(pthread_mutex_setprioceiling(m, 20, &old), 0);
  CHECK_EQ(old, 10);
  CHECK_EQ(pthread_mutex_getprioceiling(m, &value), 0);
  CHECK_EQ(value, 20);
  CHECK_EQ(pthread_mutex_destroy(m), 0);
  printf("ceiling: %d\n", value);
  return NULL;
}

int main(void) {
  static pthread_mutex_t here;
  const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_RECURSIVE};
  const char* const names[] = {"normal", "error-checking", "recursive"};
  pthread_mutex_t* there = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(there != MAP_FAILED);
  for (int where = 0; where < 3; ++where) {
    m = where == 2 ? there : &here;
    const int shared = where == 0 ? PTHREAD_PROCESS_PRIVATE : PTHREAD_PROCESS_SHARED;
    for (int i = 0; i < 3; ++i) {
      make(m, types[i], PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE, shared);
      robust(names[i], types[i]);
    }
    make(m, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE, shared);
    condition();
    make(m, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT, shared);
    inheritance("inheriting");
    make(m, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_INHERIT, shared);
    inheritance("inheriting and robust");
  }
  make(m, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST, PTHREAD_PRIO_NONE, PTHREAD_PROCESS_SHARED);
  process_dies();
  m = &here;
  run(ceilings, NULL);
  return 0;
}
