// SPDX-License-Identifier: BSL-1.0
// Asynchronous cancellation: of a thread that computes, that waits for a mutex, that is ready but does not run, that enables it only
// later; of itself; of one that has not begun. Nobody else may be hit, however often threads change places.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <unistd.h>

#include "check.h"

static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER, mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static int cleaned, reached, stop, enabled;

static void arrive(void) { __atomic_add_fetch(&reached, 1, __ATOMIC_SEQ_CST); }
static void clean(void* unlock) {
  if (unlock != NULL) CHECK_EQ(pthread_mutex_unlock(unlock), 0);
  __atomic_add_fetch(&cleaned, 1, __ATOMIC_SEQ_CST);
}
static void at_once(void) { CHECK_EQ(pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL), 0); }

static void* computes(void* argument) {
  pthread_cleanup_push(clean, NULL);
  at_once();
  arrive();
  for (volatile long n = 0;; ++n) continue;
  pthread_cleanup_pop(0);
  return argument;
}
static void* yields(void* argument) {
  pthread_cleanup_push(clean, NULL);
  at_once();
  arrive();
  for (;;) sched_yield();
  pthread_cleanup_pop(0);
  return argument;
}
static void* waits_for_mutex(void* argument) {
  pthread_cleanup_push(clean, NULL);
  at_once();
  arrive();
  pthread_mutex_lock(&held);
  pthread_cleanup_pop(0);
  return argument;
}
static void* waits_for_condition(void* argument) {
  CHECK_EQ(pthread_mutex_lock(&mutex), 0);
  pthread_cleanup_push(clean, &mutex);
  at_once();
  arrive();
  for (;;) pthread_cond_wait(&never, &mutex);
  pthread_cleanup_pop(0);
  return argument;
}
static void* sleeps(void* argument) {
  pthread_cleanup_push(clean, NULL);
  at_once();
  arrive();
  for (;;) pause();
  pthread_cleanup_pop(0);
  return argument;
}
static void* allows_it_later(void* argument) {
  pthread_cleanup_push(clean, NULL);
  CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL), 0);
  at_once();
  arrive();
  while (!__atomic_load_n(&enabled, __ATOMIC_SEQ_CST)) continue;
  arrive();
  CHECK_EQ(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL), 0);
  for (;;) continue;
  pthread_cleanup_pop(0);
  return argument;
}
static void* deferred(void* argument) {  // computes through many requests of others' and its own
  arrive();
  while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) continue;
  return argument;
}
static void* itself_at_once(void* argument) {
  pthread_cleanup_push(clean, NULL);
  at_once();
  CHECK_EQ(pthread_cancel(pthread_self()), 0);
  abort();
  pthread_cleanup_pop(0);
  return argument;
}
static void* itself_later(void* argument) {
  pthread_cleanup_push(clean, NULL);
  CHECK_EQ(pthread_cancel(pthread_self()), 0);
  arrive();
  pthread_testcancel();
  abort();
  pthread_cleanup_pop(0);
  return argument;
}
static void* never_begins(void* argument) {
  pthread_testcancel();
  return argument;
}

static void wait_until_reached(int n) {
  while (__atomic_load_n(&reached, __ATOMIC_SEQ_CST) < n) sched_yield();
}
static void expect_cancelled(pthread_t thread) {
  void* result = NULL;
  CHECK_EQ(pthread_join(thread, &result), 0);
  CHECK(result == PTHREAD_CANCELED);
}

int main(void) {
  void* (*const bodies[])(void*) = {computes, yields, waits_for_mutex, waits_for_condition, sleeps};
  const char* const names[] = {"computing", "yielding", "mutex", "condition", "pause"};
  enum { kinds = sizeof bodies / sizeof *bodies, rounds = 12, bystanders = 3 };
  pthread_t thread, bystander[bystanders];
  CHECK_EQ(pthread_mutex_lock(&held), 0);
  for (int i = 0; i < bystanders; ++i) CHECK_EQ(pthread_create(&bystander[i], NULL, deferred, bystander), 0);
  wait_until_reached(bystanders);
  for (int kind = 0; kind < kinds; ++kind) {
    cleaned = reached = 0;
    for (int i = 0; i < rounds; ++i) {
      CHECK_EQ(pthread_create(&thread, NULL, bodies[kind], NULL), 0);
      wait_until_reached(i + 1);
      for (int turn = 0; i % 3 == 2 && turn < 10; ++turn) sched_yield();
      CHECK_EQ(pthread_cancel(thread), 0);
      expect_cancelled(thread);
    }
    printf("%s: %d cancelled, %d cleaned up\n", names[kind], rounds, cleaned);
  }
  CHECK_EQ(pthread_mutex_trylock(&mutex), 0);

  cleaned = reached = 0;
  CHECK_EQ(pthread_create(&thread, NULL, allows_it_later, NULL), 0);
  wait_until_reached(1);
  CHECK_EQ(pthread_cancel(thread), 0);
  __atomic_store_n(&enabled, 1, __ATOMIC_SEQ_CST);
  expect_cancelled(thread);
  printf("allowed later: %d cleaned up, went on before: %d\n", cleaned, reached == 2);

  cleaned = reached = 0;
  CHECK_EQ(pthread_create(&thread, NULL, itself_at_once, NULL), 0);
  expect_cancelled(thread);
  CHECK_EQ(pthread_create(&thread, NULL, itself_later, NULL), 0);
  expect_cancelled(thread);
  for (int i = 0; i < rounds; ++i) {
    CHECK_EQ(pthread_create(&thread, NULL, never_begins, NULL), 0);
    CHECK_EQ(pthread_cancel(thread), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
  }
  printf("itself: %d cleaned up, went on before: %d\n", cleaned, reached);

  CHECK_EQ(pthread_cancel(bystander[0]), 0);  // it has no cancellation point
  __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
  for (int i = 0; i < bystanders; ++i) {
    void* result = NULL;
    CHECK_EQ(pthread_join(bystander[i], &result), 0);
    CHECK(result == bystander);
  }
  puts("bystanders: unharmed");
  return 0;
}
