// SPDX-License-Identifier: BSL-1.0
// Creating, joining and detaching: values, attributes, stack sizes and stacks of one's own, timed joins, and the errors that
// POSIX or glibc promise for wrong use.
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>

#include "check.h"

static sem_t finished, may_finish;

static void* give_back(void* argument) { return argument; }

static void* finish_detached(void* unused) {
  (void)unused;
  sem_post(&finished);
  return NULL;
}

static void* wait_to_finish(void* argument) {
  sem_wait(&may_finish);
  return argument;
}

static void values(void) {
  enum { count = 500 };
  pthread_t thread[count];
  long sum = 0;
  for (long i = 0; i < count; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, give_back, (void*)i), 0);
  for (int i = count; i-- > 0;) {
    void* value = NULL;
    CHECK_EQ(pthread_join(thread[i], &value), 0);
    sum += (long)value;
  }
  for (long i = 0; i < 5000; ++i) {
    void* value = NULL;
    CHECK_EQ(pthread_create(&thread[0], NULL, give_back, (void*)i), 0);
    CHECK_EQ(pthread_join(thread[0], &value), 0);
    CHECK_EQ((long)value, i);
  }
  printf("values: %ld\n", sum);
}

static void detached(void) {
  pthread_attr_t attributes;
  pthread_t thread;
  CHECK_EQ(pthread_attr_init(&attributes), 0);
  CHECK_EQ(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED), 0);
  for (int i = 0; i < 500; ++i) CHECK_EQ(pthread_create(&thread, &attributes, finish_detached, NULL), 0);
  for (int i = 0; i < 500; ++i) {
    CHECK_EQ(pthread_create(&thread, NULL, finish_detached, NULL), 0);
    CHECK_EQ(pthread_detach(thread), 0);
  }
  for (int i = 0; i < 1000; ++i) sem_wait(&finished);
  CHECK_EQ(pthread_attr_destroy(&attributes), 0);
  printf("1000 detached threads finished\n");
}

// Uses most of the stack that was asked for, and finds itself inside what pthread_getattr_np reports.
static void* use_stack(void* argument) {
  const size_t size = (size_t)argument, use = size - size / 4 - 8192;
  volatile unsigned char* bytes = __builtin_alloca(use);
  for (size_t i = 0; i < use; i += 512) bytes[i] = (unsigned char)i;
  pthread_attr_t attributes;
  void* lowest = NULL;
  size_t reported = 0;
  CHECK_EQ(pthread_getattr_np(pthread_self(), &attributes), 0);
  CHECK_EQ(pthread_attr_getstack(&attributes, &lowest, &reported), 0);
  CHECK_EQ(pthread_attr_destroy(&attributes), 0);
  CHECK(reported >= size - size / 4);
  CHECK((uintptr_t)bytes >= (uintptr_t)lowest && (uintptr_t)&attributes < (uintptr_t)lowest + reported);
  for (size_t i = 0; i < use; i += 512) CHECK_EQ(bytes[i], (unsigned char)i);
  return NULL;
}

static void stacks(void) {
  const size_t sizes[] = {65536, 131072, 262144, 1 << 20, 8 << 20, 64 << 20};
  pthread_attr_t attributes;
  pthread_t thread;
  CHECK_EQ(pthread_attr_init(&attributes), 0);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
    CHECK_EQ(pthread_attr_setstacksize(&attributes, sizes[i]), 0);
    CHECK_EQ(pthread_create(&thread, &attributes, use_stack, (void*)sizes[i]), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
  }
  CHECK_EQ(pthread_attr_setstacksize(&attributes, 100), EINVAL);
  CHECK_EQ(pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN), 0);
  CHECK_EQ(pthread_create(&thread, &attributes, give_back, NULL), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);

  const size_t own_size = 1 << 20;
  void* own = mmap(NULL, own_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(own != MAP_FAILED);
  CHECK_EQ(pthread_attr_setstack(&attributes, own, own_size), 0);
  for (int i = 0; i < 3; ++i) {
    CHECK_EQ(pthread_create(&thread, &attributes, use_stack, (void*)(own_size / 2)), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
  }
  CHECK_EQ(munmap(own, own_size), 0);
  CHECK_EQ(pthread_attr_destroy(&attributes), 0);

  // More than there is: an error for the caller, not the end of the program.
  CHECK_EQ(pthread_attr_init(&attributes), 0);
  CHECK_EQ(pthread_attr_setstacksize(&attributes, (size_t)1 << 46), 0);
  CHECK_EQ(pthread_create(&thread, &attributes, give_back, NULL), EAGAIN);
  CHECK_EQ(pthread_attr_destroy(&attributes), 0);
  printf("stacks: right\n");
}

static void* join_it(void* thread) {
  void* value = NULL;
  const int result = pthread_join(*(pthread_t*)thread, &value);
  return (void*)(long)result;
}

static struct timespec in_ms(clockid_t clock, long ms) {
  struct timespec t;
  clock_gettime(clock, &t);
  t.tv_nsec += ms * 1000000;
  t.tv_sec += t.tv_nsec / 1000000000;
  t.tv_nsec %= 1000000000;
  return t;
}

static void joins(void) {
  pthread_t thread;
  void* value = NULL;
  CHECK_EQ(pthread_join(pthread_self(), NULL), EDEADLK);

  CHECK_EQ(pthread_create(&thread, NULL, wait_to_finish, (void*)7L), 0);
  CHECK_EQ(pthread_tryjoin_np(thread, &value), EBUSY);
  struct timespec soon = in_ms(CLOCK_REALTIME, 10);
  CHECK_EQ(pthread_timedjoin_np(thread, &value, &soon), ETIMEDOUT);
  soon = in_ms(CLOCK_MONOTONIC, 10);
  CHECK_EQ(pthread_clockjoin_np(thread, &value, CLOCK_MONOTONIC, &soon), ETIMEDOUT);
  sem_post(&may_finish);
  soon = in_ms(CLOCK_REALTIME, 60000);
  CHECK_EQ(pthread_timedjoin_np(thread, &value, &soon), 0);
  CHECK_EQ((long)value, 7);

  // A second joiner is refused, the first one served.
  pthread_t joiner;
  void* refused = NULL;
  CHECK_EQ(pthread_create(&thread, NULL, wait_to_finish, NULL), 0);
  CHECK_EQ(pthread_detach(thread), 0);
  CHECK_EQ(pthread_create(&joiner, NULL, join_it, &thread), 0);
  CHECK_EQ(pthread_join(joiner, &refused), 0);
  CHECK_EQ((long)refused, EINVAL);
  CHECK_EQ(pthread_detach(thread), EINVAL);
  sem_post(&may_finish);
  printf("joins: right\n");
}

static int alive;
static void* short_life(void* unused) {
  (void)unused;
  __atomic_sub_fetch(&alive, 1, __ATOMIC_SEQ_CST);
  return NULL;
}
static void* create_more(void* unused) {
  (void)unused;
  pthread_t thread[20];
  for (int i = 0; i < 20; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, short_life, NULL), 0);
  for (int i = 0; i < 20; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  return NULL;
}

int main(void) {
  CHECK_EQ(sem_init(&finished, 0, 0) | sem_init(&may_finish, 0, 0), 0);
  values();
  detached();
  stacks();
  joins();
  alive = 2000;
  pthread_t thread[100];
  for (int i = 0; i < 100; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, create_more, NULL), 0);
  for (int i = 0; i < 100; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  printf("threads made by threads: %d left\n", alive);
  return 0;
}
