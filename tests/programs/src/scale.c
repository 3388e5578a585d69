// SPDX-License-Identifier: BSL-1.0
// Very many threads: few mappings, flat memory over many lives, and memory given back after a crowd. The limits are generous
// twice over: no figure is printed unless it is beyond them.
//
//   scale crowd THREADS   parked at once: fewer than 100 mappings, less than 16 KiB each
//   scale lives THREADS   one after the other, joined and detached: memory at the end is what it was after a tenth
//   scale peak THREADS    at once, each with touched stack and heap: 2 s after their end a quarter is left at most
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "check.h"

static sem_t gate, arrived;

/// Resident memory and page tables, in KiB.
static long memory(void) {
  FILE* file = fopen("/proc/self/status", "r");
  CHECK(file != NULL);
  char line[256];
  long sum = 0;
  while (fgets(line, sizeof line, file) != NULL)
    if (strncmp(line, "VmRSS:", 6) == 0 || strncmp(line, "VmPTE:", 6) == 0) sum += atol(line + 6);
  fclose(file);
  return sum;
}

static long mappings(void) {
  FILE* file = fopen("/proc/self/maps", "r");
  CHECK(file != NULL);
  long lines = 0;
  for (int c; (c = fgetc(file)) != EOF;) lines += c == '\n';
  fclose(file);
  return lines;
}

static void wait_for(sem_t* semaphore) {
  while (sem_wait(semaphore) != 0) {
  }
}

static pthread_t start(void* (*body)(void*), void* argument, int detach_state) {
  pthread_attr_t attributes;
  CHECK(pthread_attr_init(&attributes) == 0);
  CHECK(pthread_attr_setstacksize(&attributes, 64 * 1024) == 0);
  CHECK(pthread_attr_setdetachstate(&attributes, detach_state) == 0);
  pthread_t thread;
  CHECK(pthread_create(&thread, &attributes, body, argument) == 0);
  CHECK(pthread_attr_destroy(&attributes) == 0);
  return thread;
}

static void* park(void* result) {
  sem_post(&arrived);
  wait_for(&gate);
  sem_post(&gate);  // lets the next one go
  return result;
}

__attribute__((noinline)) static void touch_stack(void) {
  volatile char deep[16 * 1024];
  for (size_t i = 0; i < sizeof deep; i += 512) deep[i] = 1;
}

static void* touch_and_park(void* result) {
  touch_stack();
  void* blocks[4];
  for (size_t i = 0; i < 4; ++i) CHECK((blocks[i] = malloc(100 * i + 24)) != NULL);
  for (size_t i = 0; i < 4; ++i) free(blocks[i]);
  return park(result);
}

/// `count` threads at once; returns what memory they held, in KiB, and tells the mappings.
static long crowd_of(long count, void* (*body)(void*), long* mapped) {
  pthread_t* threads = calloc((size_t)count, sizeof *threads);
  CHECK(threads != NULL);
  for (long i = 0; i < count; ++i) threads[i] = start(body, (void*)i, PTHREAD_CREATE_JOINABLE);
  for (long i = 0; i < count; ++i) wait_for(&arrived);
  const long held = memory();
  if (mapped != NULL) *mapped = mappings();
  sem_post(&gate);
  for (long i = 0; i < count; ++i) {
    void* result = NULL;
    CHECK(pthread_join(threads[i], &result) == 0);
    CHECK(result == (void*)i);
  }
  wait_for(&gate);
  free(threads);
  return held;
}

static void crowd(long count) {
  long mapped = 0;
  const long before = memory();
  const long held = crowd_of(count, park, &mapped) - before;
  if (mapped >= 100) printf("%ld mappings\n", mapped);
  if (held >= 16 * count) printf("%ld KiB for %ld threads\n", held, count);
  printf("%ld threads were parked\n", count);
}

static void* use_heap(void* result) {
  free(malloc(100));
  return result;
}

static void* use_heap_and_post(void* result) {
  free(malloc(100));
  sem_post(&arrived);
  return result;
}

static void one_after_the_other(long count) {
  for (long i = 0; i < count; ++i) {
    if (i % 4 == 0) {
      start(use_heap_and_post, NULL, PTHREAD_CREATE_DETACHED);
      wait_for(&arrived);
    } else {
      CHECK(pthread_join(start(use_heap, NULL, PTHREAD_CREATE_JOINABLE), NULL) == 0);
    }
  }
}

static void lives(long count) {
  one_after_the_other(count / 10);
  const long early = memory();
  one_after_the_other(count);
  const long growth = memory() - early;
  if (growth > 512) printf("%ld threads grew memory by %ld KiB from %ld\n", count, growth, early);
  printf("%ld lives\n", count);
}

static void peak(long count) {
  const long before = memory();
  const long most = crowd_of(count, touch_and_park, NULL) - before;
  sleep(2);
  malloc_trim(0);  // what malloc keeps of what was freed is no thread's
  const long left = memory() - before;
  if (left > most / 4) printf("%ld KiB of %ld KiB are left\n", left, most);
  // And those who come after it find it all in order.
  crowd_of(count, touch_and_park, NULL);
  printf("%ld threads came and went, twice\n", count);
}

int main(int argc, char** argv) {
  CHECK(argc == 3);
  CHECK(sem_init(&gate, 0, 0) == 0 && sem_init(&arrived, 0, 0) == 0);
  const long count = atol(argv[2]);
  if (strcmp(argv[1], "crowd") == 0) crowd(count);
  if (strcmp(argv[1], "lives") == 0) lives(count);
  if (strcmp(argv[1], "peak") == 0) peak(count);
  return 0;
}
