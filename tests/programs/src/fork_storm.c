// SPDX-License-Identifier: BSL-1.0
// A thousand forks while sixteen threads take and leave memory, locks, semaphores and stdio streams: each child finds them usable, and
// every tenth one creates threads and forks again.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { hammers = 16, forks = 1000, forkers = 2 };
static int stop;
static pthread_mutex_t guarded = PTHREAD_MUTEX_INITIALIZER, others[4];
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static sem_t tokens;
static FILE* nowhere;

static void prepare(void) { pthread_mutex_lock(&guarded); }
static void release(void) { pthread_mutex_unlock(&guarded); }

static void* hammer(void* number) {
  unsigned turn = (unsigned)(long)number;
  void* kept[8] = {NULL};
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    ++turn;
    free(kept[turn % 8]);
    kept[turn % 8] = malloc(16 + turn * 37 % 3000);
    pthread_mutex_lock(&guarded);
    if (turn % 16 == 0) pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&guarded);
    pthread_mutex_lock(&others[turn % 4]);
    if (turn % 32 == 0) sched_yield();
    pthread_mutex_unlock(&others[turn % 4]);
    if (sem_trywait(&tokens) == 0) sem_post(&tokens);
    fprintf(nowhere, "%u\n", turn);
    if (turn % 64 == 0) usleep(100);
  }
  for (int i = 0; i < 8; ++i) free(kept[i]);
  return NULL;
}

static void* use_everything(void* sum) {
  void* some = malloc(2000);
  CHECK(some != NULL);
  free(some);
  pthread_mutex_lock(&guarded);
  ++*(int*)sum;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&guarded);
  return NULL;
}

static int status_of(pid_t child) {
  int status = 0;
  pid_t got;
  do got = waitpid(child, &status, 0);
  while (got < 0 && errno == EINTR);
  CHECK_EQ(got, child);
  CHECK(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void child_with_threads(void) {
  pthread_t thread[3];
  int sum = 0;
  for (int i = 0; i < 3; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, use_everything, &sum), 0);
  for (int i = 0; i < 3; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  CHECK_EQ(sum, 3);
  const pid_t again = fork();
  CHECK(again >= 0);
  if (again == 0) {
    use_everything(&sum);
    _exit(sum);
  }
  CHECK_EQ(status_of(again), 4);
}

static void* fork_often(void* unused) {
  for (int i = 0; i < forks / forkers; ++i) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      int sum = 0;
      use_everything(&sum);
      fprintf(nowhere, "a child\n");
      CHECK_EQ(sem_post(&tokens), 0);
      CHECK_EQ(sem_wait(&tokens), 0);
      if (i % 10 == 0) child_with_threads();
      _exit(17);
    }
    CHECK_EQ(status_of(child), 17);
  }
  return unused;
}

int main(void) {
  pthread_t thread[hammers], forking[forkers];
  nowhere = fopen("/dev/null", "w");
  CHECK(nowhere != NULL);
  CHECK_EQ(sem_init(&tokens, 0, 2), 0);
  for (int i = 0; i < 4; ++i) CHECK_EQ(pthread_mutex_init(&others[i], NULL), 0);
  CHECK_EQ(pthread_atfork(prepare, release, release), 0);
  for (long i = 0; i < hammers; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, hammer, (void*)i), 0);
  for (int i = 0; i < forkers; ++i) CHECK_EQ(pthread_create(&forking[i], NULL, fork_often, NULL), 0);
  for (int i = 0; i < forkers; ++i) CHECK_EQ(pthread_join(forking[i], NULL), 0);
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < hammers; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  printf("%d children found everything usable\n", forks);
  return 0;
}
