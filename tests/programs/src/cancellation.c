// SPDX-License-Identifier: BSL-1.0
// pthread_cancel of threads in every kind of cancellation point: parked by the runtime, blocked in the kernel, computing between
// pthread_testcancel calls, or not there yet. Cleanup handlers run, a condition's mutex is locked in them, a disabled thread lives on.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <unistd.h>

#include "check.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static sem_t nothing;
static int empty[2];
static int cleaned, reached, requested;

static void arrive(void) { __atomic_add_fetch(&reached, 1, __ATOMIC_SEQ_CST); }
static void clean(void* unlock) {
  if (unlock != NULL) CHECK_EQ(pthread_mutex_unlock(unlock), 0);
  __atomic_add_fetch(&cleaned, 1, __ATOMIC_SEQ_CST);
}

static void* in_sleep(void* argument) {
  pthread_cleanup_push(clean, NULL);
  arrive();
  sleep(1000);
  pthread_cleanup_pop(0);
  return argument;
}
static void* in_condition(void* argument) {
  CHECK_EQ(pthread_mutex_lock(&mutex), 0);
  pthread_cleanup_push(clean, &mutex);
  arrive();
  for (;;) pthread_cond_wait(&never, &mutex);
  pthread_cleanup_pop(0);
  return argument;
}
static void* in_semaphore(void* argument) {
  pthread_cleanup_push(clean, NULL);
  arrive();
  sem_wait(&nothing);
  pthread_cleanup_pop(0);
  return argument;
}
static void* in_read(void* argument) {
  char byte;
  pthread_cleanup_push(clean, NULL);
  arrive();
  CHECK_EQ(read(empty[0], &byte, 1), 1);
  pthread_cleanup_pop(0);
  return argument;
}
static pthread_t joined;
static void* in_join(void* argument) {
  pthread_cleanup_push(clean, NULL);
  arrive();
  pthread_join(joined, NULL);
  pthread_cleanup_pop(0);
  return argument;
}
static void* computing(void* argument) {
  pthread_cleanup_push(clean, NULL);
  arrive();
  for (;;) pthread_testcancel();
  pthread_cleanup_pop(0);
  return argument;
}
static void* disabled(void* argument) {
  CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), 0);
  arrive();
  while (!__atomic_load_n(&requested, __ATOMIC_SEQ_CST)) sched_yield();
  usleep(1000);
  pthread_testcancel();
  return argument;
}

int main(void) {
  void* (*const bodies[])(void*) = {in_sleep, in_condition, in_semaphore, in_read, in_join, computing};
  const char* const names[] = {"sleep", "condition", "semaphore", "read", "join", "loop"};
  enum { kinds = sizeof bodies / sizeof *bodies, rounds = 40 };
  CHECK_EQ(sem_init(&nothing, 0, 0), 0);
  CHECK_EQ(pipe(empty), 0);
  CHECK_EQ(pthread_create(&joined, NULL, in_sleep, NULL), 0);
  while (__atomic_load_n(&reached, __ATOMIC_SEQ_CST) == 0) sched_yield();
  for (int kind = 0; kind < kinds; ++kind) {
    cleaned = reached = 0;
    for (int i = 0; i < rounds; ++i) {
      pthread_t thread;
      void* result = NULL;
      CHECK_EQ(pthread_create(&thread, NULL, bodies[kind], &nothing), 0);
      // At once, as soon as it has begun, or when it has had every chance to block.
      while (i % 3 != 0 && __atomic_load_n(&reached, __ATOMIC_SEQ_CST) <= i) sched_yield();
      for (int turn = 0; i % 3 == 2 && turn < 10; ++turn) sched_yield();
      if (i % 3 == 0) __atomic_store_n(&reached, i + 1, __ATOMIC_SEQ_CST);
      CHECK_EQ(pthread_cancel(thread), 0);
      CHECK_EQ(pthread_join(thread, &result), 0);
      CHECK(result == PTHREAD_CANCELED);
      __atomic_store_n(&reached, i + 1, __ATOMIC_SEQ_CST);
    }
    CHECK(cleaned >= rounds * 2 / 3 - 1);
    printf("%s: %d cancelled\n", names[kind], rounds);
  }

  pthread_t thread;
  void* result = NULL;
  reached = 0;
  CHECK_EQ(pthread_create(&thread, NULL, disabled, &nothing), 0);
  while (__atomic_load_n(&reached, __ATOMIC_SEQ_CST) == 0) sched_yield();
  CHECK_EQ(pthread_cancel(thread), 0);
  __atomic_store_n(&requested, 1, __ATOMIC_SEQ_CST);
  CHECK_EQ(pthread_join(thread, &result), 0);
  CHECK(result == &nothing);
  CHECK_EQ(pthread_cancel(joined), 0);  // still joinable, although forty who joined it were cancelled
  CHECK_EQ(pthread_join(joined, &result), 0);
  CHECK(result == PTHREAD_CANCELED);
  CHECK_EQ(pthread_mutex_trylock(&mutex), 0);
  puts("disabled: lived on");
  return 0;
}
