// SPDX-License-Identifier: BSL-1.0
// signals_storm THREADS SIGNALS: signals for threads and for the process, as fast as they go, while the threads compute, sleep,
// lock, read from pipes and wait. Every real-time signal must be handled once, in its own thread, with its own value.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { most = 4000, senders = 4 };

static int threads, signals_each;
static int stop;
static pthread_t thread[most];
static long sent[most], standard_sent[most];      // by the senders
static long taken[most], standard_taken[most];    // by the handlers, in the thread itself
static long process_sent, process_taken, misplaced;
static int pipes[most][2];
static sem_t never_posted;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static __thread int me = -1;

static void on_queued(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)context;
  const int saved = errno;
  if (info->si_code != SI_QUEUE || info->si_value.sival_int != me || me < 0 || !pthread_equal(pthread_self(), thread[me]))
    __atomic_fetch_add(&misplaced, 1, __ATOMIC_RELAXED);
  else
    ++taken[me];
  errno = saved;
}
static void on_standard(int number) {
  (void)number;
  if (me >= 0) ++standard_taken[me];
}
static void on_process(int number) {
  (void)number;
  __atomic_fetch_add(&process_taken, 1, __ATOMIC_RELAXED);
}

// A few compute; the others wait for this and that.
static int kind_of(int number) { return number % 6 == 0 && number > 24 ? 4 : number % 6; }

static void* busy(void* argument) {
  me = (int)(long)argument;
  unsigned long x = (unsigned long)me + 1;
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    switch (kind_of(me)) {
      case 0:
        for (int i = 0; i < 20000; ++i) x = x * 6364136223846793005ul + 1442695040888963407ul;
        free(malloc(x % 1000));
        break;
      case 1: {
        const struct timespec moment = {0, 1000000};
        const int result = nanosleep(&moment, NULL);
        CHECK(result == 0 || errno == EINTR);
        break;
      }
      case 2:
        CHECK_EQ(pthread_mutex_lock(&mutex), 0);
        x += (unsigned long)me;
        CHECK_EQ(pthread_mutex_unlock(&mutex), 0);
        sched_yield();
        break;
      case 3: {  // until a signal comes
        char c;
        const ssize_t n = read(pipes[me][0], &c, 1);
        CHECK(n == 1 || (n == -1 && errno == EINTR));
        break;
      }
      case 4:
        CHECK(sem_wait(&never_posted) == 0 || errno == EINTR);
        break;
      default: {
        sigset_t none;
        sigemptyset(&none);
        CHECK(sigsuspend(&none) == -1 && errno == EINTR);
      }
    }
  }
  return NULL;
}

static int again(int result) {  // more signals than may be pending: later
  const int error = result == -1 ? errno : result;
  CHECK(error == 0 || error == EAGAIN);
  if (error == EAGAIN) sched_yield();
  return error == EAGAIN;
}

static void* send(void* argument) {
  unsigned long x = (unsigned long)argument + 99;
  const int rt = SIGRTMIN + 1 + (int)(long)argument % 3;
  for (int i = 0; i < signals_each; ++i) {
    x = x * 6364136223846793005ul + 1442695040888963407ul;
    const int target = (int)((x >> 33) % (unsigned long)threads);
    const union sigval value = {.sival_int = target};
    switch (i % 4) {
      case 0:
        while (again(sigqueue(getpid(), SIGRTMIN, value))) {}
        __atomic_fetch_add(&process_sent, 1, __ATOMIC_RELAXED);
        break;
      case 1:
        CHECK_EQ(pthread_kill(thread[target], SIGUSR1), 0);
        __atomic_fetch_add(&standard_sent[target], 1, __ATOMIC_RELAXED);
        break;
      default:
        while (again(pthread_sigqueue(thread[target], rt, value))) {}
        __atomic_fetch_add(&sent[target], 1, __ATOMIC_RELAXED);
    }
  }
  return NULL;
}

static int all_there(void) {
  if (__atomic_load_n(&process_taken, __ATOMIC_RELAXED) != process_sent) return 0;
  for (int i = 0; i < threads; ++i)
    if (__atomic_load_n(&taken[i], __ATOMIC_RELAXED) != sent[i]) return 0;
  return 1;
}

int main(int argc, char** argv) {
  CHECK_EQ(argc, 3);
  threads = atoi(argv[1]);
  signals_each = atoi(argv[2]) / senders;
  CHECK(threads > 0 && threads <= most);
  setvbuf(stdout, NULL, _IONBF, 0);
  CHECK_EQ(sem_init(&never_posted, 0, 0), 0);
  struct sigaction action = {.sa_sigaction = on_queued, .sa_flags = SA_SIGINFO};
  for (int i = 0; i < 3; ++i) CHECK_EQ(sigaction(SIGRTMIN + 1 + i, &action, NULL), 0);
  action = (struct sigaction){.sa_handler = on_standard};
  CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
  action = (struct sigaction){.sa_handler = on_process, .sa_flags = SA_RESTART};
  CHECK_EQ(sigaction(SIGRTMIN, &action, NULL), 0);

  pthread_attr_t small;
  CHECK_EQ(pthread_attr_init(&small), 0);
  CHECK_EQ(pthread_attr_setstacksize(&small, 256 << 10), 0);
  for (int i = 0; i < threads; ++i) {
    if (kind_of(i) == 3) CHECK_EQ(pipe(pipes[i]), 0);
    CHECK_EQ(pthread_create(&thread[i], &small, busy, (void*)(long)i), 0);
  }
  const struct timespec moment = {0, 200000000};
  nanosleep(&moment, NULL);
  pthread_t sender[senders];
  for (long i = 0; i < senders; ++i) CHECK_EQ(pthread_create(&sender[i], &small, send, (void*)i), 0);
  for (int i = 0; i < senders; ++i) CHECK_EQ(pthread_join(sender[i], NULL), 0);
  for (int i = 0; !all_there(); ++i) {
    if (i > 10000) {
      fprintf(stderr, "%ld of %ld for the process\n", process_taken, process_sent);
      for (int t = 0; t < threads; ++t)
        if (taken[t] != sent[t]) fprintf(stderr, "thread %d (%d): %ld of %ld\n", t, kind_of(t), taken[t], sent[t]);
      return 1;
    }
    usleep(1000);
  }
  long total = process_taken, standard = 0;
  for (int i = 0; i < threads; ++i) {
    total += taken[i];
    standard += standard_sent[i];
    CHECK(standard_taken[i] <= standard_sent[i]);
    CHECK((standard_taken[i] != 0) == (standard_sent[i] != 0));
  }
  CHECK_EQ(misplaced, 0);
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < threads; ++i) {
    if (kind_of(i) == 3) CHECK_EQ(write(pipes[i][1], "x", 1), 1);
    if (kind_of(i) == 4) CHECK_EQ(sem_post(&never_posted), 0);
    if (kind_of(i) == 5) CHECK_EQ(pthread_kill(thread[i], SIGUSR1), 0);
  }
  for (int i = 0; i < threads; ++i) {
    int result = EBUSY;
    while (kind_of(i) == 5 && (result = pthread_tryjoin_np(thread[i], NULL)) == EBUSY) {  // it may have looked at `stop` just before
      CHECK_EQ(pthread_kill(thread[i], SIGUSR1), 0);
      usleep(100);
    }
    CHECK_EQ(kind_of(i) == 5 ? result : pthread_join(thread[i], NULL), 0);
  }
  printf("%ld real-time signals handled once, each in its thread; %ld others sent\n", total, standard);
  return 0;
}
