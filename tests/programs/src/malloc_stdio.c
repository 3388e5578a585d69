// SPDX-License-Identifier: BSL-1.0
// Threads that never block, inside malloc, realloc, free, snprintf, sscanf, qsort and stdio nearly all the time: whoever preempts
// them preempts them there, with libc's locks held and its per-thread data half written. Every value is checked.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>

#include "check.h"

enum { threads = 8, rounds = 50000, blocks = 64, shared_lines = 2000 };

static FILE* shared_file;

static uint64_t next_random(uint64_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static int compare_longs(const void* a, const void* b) {
  const long x = *(const long*)a, y = *(const long*)b;
  return (x > y) - (x < y);
}

static void hammer_malloc(uint64_t* random) {
  unsigned char* block[blocks] = {0};
  size_t size[blocks] = {0};
  for (int i = 0; i < rounds * 8; ++i) {
    const size_t which = next_random(random) % blocks;
    const unsigned char pattern = (unsigned char)(which * 37 + 1);
    if (block[which] == NULL) {
      size[which] = 1 + next_random(random) % (next_random(random) % 16 ? 500 : 200000);
      CHECK((block[which] = malloc(size[which])) != NULL);
      memset(block[which], pattern, size[which]);
    } else {
      for (size_t at = 0; at < size[which]; at += 61) CHECK_EQ(block[which][at], pattern);
      if (next_random(random) % 3 == 0) {
        const size_t old_size = size[which];
        size[which] = 1 + next_random(random) % 2000;
        CHECK((block[which] = realloc(block[which], size[which])) != NULL);
        for (size_t at = 0; at < (old_size < size[which] ? old_size : size[which]); ++at) CHECK_EQ(block[which][at], pattern);
        memset(block[which], pattern, size[which]);
      } else {
        free(block[which]);
        block[which] = NULL;
      }
    }
  }
  for (size_t which = 0; which < blocks; ++which) free(block[which]);
}

static void hammer_formats(long id, uint64_t* random) {
  for (int i = 0; i < rounds * 2; ++i) {
    char text[200];
    const long a = (long)(next_random(random) % 1000000), b = id * 1000 + i;
    const double d = (double)a / 64;
    snprintf(text, sizeof text, "%ld:%.6f:%s:%lx", a, d, "thread", (unsigned long)b);
    long a2 = 0;
    unsigned long b2 = 0;
    double d2 = 0;
    char word[20] = "";
    CHECK_EQ(sscanf(text, "%ld:%lf:%19[a-z]:%lx", &a2, &d2, word, &b2), 4);
    CHECK(a2 == a && d2 == d && b2 == (unsigned long)b && strcmp(word, "thread") == 0);

    errno = (int)id + 1;
    long numbers[32];
    for (int k = 0; k < 32; ++k) numbers[k] = (long)(next_random(random) % 1000);
    qsort(numbers, 32, sizeof numbers[0], compare_longs);
    for (int k = 1; k < 32; ++k) CHECK(numbers[k - 1] <= numbers[k]);
    CHECK_EQ(errno, id + 1);
  }
}

static void hammer_own_file(long id) {
  FILE* file = tmpfile();
  CHECK(file != NULL);
  for (int i = 0; i < rounds; ++i) CHECK(fprintf(file, "line %d of thread %ld\n", i, id) > 0);
  rewind(file);
  for (int i = 0; i < rounds; ++i) {
    int line = -1;
    long thread = -1;
    CHECK_EQ(fscanf(file, "line %d of thread %ld\n", &line, &thread), 2);
    CHECK(line == i && thread == id);
  }
  CHECK_EQ(fclose(file), 0);
}

static void* run(void* argument) {
  const long id = (long)argument;
  uint64_t random = 88172645463325252ull + (uint64_t)id * 7919;
  hammer_malloc(&random);
  hammer_formats(id, &random);
  hammer_own_file(id);
  for (int i = 0; i < shared_lines; ++i) fprintf(shared_file, "%ld %d %s\n", id, i, "the quick brown fox");
  return NULL;
}

static void check_shared_file(void) {
  int next[threads] = {0};
  rewind(shared_file);
  long id = 0;
  int line = 0, lines = 0;
  char rest[40];
  while (fscanf(shared_file, "%ld %d %39[a-z ]\n", &id, &line, rest) == 3) {
    CHECK(id >= 0 && id < threads);
    CHECK_EQ(line, next[id]++);
    CHECK(strcmp(rest, "the quick brown fox") == 0);
    ++lines;
  }
  CHECK_EQ(lines, threads * shared_lines);
}

int main(void) {
  CHECK((shared_file = tmpfile()) != NULL);
  pthread_t thread[threads];
  for (long i = 0; i < threads; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, run, (void*)i), 0);
  for (int i = 0; i < threads; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  check_shared_file();
  printf("malloc, formats and stdio: %d threads, every value right\n", threads);
  return 0;
}
