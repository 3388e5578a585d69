// SPDX-License-Identifier: BSL-1.0
// The rest of what threads wait on: semaphores, pthread_once, barriers, reader-writer locks, spin locks, and the C11 threads of
// <threads.h>. Some of these Weft replaces, some go to libc and are rescued; a program must not be able to tell.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <threads.h>
#include <time.h>

#include "check.h"

// What is not replaced waits in the kernel and is rescued, which takes milliseconds: fewer rounds of that.
enum { count = 12, rounds = 500, rescued_rounds = 60 };

static void run_all(void* (*body)(void*)) {
  pthread_t thread[count];
  for (long i = 0; i < count; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, body, (void*)i), 0);
  for (int i = 0; i < count; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
}

static sem_t tokens, first, second;
static int inside, most_inside;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void* at_most_three(void* unused) {
  (void)unused;
  for (int i = 0; i < rounds; ++i) {
    CHECK_EQ(sem_wait(&tokens), 0);
    pthread_mutex_lock(&mutex);
    if (++inside > most_inside) most_inside = inside;
    pthread_mutex_unlock(&mutex);
    sched_yield();
    pthread_mutex_lock(&mutex);
    --inside;
    pthread_mutex_unlock(&mutex);
    CHECK_EQ(sem_post(&tokens), 0);
  }
  return NULL;
}

static void* answer(void* unused) {
  (void)unused;
  for (int i = 0; i < rounds * 10; ++i) {
    CHECK_EQ(sem_wait(&first), 0);
    CHECK_EQ(sem_post(&second), 0);
  }
  return NULL;
}

static void semaphores(void) {
  CHECK_EQ(sem_init(&tokens, 0, 3), 0);
  CHECK_EQ(sem_init(&first, 0, 0), 0);
  CHECK_EQ(sem_init(&second, 0, 0), 0);
  run_all(at_most_three);
  CHECK(most_inside <= 3);
  int value = -1;
  CHECK_EQ(sem_getvalue(&tokens, &value), 0);
  CHECK_EQ(value, 3);
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, answer, NULL), 0);
  for (int i = 0; i < rounds * 10; ++i) {
    CHECK_EQ(sem_post(&first), 0);
    CHECK_EQ(sem_wait(&second), 0);
  }
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK(sem_trywait(&first) == -1 && errno == EAGAIN);
  struct timespec deadline;
  clock_gettime(CLOCK_REALTIME, &deadline);
  CHECK(sem_timedwait(&first, &deadline) == -1 && errno == ETIMEDOUT);
  clock_gettime(CLOCK_MONOTONIC, &deadline);
  deadline.tv_sec += 60;
  CHECK_EQ(sem_post(&first), 0);
  CHECK_EQ(sem_clockwait(&first, CLOCK_MONOTONIC, &deadline), 0);
  deadline.tv_nsec = 1000000000;
  CHECK(sem_timedwait(&first, &deadline) == -1 && errno == EINVAL);
  CHECK_EQ(sem_destroy(&first) | sem_destroy(&second) | sem_destroy(&tokens), 0);
  printf("semaphores: right\n");
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_runs;
static void run_once(void) {
  for (int i = 0; i < 20; ++i) sched_yield();  // the others arrive and have to wait
  ++once_runs;
}
static void* ask_once(void* unused) {
  (void)unused;
  CHECK_EQ(pthread_once(&once, run_once), 0);
  CHECK_EQ(once_runs, 1);
  return NULL;
}

