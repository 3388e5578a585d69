// SPDX-License-Identifier: BSL-1.0
// Sleeping by every call there is: never too short, absolute and relative, on both clocks, a thousand at once, with the errors
// that POSIX promises, and interrupted by a handled signal with the rest told. How long they take is nobody's promise.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { sleepers = 1000 };

static long long now_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static struct timespec from_ns(long long ns) { return (struct timespec){ns / 1000000000, ns % 1000000000}; }

static void sleep_every_way(long ns) {
  const struct timespec length = from_ns(ns);
  long long begin = now_ns(CLOCK_MONOTONIC);
  CHECK_EQ(nanosleep(&length, NULL), 0);
  CHECK(now_ns(CLOCK_MONOTONIC) - begin >= ns);
  begin = now_ns(CLOCK_MONOTONIC);
  CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &length, NULL), 0);
  CHECK(now_ns(CLOCK_MONOTONIC) - begin >= ns);
  begin = now_ns(CLOCK_MONOTONIC);
  CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, 0, &length, NULL), 0);
  CHECK(now_ns(CLOCK_MONOTONIC) - begin >= ns);
  const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME};
  for (int i = 0; i < 2; ++i) {
    const long long due = now_ns(clocks[i]) + ns;
    const struct timespec until = from_ns(due);
    CHECK_EQ(clock_nanosleep(clocks[i], TIMER_ABSTIME, &until, NULL), 0);
    CHECK(now_ns(clocks[i]) >= due);
  }
  begin = now_ns(CLOCK_MONOTONIC);
  CHECK_EQ(usleep((useconds_t)(ns / 1000)), 0);
  CHECK(now_ns(CLOCK_MONOTONIC) - begin >= ns / 1000 * 1000);
  begin = now_ns(CLOCK_MONOTONIC);
  CHECK_EQ(thrd_sleep(&length, NULL), 0);
  CHECK(now_ns(CLOCK_MONOTONIC) - begin >= ns);
}

static void* run(void* argument) {
  sleep_every_way(100000 + (long)argument % 50 * 100000);
  return NULL;
}

static void errors(void) {
  const struct timespec too_many = {0, 1000000000}, negative = {-1, 0}, past = {1, 0}, none = {0, 0};
  CHECK(nanosleep(&too_many, NULL) == -1 && errno == EINVAL);
  CHECK(nanosleep(&negative, NULL) == -1 && errno == EINVAL);
  errno = 0;
  CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &too_many, NULL), EINVAL);
  CHECK_EQ(clock_nanosleep(12345, 0, &none, NULL), EINVAL);
  CHECK_EQ(errno, 0);  // it returns its error
  CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &past, NULL), 0);
  CHECK_EQ(nanosleep(&none, NULL), 0);
  CHECK_EQ(sleep(0), 0);
}

static void on_signal(int signal_number) { (void)signal_number; }

static pthread_t sleeper;
static int stop;
static void* keep_signalling(void* unused) {
  (void)unused;
  while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
    CHECK_EQ(pthread_kill(sleeper, SIGUSR1), 0);
    sched_yield();
  }
  return NULL;
}

// A handler that runs in the sleeping thread ends its sleep, whatever SA_RESTART says.
static void* be_interrupted(void* unused) {
  (void)unused;
  sleeper = pthread_self();
  struct timespec rest = {0, 0};
  const struct timespec hour = {3600, 0};
  pthread_t signaller;
  CHECK_EQ(pthread_create(&signaller, NULL, keep_signalling, NULL), 0);
  CHECK(nanosleep(&hour, &rest) == -1 && errno == EINTR);
  CHECK(rest.tv_sec > 3000 && rest.tv_sec <= 3600);
  CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, 0, &hour, &rest), EINTR);
  CHECK(usleep(900000000) == -1 && errno == EINTR);
  CHECK(sleep(3600) > 3000);
  __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
  CHECK_EQ(pthread_join(signaller, NULL), 0);
  return NULL;
}

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "interrupted") == 0) {
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    pthread_t thread;
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    CHECK_EQ(pthread_create(&thread, NULL, be_interrupted, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    printf("interrupted four times\n");
    return 0;
  }
  static pthread_t thread[sleepers];
  for (long i = 0; i < sleepers; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, run, (void*)i), 0);
  for (int i = 0; i < sleepers; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  sleep_every_way(1000000);
  printf("%d threads slept, none too short\n", sleepers);
  errors();
  printf("errors: right\n");
  return 0;
}
