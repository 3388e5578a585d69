// SPDX-License-Identifier: BSL-1.0
// When the system has no memory for another thread, pthread_create says EAGAIN, the threads that are there go on, and when they
// have ended there is room again.
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <sys/resource.h>

#include "check.h"

enum { most = 2000, stack_bytes = 8 << 20 };

static sem_t may_finish;
static pthread_t thread[most];

static void* wait_to_finish(void* argument) {
  while (sem_wait(&may_finish) != 0) {
  }
  return argument;
}

static int create_until_refused(void) {
  pthread_attr_t attributes;
  int count = 0, result = 0;
  CHECK_EQ(pthread_attr_init(&attributes), 0);
  CHECK_EQ(pthread_attr_setstacksize(&attributes, stack_bytes), 0);
  while (count < most && (result = pthread_create(&thread[count], &attributes, wait_to_finish, NULL)) == 0) ++count;
  CHECK_EQ(pthread_attr_destroy(&attributes), 0);
  CHECK_EQ(result, EAGAIN);
  return count;
}

static void end_all(int count) {
  for (int i = 0; i < count; ++i) sem_post(&may_finish);
  for (int i = 0; i < count; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
}

int main(void) {
  CHECK_EQ(sem_init(&may_finish, 0, 0), 0);
  CHECK_EQ(pthread_create(&thread[0], NULL, wait_to_finish, NULL), 0);  // whatever the first thread needs beyond itself
  end_all(1);

  char line[200];
  long used_pages = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  CHECK(file && fgets(line, sizeof line, file) && sscanf(line, "%ld", &used_pages) == 1);
  fclose(file);
  const rlim_t limit = (rlim_t)used_pages * 4096 + (rlim_t)64 * stack_bytes;
  const struct rlimit memory = {limit, limit};
  CHECK_EQ(setrlimit(RLIMIT_AS, &memory), 0);
  for (int round = 0; round < 5; ++round) {
    const int count = create_until_refused();
    CHECK(count > 0 && count <= 64);
    end_all(count);
  }
  printf("refused, and room again, five times\n");
  return 0;
}
