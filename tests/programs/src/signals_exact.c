// SPDX-License-Identifier: BSL-1.0
// Who gets a signal, and what waits for one: main before others, waiters before handlers, pending for threads and the process.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static int stop;
static pthread_t main_thread;
static volatile sig_atomic_t handled, in_main;
static sem_t go, never, posted;

static void handler(int number) {
  (void)number;
  ++handled;
  in_main += pthread_equal(pthread_self(), main_thread) != 0;
}
static void install(int number, int flags) {
  const struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  CHECK_EQ(sigaction(number, &action, NULL), 0);
}
static void* spin(void* unused) {
  (void)unused;
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {}
  return NULL;
}
static void* send_soon(void* number) {
  usleep(20000);
  CHECK_EQ(kill(getpid(), (int)(long)number), 0);
  return NULL;
}
static void with_sender(int number, void (*wait)(void)) {
  pthread_t sender;
  CHECK_EQ(pthread_create(&sender, NULL, send_soon, (void*)(long)number), 0);
  wait();
  CHECK_EQ(pthread_join(sender, NULL), 0);
}

static int ends[2];
static void wait_in_pause(void) { CHECK(pause() == -1 && errno == EINTR); }
static void wait_in_semaphore(void) { CHECK(sem_wait(&never) == -1 && errno == EINTR); }
static void wait_in_sleep(void) { CHECK(sleep(20) > 0); }
static void wait_in_read(void) {
  char c;
  CHECK(read(ends[0], &c, 1) == -1 && errno == EINTR);
}

static int signals[2] = {0, 0};
static void* take(void* raw) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  siginfo_t info;
  int number;
  do number = sigwaitinfo(&set, &info);  // the kernel says EINTR to a waiter whose signal another one has taken
  while (number == -1 && errno == EINTR);
  CHECK_EQ(number, SIGRTMIN);
  __atomic_fetch_add((int*)raw, info.si_value.sival_int, __ATOMIC_RELAXED);
  sem_post(&posted);
  return NULL;
}
static void* block_until_go(void* set) {
  sigset_t pending;
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, set, NULL), 0);
  sem_post(&posted);
  while (sem_wait(&go) != 0) CHECK_EQ(errno, EINTR);
  CHECK_EQ(sigpending(&pending), 0);
  CHECK(sigismember(&pending, SIGUSR2));
  const int before = handled;
  CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, set, NULL), 0);
  CHECK_EQ(handled, before + 1);
  return NULL;
}
static void on_thread(union sigval value) {
  CHECK_EQ(value.sival_int, 7);
  sem_post(&posted);
}

int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  main_thread = pthread_self();
  CHECK(sem_init(&go, 0, 0) == 0 && sem_init(&never, 0, 0) == 0 && sem_init(&posted, 0, 0) == 0);
  CHECK_EQ(pipe(ends), 0);
  install(SIGUSR1, 0);
  install(SIGUSR2, 0);
  install(SIGPIPE, 0);
  pthread_t spinner[3];
  for (int i = 0; i < 3; ++i) CHECK_EQ(pthread_create(&spinner[i], NULL, spin, NULL), 0);

  with_sender(SIGUSR1, wait_in_pause);
  with_sender(SIGUSR1, wait_in_semaphore);
  with_sender(SIGUSR1, wait_in_sleep);
  with_sender(SIGUSR1, wait_in_read);
  printf("main was interrupted %d times, %d of them in main\n", (int)handled, (int)in_main);

  sigset_t set, old, pending;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  pthread_t blocker;
  CHECK_EQ(pthread_create(&blocker, NULL, block_until_go, &set), 0);
  while (sem_wait(&posted) != 0) {}
  CHECK_EQ(pthread_kill(blocker, SIGUSR2), 0);
  CHECK_EQ(pthread_kill(blocker, SIGUSR2), 0);
  CHECK_EQ(sigpending(&pending), 0);
  CHECK(!sigismember(&pending, SIGUSR2));  // it is another thread's
  sem_post(&go);
  CHECK_EQ(pthread_join(blocker, NULL), 0);

  const int before = handled;
  CHECK_EQ(raise(SIGUSR1), 0);
  CHECK_EQ(handled, before + 1);
  int broken[2];
  CHECK_EQ(pipe(broken), 0);
  close(broken[0]);
  in_main = 0;
  CHECK(write(broken[1], "x", 1) == -1 && errno == EPIPE);
  CHECK_EQ(in_main, 1);
  printf("pending, raised and from a broken pipe\n");

  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < 3; ++i) CHECK_EQ(pthread_join(spinner[i], NULL), 0);
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGALRM);
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, &old), 0);
  pthread_t taker[10];
  for (int i = 0; i < 10; ++i) CHECK_EQ(pthread_create(&taker[i], NULL, take, &signals[0]), 0);
  for (int i = 0; i < 10; ++i) CHECK_EQ(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 1 << i}), 0);
  for (int i = 0; i < 10; ++i) CHECK_EQ(pthread_join(taker[i], NULL), 0);
  CHECK_EQ(signals[0], 1023);
  for (int i = 0; i < 10; ++i) CHECK_EQ(sem_trywait(&posted), 0);
  const struct timespec moment = {0, 1000000}, at_once = {0, 0};
  CHECK(sigtimedwait(&set, NULL, &moment) == -1 && errno == EAGAIN);
  const pid_t child = fork();
  if (child == 0) _exit(3);
  siginfo_t info;
  CHECK_EQ(sigwaitinfo(&set, &info), SIGCHLD);
  CHECK_EQ(info.si_pid, child);
  int status;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK_EQ(kill(getpid(), SIGALRM), 0);
  CHECK_EQ(sigpending(&pending), 0);
  CHECK(sigismember(&pending, SIGALRM));
  CHECK_EQ(sigtimedwait(&set, NULL, &at_once), SIGALRM);
  CHECK_EQ(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
  printf("each of ten waiters took one; a child, an alarm\n");

  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_value = {.sival_int = 7}};
  event.sigev_notify_function = on_thread;
  CHECK_EQ(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  const struct itimerspec every = {{0, 1000000}, {0, 1000000}};
  CHECK_EQ(timer_settime(timer, 0, &every, NULL), 0);
  for (int i = 0; i < 20; ++i)
    while (sem_wait(&posted) != 0) CHECK_EQ(errno, EINTR);
  CHECK_EQ(timer_delete(timer), 0);
  printf("a timer's threads posted\n");
  return 0;
}
