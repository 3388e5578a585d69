// SPDX-License-Identifier: BSL-1.0
// Signals in a program with threads: signals WHAT. Handlers for the process, for one thread, timers, masks, sigwait, EINTR.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { count = 8 };

static sem_t ticks;
static int stop;
static volatile sig_atomic_t handled;

static void* compute(void* argument) {
  unsigned long x = (unsigned long)argument + 1;
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    x = x * 6364136223846793005ul + 1442695040888963407ul;
    free(malloc(x % 1000));
  }
  return NULL;
}

static void* wait_on_condition(void* unused) {
  (void)unused;
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
  pthread_mutex_lock(&mutex);
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    struct timespec soon;
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec = (soon.tv_nsec + 2000000) % 1000000000;
    const int result = pthread_cond_timedwait(&changed, &mutex, &soon);
    CHECK(result == 0 || result == ETIMEDOUT);  // never EINTR
  }
  pthread_mutex_unlock(&mutex);
  return NULL;
}

static pthread_t company[2 * count];
static void start_company(void) {
  for (long i = 0; i < count; ++i) {
    CHECK_EQ(pthread_create(&company[2 * i], NULL, compute, (void*)i), 0);
    CHECK_EQ(pthread_create(&company[2 * i + 1], NULL, wait_on_condition, NULL), 0);
  }
}
static void end_company(void) {
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < 2 * count; ++i) CHECK_EQ(pthread_join(company[i], NULL), 0);
}

static void wait_for(sem_t* semaphore) {
  while (sem_wait(semaphore) != 0) CHECK_EQ(errno, EINTR);
}

static void on_signal(int signal_number) {
  (void)signal_number;
  const int saved = errno;
  ++handled;
  sem_post(&ticks);
  errno = saved;
}

static void install(int signal_number, int flags) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
  sigemptyset(&action.sa_mask);
  CHECK_EQ(sigaction(signal_number, &action, NULL), 0);
}

// A periodic timer whose handler posts a semaphore, in whatever thread it happens to hit.
static void alarm_posts(void) {
  install(SIGALRM, SA_RESTART);
  start_company();
  const struct itimerval every_2_ms = {{0, 2000}, {0, 2000}}, off = {{0, 0}, {0, 0}};
  CHECK_EQ(setitimer(ITIMER_REAL, &every_2_ms, NULL), 0);
  for (int i = 0; i < 200; ++i) wait_for(&ticks);
  CHECK_EQ(setitimer(ITIMER_REAL, &off, NULL), 0);
  end_company();
  printf("200 ticks of the timer\n");
}

static void interrupt_handled(void) {
  install(SIGINT, 0);
  start_company();
  for (int i = 0; i < 50; ++i) {
    CHECK_EQ(kill(getpid(), SIGINT), 0);
    wait_for(&ticks);
  }
  CHECK_EQ(handled, 50);
  end_company();
  printf("50 interrupts handled\n");
}

static void* take_by_sigwait(void* unused) {
  (void)unused;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGTERM);
  for (int received = 0;;) {
    int signal_number = 0;
    CHECK_EQ(sigwait(&set, &signal_number), 0);
    if (signal_number == SIGTERM) return (void*)(long)received;
    ++received;
    sem_post(&ticks);
  }
}

// The usual way of servers: all threads block the signals, one takes them by sigwait.
static void sigwait_thread(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaddset(&set, SIGTERM);
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  start_company();
  pthread_t taker;
  CHECK_EQ(pthread_create(&taker, NULL, take_by_sigwait, NULL), 0);
  for (int i = 0; i < 50; ++i) {
    CHECK_EQ(kill(getpid(), SIGUSR1), 0);
    wait_for(&ticks);
  }
  CHECK_EQ(kill(getpid(), SIGTERM), 0);
  void* received = NULL;
  CHECK_EQ(pthread_join(taker, &received), 0);
  end_company();
  printf("sigwait took %ld\n", (long)received);
}

// Each thread has a mask of its own, inherited from its creator, kept over switches.
static void* keep_mask(void* argument) {
  const int mine = SIGRTMIN + 5 + (int)(long)argument;
  sigset_t set, now;
  CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
  CHECK(sigismember(&now, SIGUSR2) && !sigismember(&now, mine));
  sigemptyset(&set);
  sigaddset(&set, mine);
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  for (int i = 0; i < 100; ++i) {
    sched_yield();
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &now), 0);
    for (int other = SIGRTMIN + 5; other < SIGRTMIN + 5 + count; ++other) CHECK_EQ(sigismember(&now, other), other == mine);
    CHECK(sigismember(&now, SIGUSR2));
  }
  return NULL;
}
static void masks(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  pthread_t thread[count];
  for (long i = 0; i < count; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, keep_mask, (void*)i), 0);
  for (int i = 0; i < count; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  printf("%d masks kept\n", count);
}

static pthread_t expected_thread;
static int in_the_right_thread;
static void in_thread(int signal_number) {
  (void)signal_number;
  in_the_right_thread += pthread_equal(pthread_self(), expected_thread) != 0;
  sem_post(&ticks);
}
static void* be_hit(void* unused) {
  (void)unused;
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) sched_yield();
  return NULL;
}
// A signal sent to a thread runs its handler in that thread.
static void to_one_thread(void) {
  const struct sigaction action = {.sa_handler = in_thread};
  CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
  pthread_t thread[count];
  for (int i = 0; i < count; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, be_hit, NULL), 0);
  for (int i = 0; i < 5 * count; ++i) {
    expected_thread = thread[i % count];
    CHECK_EQ(pthread_kill(expected_thread, SIGUSR1), 0);
    wait_for(&ticks);
  }
  expected_thread = pthread_self();
  CHECK_EQ(raise(SIGUSR1), 0);
  wait_for(&ticks);
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < count; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  printf("%d signals ran in the thread they were sent to\n", in_the_right_thread);
}

static void terminated(void) {
  start_company();
  kill(getpid(), SIGTERM);
  for (;;) pause();
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*run)(void);
  } all[] = {{"alarm", alarm_posts}, {"interrupt", interrupt_handled}, {"sigwait", sigwait_thread}, {"masks", masks},
             {"one-thread", to_one_thread}, {"terminated", terminated}};
  setvbuf(stdout, NULL, _IONBF, 0);
  CHECK_EQ(sem_init(&ticks, 0, 0), 0);
  for (size_t i = 0; i < sizeof all / sizeof all[0]; ++i)
    if (argc == 2 && strcmp(argv[1], all[i].name) == 0) {
      all[i].run();
      return 0;
    }
  fprintf(stderr, "signals: alarm, interrupt, sigwait, masks, one-thread or terminated\n");
  return 2;
}
