// SPDX-License-Identifier: BSL-1.0
// Every lock in memory that two processes share, with several threads on each side: a child that was forked, which may run threads of its own.
// And named semaphores. The same objects must also work between a process under Weft and one that is not.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { threads = 8, rounds = 100 };

static struct {
  pthread_mutex_t mutex, recursive;
  pthread_cond_t changed;
  pthread_rwlock_t rwlock;
  pthread_barrier_t barrier;
  pthread_spinlock_t spin;
  sem_t tokens;
  long count, recursive_count, left, right, spins, turn, serial, tokens_taken;
}* s;

static void* work(void* raw) {
  const long side = (long)raw;
  for (int i = 0; i < rounds; ++i) {
    CHECK_EQ(pthread_mutex_lock(&s->mutex), 0);
    const long before = s->count;
    if (i % 8 == 0) sched_yield();
    s->count = before + 1;
    CHECK_EQ(pthread_mutex_unlock(&s->mutex), 0);

    CHECK_EQ(pthread_mutex_lock(&s->recursive), 0);
    const long outer = s->recursive_count;
    CHECK_EQ(pthread_mutex_lock(&s->recursive), 0);
    if (i % 8 == 0) sched_yield();
    s->recursive_count = outer + 1;
    CHECK_EQ(pthread_mutex_unlock(&s->recursive), 0);
    CHECK_EQ(pthread_mutex_unlock(&s->recursive), 0);

    if (i % 4 == 0) {
      CHECK_EQ(pthread_rwlock_wrlock(&s->rwlock), 0);
      ++s->left;
      if (i % 8 == 0) sched_yield();
      ++s->right;
    } else {
      CHECK_EQ(pthread_rwlock_rdlock(&s->rwlock), 0);
      CHECK_EQ(s->left, s->right);
    }
    CHECK_EQ(pthread_rwlock_unlock(&s->rwlock), 0);

    CHECK_EQ(pthread_spin_lock(&s->spin), 0);
    ++s->spins;
    CHECK_EQ(pthread_spin_unlock(&s->spin), 0);

    CHECK_EQ(sem_wait(&s->tokens), 0);
    __atomic_add_fetch(&s->tokens_taken, 1, __ATOMIC_SEQ_CST);
    if (i % 8 == 0) sched_yield();
    CHECK_EQ(sem_post(&s->tokens), 0);
  }
  // By turns between the sides.
  for (int i = 0; i < rounds / 10; ++i) {
    CHECK_EQ(pthread_mutex_lock(&s->mutex), 0);
    while (s->turn % 2 != side) CHECK_EQ(pthread_cond_wait(&s->changed, &s->mutex), 0);
    ++s->turn;
    CHECK_EQ(pthread_cond_broadcast(&s->changed), 0);
    CHECK_EQ(pthread_mutex_unlock(&s->mutex), 0);
  }
  for (int i = 0; i < 5; ++i) {
    const int result = pthread_barrier_wait(&s->barrier);
    CHECK(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
    if (result != 0) __atomic_add_fetch(&s->serial, 1, __ATOMIC_SEQ_CST);
  }
  return NULL;
}

static void both_sides(long side) {
  pthread_t thread[threads];
  for (int i = 0; i < threads; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, work, (void*)side), 0);
  for (int i = 0; i < threads; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
}

static void make_all(void) {
  pthread_mutexattr_t m;
  pthread_condattr_t c;
  pthread_rwlockattr_t r;
  pthread_barrierattr_t b;
  CHECK_EQ(pthread_mutexattr_init(&m) | pthread_condattr_init(&c) | pthread_rwlockattr_init(&r) | pthread_barrierattr_init(&b), 0);
  CHECK_EQ(pthread_mutexattr_setpshared(&m, PTHREAD_PROCESS_SHARED), 0);
  CHECK_EQ(pthread_condattr_setpshared(&c, PTHREAD_PROCESS_SHARED), 0);
  CHECK_EQ(pthread_rwlockattr_setpshared(&r, PTHREAD_PROCESS_SHARED), 0);
  CHECK_EQ(pthread_barrierattr_setpshared(&b, PTHREAD_PROCESS_SHARED), 0);
  CHECK_EQ(pthread_mutex_init(&s->mutex, &m), 0);
  CHECK_EQ(pthread_mutexattr_settype(&m, PTHREAD_MUTEX_RECURSIVE), 0);
  CHECK_EQ(pthread_mutex_init(&s->recursive, &m), 0);
  CHECK_EQ(pthread_cond_init(&s->changed, &c), 0);
  CHECK_EQ(pthread_rwlock_init(&s->rwlock, &r), 0);
  CHECK_EQ(pthread_barrier_init(&s->barrier, &b, 2 * threads), 0);
  CHECK_EQ(pthread_barrier_init(&s->barrier, &b, 0), EINVAL);
  CHECK_EQ(pthread_spin_init(&s->spin, PTHREAD_PROCESS_SHARED), 0);
  CHECK_EQ(sem_init(&s->tokens, 1, 3), 0);
}

static void* nothing(void* unused) { return unused; }

static void* take_named(void* raw) {
  CHECK_EQ(sem_wait(raw), 0);
  return NULL;
}

static void named(void) {
  char name[64];
  snprintf(name, sizeof name, "/weft-test-%d", (int)getpid());
  CHECK(sem_open(name, 0) == SEM_FAILED && errno == ENOENT);
  sem_t* one = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
  CHECK(one != SEM_FAILED);
  CHECK(sem_open(name, O_CREAT | O_EXCL, 0600, 0) == SEM_FAILED && errno == EEXIST);
  sem_t* same = sem_open(name, 0);
  CHECK(same == one);
  pthread_t waiter;
  CHECK_EQ(pthread_create(&waiter, NULL, take_named, one), 0);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    sem_t* again = sem_open(name, 0);
    CHECK(again != SEM_FAILED);
    CHECK_EQ(sem_post(again), 0);
    CHECK_EQ(sem_post(again), 0);
    _exit(0);
  }
  CHECK_EQ(sem_wait(one), 0);
  CHECK_EQ(pthread_join(waiter, NULL), 0);
  int status = -1, value = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(sem_getvalue(one, &value) == 0 && value == 0);
  CHECK(sem_trywait(one) == -1 && errno == EAGAIN);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  CHECK(sem_timedwait(one, &now) == -1 && errno == ETIMEDOUT);
  now.tv_nsec = -1;
  CHECK(sem_timedwait(one, &now) == -1 && errno == EINVAL);
  CHECK_EQ(sem_unlink(name), 0);
  CHECK(sem_unlink(name) == -1 && errno == ENOENT);
  CHECK_EQ(sem_close(one) | sem_close(same), 0);
  printf("named semaphores: right\n");
}

int main(void) {
  pthread_t first;
  CHECK_EQ(pthread_create(&first, NULL, nothing, NULL), 0);
  CHECK_EQ(pthread_join(first, NULL), 0);
  s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(s != MAP_FAILED);
  make_all();
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    both_sides(1);
    _exit(0);
  }
  both_sides(0);
  int status = -1, value = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK_EQ(sem_getvalue(&s->tokens, &value), 0);
  printf("between processes: %ld %ld %ld %ld %ld %ld %ld %ld %d\n", s->count, s->recursive_count, s->left, s->right, s->spins, s->turn,
         s->serial, s->tokens_taken, value);
  CHECK_EQ(pthread_barrier_destroy(&s->barrier) | pthread_rwlock_destroy(&s->rwlock) | pthread_cond_destroy(&s->changed) |
               pthread_mutex_destroy(&s->mutex) | sem_destroy(&s->tokens),
           0);
  named();
  return 0;
}
