// SPDX-License-Identifier: BSL-1.0
// gettid: unique among living threads, the same all life long, main's is the process's. tgkill reaches the thread with that id. And
// what pthread_create's attributes say of guards and signal masks, and the errors of joining.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include "check.h"

enum { count = 60 };
static pid_t ids[count];
static pthread_barrier_t all_here;
static __thread int hits;
static sem_t ready, hit;

static void* keep_id(void* number) {
  const pid_t mine = gettid();
  ids[(long)number] = mine;
  pthread_barrier_wait(&all_here);
  for (int i = 0; i < 50; ++i) {
    sched_yield();
    CHECK_EQ(gettid(), mine);
  }
  if ((long)number == 0) {
    for (int i = 0; i < count; ++i)
      for (int k = 0; k < i; ++k) CHECK(ids[i] != ids[k] && ids[i] != getpid() && ids[i] > 0);
  }
  pthread_barrier_wait(&all_here);
  return NULL;
}

static void on_signal(int number) {
  (void)number;
  ++hits;
  sem_post(&hit);
}
static pid_t target;
static void* be_hit(void* unused) {
  (void)unused;
  __atomic_store_n(&target, gettid(), __ATOMIC_SEQ_CST);
  sem_post(&ready);
  while (__atomic_load_n(&hits, __ATOMIC_SEQ_CST) < 3) usleep(200);
  return NULL;
}

static void* check_mask(void* unused) {
  sigset_t mask;
  CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
  CHECK(sigismember(&mask, SIGUSR2) == 1 && sigismember(&mask, SIGUSR1) == 0);
  return unused;
}
static void* check_guard(void* expected) {
  pthread_attr_t a;
  size_t guard = 1, size = 0;
  void* low = NULL;
  CHECK_EQ(pthread_getattr_np(pthread_self(), &a), 0);
  CHECK_EQ(pthread_attr_getguardsize(&a, &guard), 0);
  CHECK_EQ(guard, ((size_t)expected + 4095) & ~(size_t)4095);
  CHECK_EQ(pthread_attr_getstack(&a, &low, &size), 0);
  CHECK_EQ(pthread_attr_destroy(&a), 0);
  for (size_t at = 0; at < size / 2; at += 512) ((volatile char*)low)[at] = 1;  // all of it is ours
  return NULL;
}

int main(void) {
  pthread_t thread[count];
  CHECK_EQ(gettid(), getpid());
  CHECK_EQ(pthread_barrier_init(&all_here, NULL, count), 0);
  CHECK_EQ(sem_init(&ready, 0, 0) | sem_init(&hit, 0, 0), 0);
  for (long i = 0; i < count; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, keep_id, (void*)i), 0);
  for (int i = 0; i < count; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  CHECK_EQ(gettid(), getpid());
  puts("ids: right");

  signal(SIGUSR1, on_signal);
  CHECK_EQ(pthread_create(&thread[0], NULL, be_hit, NULL), 0);
  CHECK_EQ(sem_wait(&ready), 0);
  for (int i = 0; i < 3; ++i) {
    CHECK_EQ(tgkill(getpid(), target, SIGUSR1), 0);
    while (sem_wait(&hit) != 0) CHECK_EQ(errno, EINTR);
  }
  CHECK_EQ(pthread_join(thread[0], NULL), 0);
  CHECK_EQ(hits, 0);
  CHECK_EQ(tgkill(getpid(), gettid(), SIGUSR1), 0);
  CHECK_EQ(hits, 1);
  CHECK_EQ(tgkill(getpid(), gettid(), 4711), -1);
  CHECK_EQ(errno, EINVAL);
  CHECK_EQ(tgkill(getpid(), target, 0), -1);
  CHECK_EQ(errno, ESRCH);
  puts("tgkill: right");

  pthread_attr_t a;
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR2);
  CHECK_EQ(pthread_attr_init(&a), 0);
  CHECK_EQ(pthread_attr_setsigmask_np(&a, &mask), 0);
  CHECK_EQ(pthread_create(&thread[0], &a, check_mask, NULL), 0);
  CHECK_EQ(pthread_join(thread[0], NULL), 0);
  const size_t guards[] = {0, 4096, 100, 65536, 5000, 1 << 20, 0};
  for (size_t i = 0; i < sizeof guards / sizeof *guards; ++i) {
    CHECK_EQ(pthread_attr_setstacksize(&a, 262144), 0);
    CHECK_EQ(pthread_attr_setguardsize(&a, guards[i]), 0);
    CHECK_EQ(pthread_create(&thread[0], &a, check_guard, (void*)guards[i]), 0);
    CHECK_EQ(pthread_join(thread[0], NULL), 0);
  }
  CHECK_EQ(pthread_attr_destroy(&a), 0);
  puts("attributes: right");

  CHECK_EQ(pthread_tryjoin_np(pthread_self(), NULL), EBUSY);
  CHECK_EQ(pthread_join(pthread_self(), NULL), EDEADLK);
  return 0;
}