static pthread_barrier_t barrier;
static int arrived[rescued_rounds], serial[rescued_rounds];
static void* meet(void* unused) {
  (void)unused;
  for (int i = 0; i < rescued_rounds; ++i) {
    __atomic_add_fetch(&arrived[i], 1, __ATOMIC_SEQ_CST);
    const int result = pthread_barrier_wait(&barrier);
    CHECK(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
    CHECK_EQ(__atomic_load_n(&arrived[i], __ATOMIC_SEQ_CST), count);
    if (result != 0) __atomic_add_fetch(&serial[i], 1, __ATOMIC_SEQ_CST);
  }
  return NULL;
}

static pthread_rwlock_t shared = PTHREAD_RWLOCK_INITIALIZER;
static pthread_spinlock_t spin;
static long left, right, spins;
static void* read_and_write(void* argument) {
  for (int i = 0; i < rescued_rounds; ++i) {
    if ((i + (long)argument) % 8 == 0) {
      CHECK_EQ(pthread_rwlock_wrlock(&shared), 0);
      ++left;
      sched_yield();
      ++right;
    } else {
      CHECK_EQ(pthread_rwlock_rdlock(&shared), 0);
      CHECK_EQ(left, right);
    }
    CHECK_EQ(pthread_rwlock_unlock(&shared), 0);
    CHECK_EQ(pthread_spin_lock(&spin), 0);
    ++spins;
    CHECK_EQ(pthread_spin_unlock(&spin), 0);
  }
  return NULL;
}

static mtx_t c_mutex;
static cnd_t c_changed;
static tss_t c_key;
static once_flag c_once = ONCE_FLAG_INIT;
static int c_turn, c_once_runs, c_destroyed;
static void c_run_once(void) { ++c_once_runs; }
static void c_destroy(void* value) {
  mtx_lock(&c_mutex);
  c_destroyed += value != NULL;
  mtx_unlock(&c_mutex);
}
static int c_body(void* argument) {
  const int id = (int)(long)argument;
  call_once(&c_once, c_run_once);
  CHECK_EQ(tss_set(c_key, argument), thrd_success);
  CHECK_EQ(mtx_lock(&c_mutex), thrd_success);
  while (c_turn != id) CHECK_EQ(cnd_wait(&c_changed, &c_mutex), thrd_success);
  --c_turn;
  CHECK_EQ(cnd_broadcast(&c_changed), thrd_success);
  CHECK_EQ(mtx_unlock(&c_mutex), thrd_success);
  thrd_yield();
  const struct timespec short_while = {0, 1000000};
  CHECK_EQ(thrd_sleep(&short_while, NULL), 0);
  CHECK(tss_get(c_key) == argument && thrd_equal(thrd_current(), thrd_current()));
  if (id % 2) thrd_exit(id);
  return id;
}

static void c11_threads(void) {
  thrd_t thread[count];
  CHECK_EQ(mtx_init(&c_mutex, mtx_timed), thrd_success);
  CHECK_EQ(cnd_init(&c_changed), thrd_success);
  CHECK_EQ(tss_create(&c_key, c_destroy), thrd_success);
  c_turn = count;
  for (long i = 1; i <= count; ++i) CHECK_EQ(thrd_create(&thread[i - 1], c_body, (void*)i), thrd_success);
  int sum = 0;
  for (int i = 0; i < count; ++i) {
    int result = 0;
    CHECK_EQ(thrd_join(thread[i], &result), thrd_success);
    sum += result;
  }
  struct timespec past = {1, 0};
  CHECK_EQ(mtx_lock(&c_mutex), thrd_success);
  CHECK_EQ(cnd_timedwait(&c_changed, &c_mutex, &past), thrd_timedout);
  CHECK_EQ(mtx_trylock(&c_mutex), thrd_busy);
  CHECK_EQ(mtx_unlock(&c_mutex), thrd_success);
  printf("C11 threads: sum %d, once %d, %d destructors\n", sum, c_once_runs, c_destroyed);
}

int main(void) {
  semaphores();
  run_all(ask_once);
  printf("once: %d\n", once_runs);
  CHECK_EQ(pthread_barrier_init(&barrier, NULL, count), 0);
  run_all(meet);
  for (int i = 0; i < rescued_rounds; ++i) CHECK_EQ(serial[i], 1);
  CHECK_EQ(pthread_barrier_destroy(&barrier), 0);
  printf("barriers: right\n");
  CHECK_EQ(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE), 0);
  run_all(read_and_write);
  printf("reader-writer and spin locks: %ld %ld %ld\n", left, right, spins);
  c11_threads();
  return 0;
}
