// SPDX-License-Identifier: BSL-1.0
// Threads that wait by looking again and again: with sched_yield, and with nothing at all, more of them than there are CPUs. Only
// a scheduler that takes the CPU away lets the thread they wait for run. Also a lock of their own making.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>

#include "check.h"

enum { count = 8, turns = 40 };

static int turn;

static void* with_yield(void* argument) {
  for (int i = 0; i < turns * 25; ++i) {
    const int mine = i * count + (int)(long)argument;
    while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != mine) sched_yield();
    __atomic_store_n(&turn, mine + 1, __ATOMIC_RELEASE);
  }
  return NULL;
}

static void* with_nothing(void* argument) {
  // Each hand-over may take a whole slice of every other thread, natively too: few of them.
  for (int i = 0; i < turns / 20; ++i) {
    const int mine = i * count + (int)(long)argument;
    while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != mine) {
    }
    __atomic_store_n(&turn, mine + 1, __ATOMIC_RELEASE);
  }
  return NULL;
}

static int held;
static long counter;
static void* with_own_lock(void* unused) {
  (void)unused;
  for (int i = 0; i < 20000; ++i) {
    for (int tries = 0; __atomic_exchange_n(&held, 1, __ATOMIC_ACQUIRE); ++tries)
      if (tries % 100 == 99) sched_yield();
    ++counter;
    __atomic_store_n(&held, 0, __ATOMIC_RELEASE);
  }
  return NULL;
}

static void run(void* (*body)(void*)) {
  pthread_t thread[count];
  turn = 0;
  for (long i = 0; i < count; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, body, (void*)i), 0);
  for (int i = 0; i < count; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
}

static int flag;
static void* raise_flag(void* unused) {
  (void)unused;
  __atomic_store_n(&flag, 1, __ATOMIC_RELEASE);
  return NULL;
}

int main(void) {
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, raise_flag, NULL), 0);
  while (!__atomic_load_n(&flag, __ATOMIC_ACQUIRE)) {
  }
  CHECK_EQ(pthread_join(thread, NULL), 0);
  printf("main saw the flag\n");
  run(with_yield);
  printf("with sched_yield: %d turns\n", turn);
  run(with_nothing);
  printf("with nothing: %d turns\n", turn);
  run(with_own_lock);
  printf("with a lock of their own: %ld\n", counter);
  return 0;
}
