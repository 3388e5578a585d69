// SPDX-License-Identifier: BSL-1.0
// A little of everything that makes the engine call the kernel: threads, locks, a pipe, sleeps, a child, a signal. An error that a
// call reports is the program's to deal with: it says so and ends with status 3. A wrong result is status 4.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { threads = 12, rounds = 40 };

static int ends[2];
static long sum;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void give_up(const char* what, int error) {
  fprintf(stderr, "%s: %s\n", what, strerror(error));
  _exit(3);
}
static void nap(long microseconds) { nanosleep(&(struct timespec){.tv_nsec = microseconds * 1000}, NULL); }

static void* work(void* i) {
  for (int r = 0; r < rounds; ++r) {
    char byte = 1;
    if (i == NULL) {
      struct pollfd what = {.fd = ends[0], .events = POLLIN};
      if (poll(&what, 1, 1000) < 0 && errno != EINTR) give_up("poll", errno);
      if (read(ends[0], &byte, 1) != 1) give_up("read", errno);
    } else if ((long)i == 1) {
      if (write(ends[1], &byte, 1) != 1) give_up("write", errno);
    }
    pthread_mutex_lock(&lock);
    sum += byte;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    if (r % 8 == 0) nap(500);
  }
  for (volatile long n = 0; n < 4000000; ++n) continue;
  return NULL;
}
static void on_signal(int unused) { (void)unused; }

int main(void) {
  if (pipe(ends) != 0) give_up("pipe", errno);
  struct sigaction action = {.sa_handler = on_signal};
  if (sigaction(SIGUSR1, &action, NULL) != 0) give_up("sigaction", errno);
  pthread_t all[threads];
  for (long i = 0; i < threads; ++i) {
    const int error = pthread_create(&all[i], NULL, work, (void*)i);
    if (error != 0) give_up("pthread_create", error);
  }
  pthread_kill(all[2], SIGUSR1);
  pthread_mutex_lock(&lock);
  while (sum < threads * rounds) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
  for (int i = 0; i < threads; ++i) pthread_join(all[i], NULL);
  const pid_t child = fork();
  if (child < 0) give_up("fork", errno);
  if (child == 0) {
    const int error = pthread_create(&all[0], NULL, work, (void*)2L);
    if (error != 0) _exit(3);
    pthread_join(all[0], NULL);
    _exit(0);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) give_up("waitpid", errno);
  if (!WIFEXITED(status)) return 4;
  if (WEXITSTATUS(status) == 3) return 3;
  return sum == threads * rounds && status == 0 ? 0 : 4;
}
