// SPDX-License-Identifier: BSL-1.0
// fork in a program whose threads run, wait and hold locks: the child goes on with the calling thread alone, can use malloc and
// stdio, create threads of its own, fork again and exec. From main and from other threads.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static int stop;
static int prepared, in_parent, in_child;
static pthread_mutex_t guarded = PTHREAD_MUTEX_INITIALIZER;

static void prepare(void) {
  pthread_mutex_lock(&guarded);
  ++prepared;
}
static void after_in_parent(void) {
  ++in_parent;
  pthread_mutex_unlock(&guarded);
}
static void after_in_child(void) {
  ++in_child;
  pthread_mutex_unlock(&guarded);
}

static void* keep_busy(void* unused) {
  (void)unused;
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    free(malloc(100));
    pthread_mutex_lock(&guarded);
    sched_yield();
    pthread_mutex_unlock(&guarded);
  }
  return NULL;
}

static void* wait_forever(void* semaphore) {
  for (;;) sem_wait(semaphore);
  return NULL;
}

static void* add_one(void* sum) {
  sched_yield();
  free(malloc(5000));
  __atomic_add_fetch((int*)sum, 1, __ATOMIC_SEQ_CST);
  return NULL;
}

static int count_with_threads(void) {
  enum { count = 30 };
  pthread_t thread[count];
  int sum = 0;
  for (int i = 0; i < count; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, add_one, &sum), 0);
  for (int i = 0; i < count; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  return sum;
}

static int wait_for(pid_t child) {
  int status = 0;
  pid_t got;
  do got = waitpid(child, &status, 0);
  while (got < 0 && errno == EINTR);
  CHECK_EQ(got, child);
  CHECK(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void fork_once(int generations) {
  const pthread_t self = pthread_self();
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    CHECK(pthread_equal(self, pthread_self()));
    CHECK_EQ(pthread_mutex_lock(&guarded), 0);
    CHECK_EQ(pthread_mutex_unlock(&guarded), 0);
    CHECK_EQ(in_child > 0, 1);
    CHECK_EQ(count_with_threads(), 30);
    if (generations > 1) fork_once(generations - 1);
    _exit(40 + generations);
  }
  CHECK_EQ(wait_for(child), 40 + generations);
}

static void* fork_from_thread(void* unused) {
  (void)unused;
  for (int i = 0; i < 5; ++i) fork_once(2);
  return NULL;
}

int main(void) {
  enum { count = 6 };
  pthread_t busy[count], waiting, forking[3];
  static sem_t never;
  CHECK_EQ(pthread_atfork(prepare, after_in_parent, after_in_child), 0);
  CHECK_EQ(sem_init(&never, 0, 0), 0);
  CHECK_EQ(pthread_create(&waiting, NULL, wait_forever, &never), 0);
  for (int i = 0; i < count; ++i) CHECK_EQ(pthread_create(&busy[i], NULL, keep_busy, NULL), 0);
  for (int i = 0; i < 10; ++i) fork_once(3);
  printf("forked from main\n");
  for (int i = 0; i < 3; ++i) CHECK_EQ(pthread_create(&forking[i], NULL, fork_from_thread, NULL), 0);
  for (int i = 0; i < 3; ++i) CHECK_EQ(pthread_join(forking[i], NULL), 0);
  printf("forked from threads\n");
  fflush(stdout);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", "echo a shell in the child; exit 9", (char*)NULL);
    _exit(1);
  }
  CHECK_EQ(wait_for(child), 9);
  CHECK_EQ(system("exit 5"), 5 << 8);
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < count; ++i) CHECK_EQ(pthread_join(busy[i], NULL), 0);
  printf("handlers ran %d %d %d times\n", prepared, in_parent, in_child);
  return 0;
}
