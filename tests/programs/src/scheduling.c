// SPDX-License-Identifier: BSL-1.0
// Policies, priorities, nice values and CPUs of threads, asked for by the thread itself, for another one that waits or computes, at
// creation, and inherited. What the kernel then says of the thread's own kernel thread must be what the calls answer.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

static cpu_set_t all, one;
static sem_t ready, go;
static int stop;

static int kernel_policy(void) { return (int)syscall(SYS_sched_getscheduler, 0); }
static int kernel_cpus(void) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CHECK(syscall(SYS_sched_getaffinity, 0, sizeof set, &set) > 0);
  return CPU_COUNT(&set);
}

static void* ask(void* argument) {
  cpu_set_t set;
  struct sched_param p = {.sched_priority = 77};
  int policy = -1;
  CHECK_EQ(pthread_getschedparam(pthread_self(), &policy, &p), 0);
  CHECK_EQ(pthread_getaffinity_np(pthread_self(), sizeof set, &set), 0);
  printf("policy %d priority %d nice %d cpus %s, kernel: policy %d cpus %s\n", policy, p.sched_priority, getpriority(PRIO_PROCESS, 0),
         CPU_EQUAL(&set, &all) ? "all" : CPU_EQUAL(&set, &one) ? "one" : "others", kernel_policy(),
         kernel_cpus() == CPU_COUNT(&set) ? "the same" : "others");
  return argument;
}

static void* change_itself(void* argument) {
  ask(NULL);
  const struct sched_param p = {.sched_priority = 0};
  CHECK_EQ(pthread_setaffinity_np(pthread_self(), sizeof one, &one), 0);
  ask(NULL);
  CHECK_EQ(pthread_setschedparam(pthread_self(), SCHED_BATCH, &p), 0);
  ask(NULL);
  CHECK_EQ(nice(5), 5);
  ask(NULL);
  CHECK_EQ(sched_getscheduler(gettid()), SCHED_BATCH);
  CHECK_EQ(getpriority(PRIO_PROCESS, (id_t)gettid()), 5);
  for (int i = 0; i < 1000; ++i) sched_yield();
  usleep(1000);
  pthread_t child;  // it inherits all three
  CHECK_EQ(pthread_create(&child, NULL, ask, NULL), 0);
  CHECK_EQ(pthread_join(child, NULL), 0);
  CHECK_EQ(sched_setaffinity(0, sizeof all, &all), 0);
  ask(NULL);
  return argument;
}

static void* wait_then_ask(void* argument) {
  CHECK_EQ(sem_post(&ready), 0);
  while (sem_wait(&go) != 0) CHECK_EQ(errno, EINTR);
  return ask(argument);
}
static void* compute_then_ask(void* argument) {
  CHECK_EQ(sem_post(&ready), 0);
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) continue;
  return ask(argument);
}

static void change_another(void* (*body)(void*)) {
  pthread_t thread;
  const struct sched_param p = {.sched_priority = 0};
  cpu_set_t set;
  int policy = -1;
  struct sched_param told;
  stop = 0;
  CHECK_EQ(pthread_create(&thread, NULL, body, NULL), 0);
  CHECK_EQ(sem_wait(&ready), 0);
  CHECK_EQ(pthread_setschedparam(thread, SCHED_BATCH, &p), 0);
  CHECK_EQ(pthread_setaffinity_np(thread, sizeof one, &one), 0);
  CHECK_EQ(pthread_getschedparam(thread, &policy, &told), 0);
  CHECK_EQ(policy, SCHED_BATCH);
  CHECK_EQ(pthread_getaffinity_np(thread, sizeof set, &set), 0);
  CHECK(CPU_EQUAL(&set, &one));
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  if (body == wait_then_ask) CHECK_EQ(sem_post(&go), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void wrong_calls(void) {
  struct sched_param p = {.sched_priority = 0};
  cpu_set_t none;
  CPU_ZERO(&none);
  CHECK_EQ(pthread_setaffinity_np(pthread_self(), sizeof none, &none), EINVAL);
  CHECK_EQ(pthread_setschedparam(pthread_self(), SCHED_FIFO, &p), EINVAL);
  p.sched_priority = 5;
  CHECK_EQ(pthread_setschedparam(pthread_self(), SCHED_OTHER, &p), EINVAL);
  CHECK_EQ(pthread_setschedparam(pthread_self(), 4711, &p), EINVAL);
  CHECK_EQ(sched_setscheduler(0, SCHED_OTHER, &p), -1);
  CHECK_EQ(errno, EINVAL);
  CHECK_EQ(pthread_getaffinity_np(pthread_self(), 0, &none), EINVAL);
  CHECK_EQ(sched_getscheduler(1 << 22), -1);
  CHECK_EQ(errno, ESRCH);
}

static void* real_time(void* argument) {
  ask(NULL);
  return argument;
}
static void at_creation(void) {
  pthread_attr_t a;
  pthread_t thread;
  struct sched_param p = {.sched_priority = 3};
  CHECK_EQ(pthread_attr_init(&a), 0);
  CHECK_EQ(pthread_attr_setinheritsched(&a, PTHREAD_EXPLICIT_SCHED), 0);
  CHECK_EQ(pthread_attr_setschedpolicy(&a, SCHED_FIFO), 0);
  CHECK_EQ(pthread_attr_setschedparam(&a, &p), 0);
  int error = pthread_create(&thread, &a, real_time, NULL);  // may be EPERM
  if (error == 0) CHECK_EQ(pthread_join(thread, NULL), 0);
  printf("with a real-time policy: %s\n", strerror(error));
  CHECK_EQ(pthread_attr_setschedpolicy(&a, SCHED_OTHER), 0);
  p.sched_priority = 0;
  CHECK_EQ(pthread_attr_setschedparam(&a, &p), 0);
  CHECK_EQ(pthread_attr_setaffinity_np(&a, sizeof one, &one), 0);
  error = pthread_create(&thread, &a, ask, NULL);
  CHECK_EQ(error, 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  CHECK_EQ(pthread_attr_destroy(&a), 0);
}

static void* stay_bound(void* argument) {
  CHECK_EQ(pthread_setaffinity_np(pthread_self(), sizeof one, &one), 0);
  for (int i = 0; i < 200; ++i) {
    sched_yield();
    CHECK_EQ(kernel_cpus(), 1);
  }
  return argument;
}

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  CHECK_EQ(sem_init(&ready, 0, 0) | sem_init(&go, 0, 0), 0);
  CHECK_EQ(sched_getaffinity(0, sizeof all, &all), 0);
  size_t first = 0;
  while (!CPU_ISSET(first, &all)) ++first;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  pthread_t thread[40];
  CHECK_EQ(pthread_create(&thread[0], NULL, change_itself, NULL), 0);
  CHECK_EQ(pthread_join(thread[0], NULL), 0);
  puts("for another that waits");
  change_another(wait_then_ask);
  puts("for another that computes");
  change_another(compute_then_ask);
  wrong_calls();
  at_creation();
  for (int i = 0; i < 40; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, stay_bound, (void*)(thread + i)), 0);
  for (int i = 0; i < 40; ++i) {
    void* result = NULL;
    CHECK_EQ(pthread_join(thread[i], &result), 0);
    CHECK(result == &thread[i]);
  }
  ask(NULL);
  puts("main binds itself and ends before the others");
  CHECK_EQ(nice(1), 1);
  CHECK_EQ(pthread_create(&thread[0], NULL, stay_bound, NULL), 0);
  CHECK_EQ(pthread_detach(thread[0]), 0);
  pthread_exit(NULL);
}
