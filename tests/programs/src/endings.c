// SPDX-License-Identifier: BSL-1.0
// The ways in which a program with threads can end: endings HOW. What it says on the way and how it ends must be the same under
// every model.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include "check.h"

static sem_t started;

static void at_exit(void) { printf("atexit ran\n"); }

static void* wait_forever(void* unused) {
  (void)unused;
  sem_post(&started);
  sem_t never;
  sem_init(&never, 0, 0);
  for (;;) sem_wait(&never);
  return NULL;
}

static void* loop_forever(void* unused) {
  (void)unused;
  sem_post(&started);
  for (volatile unsigned i = 0;; ++i) {
  }
  return NULL;
}

static void* block_forever(void* unused) {
  (void)unused;
  int ends[2];
  char byte;
  CHECK_EQ(pipe(ends), 0);
  sem_post(&started);
  CHECK(read(ends[0], &byte, 1) == 0);
  return NULL;
}

// Some that wait, one that computes, some blocked in the kernel: none of them may hold up the end.
static void start_company(void) {
  void* (*const bodies[])(void*) = {wait_forever, block_forever, loop_forever, wait_forever, block_forever};
  pthread_t thread;
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; ++i) {
    CHECK_EQ(pthread_create(&thread, NULL, bodies[i], NULL), 0);
    CHECK_EQ(pthread_detach(thread), 0);
    sem_wait(&started);
  }
}

static void* exit_seven(void* unused) {
  (void)unused;
  exit(7);
  return NULL;
}
static void* quick_exit_eight(void* unused) {
  (void)unused;
  _exit(8);
  return NULL;
}
static void* abort_program(void* unused) {
  (void)unused;
  abort();
  return NULL;
}
static void* crash(void* unused) {
  (void)unused;
  volatile int* volatile nowhere = NULL;
  *nowhere = 1;
  return NULL;
}
static void* raise_term(void* unused) {
  (void)unused;
  raise(SIGTERM);
  for (;;) pause();
  return NULL;
}
static void* work_on(void* unused) {
  (void)unused;
  for (int i = 0; i < 100; ++i) sched_yield();
  printf("the last thread ends\n");
  return NULL;
}

static void join_one(void* (*body)(void*)) {
  pthread_t thread;
  CHECK_EQ(pthread_create(&thread, NULL, body, NULL), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
}

int main(int argc, char** argv) {
  const char* how = argc == 2 ? argv[1] : "";
  setvbuf(stdout, NULL, _IONBF, 0);  // some of these endings do not flush
  CHECK_EQ(sem_init(&started, 0, 0), 0);
  CHECK_EQ(atexit(at_exit), 0);
  printf("%s\n", how);
  if (strcmp(how, "main-exits-pthread") == 0) {  // the program lives on until its last thread ends, with status 0
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, work_on, NULL), 0);
    CHECK_EQ(pthread_detach(thread), 0);
    pthread_exit(NULL);
  }
  start_company();
  if (strcmp(how, "main-returns") == 0) return 3;
  if (strcmp(how, "main-exits") == 0) exit(4);
  if (strcmp(how, "thread-exits") == 0) join_one(exit_seven);
  if (strcmp(how, "thread-exits-at-once") == 0) join_one(quick_exit_eight);
  if (strcmp(how, "abort") == 0) join_one(abort_program);
  if (strcmp(how, "crash") == 0) join_one(crash);
  if (strcmp(how, "raise") == 0) join_one(raise_term);
  if (strcmp(how, "killed") == 0) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  fprintf(stderr, "endings: unknown ending '%s'\n", how);
  return 2;
}
