// SPDX-License-Identifier: BSL-1.0
// Children of a process whose threads run, wait and block, started from threads: system, popen, posix_spawn, vfork, fork and exec. No
// signal mask or action of one thread leaks to another, and none is left behind.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { starters = 8, rounds = 6 };
static int stop;
extern char** environ;

static void check_mask_open(void) {
  sigset_t mask;
  CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
  for (int s = 1; s < 32; ++s) CHECK_EQ(sigismember(&mask, s), 0);
}

static void* company(void* unused) {
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    free(malloc(300));
    check_mask_open();
    sched_yield();
  }
  return unused;
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

static void by_system(int n) {
  char command[40];
  snprintf(command, sizeof command, "exit %d", n);
  CHECK_EQ(system(command), n << 8);
  CHECK_EQ(system("kill -9 $$"), SIGKILL);
  CHECK(system(NULL) != 0);
}
static void by_popen(int n) {
  char command[40], line[40] = "";
  snprintf(command, sizeof command, "echo number %d; exit %d", n, n);
  FILE* f = popen(command, "r");
  CHECK(f != NULL);
  CHECK(fgets(line, sizeof line, f) != NULL);
  CHECK_EQ(atoi(line + 7), n);
  CHECK_EQ(pclose(f), n << 8);
}
static void by_spawn(int n) {
  char number[12];
  snprintf(number, sizeof number, "exit %d", n);
  char* const arguments[] = {"sh", "-c", number, NULL};
  pid_t child = 0;
  CHECK_EQ(posix_spawnp(&child, "sh", NULL, NULL, arguments, environ), 0);
  CHECK_EQ(status_of(child), n);
  CHECK(posix_spawn(&child, "/does/not/exist", NULL, NULL, arguments, environ) != 0);
}
static void by_vfork(int n) {
  char number[12];
  snprintf(number, sizeof number, "exit %d", n);
  volatile int seen = 0;
  pid_t child = vfork();
  CHECK(child >= 0);
  if (child == 0) {
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(SIGPIPE, NULL, &action);
    seen = 1;
    execl("/bin/sh", "sh", "-c", number, (char*)NULL);
    _exit(126);
  }
  CHECK_EQ(seen, 1);
  CHECK_EQ(status_of(child), n);
  child = vfork();
  CHECK(child >= 0);
  if (child == 0) {
    seen = 2;
    _exit(n + 1);
  }
  CHECK_EQ(seen, 2);
  CHECK_EQ(status_of(child), n + 1);
}

static volatile sig_atomic_t handled;
static void on_signal(int signal) { handled += signal == SIGUSR1 ? 1 : 100; }

/// As careful programs do it: everything blocked over vfork, the child opens its mask and resets its handlers before exec.
static void blocked_over_vfork(void) {
  struct sigaction action = {.sa_handler = on_signal}, now;
  CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
  CHECK_EQ(sigaction(SIGUSR2, &action, NULL), 0);
  sigset_t all, before, seen;
  sigfillset(&all);
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &all, &before), 0);
  const pid_t child = vfork();
  CHECK(child >= 0);
  if (child == 0) {
    action.sa_handler = SIG_DFL;
    sigaction(SIGUSR2, &action, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    execl("/bin/sh", "sh", "-c", "kill -USR2 $$; exit 1", (char*)NULL);
    _exit(126);
  }
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &seen), 0);
  CHECK_EQ(sigismember(&seen, SIGUSR1), 1);
  CHECK_EQ(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
  int status;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR2);
  CHECK_EQ(sigaction(SIGUSR2, NULL, &now), 0);
  CHECK(now.sa_handler == on_signal);
  CHECK_EQ(kill(getpid(), SIGUSR1), 0);
  for (int i = 0; handled == 0 && i < 1000; ++i) usleep(10000);
  CHECK_EQ(handled, 1);
  puts("signals arrive after vfork");
}

static void by_fork(int n) {
  char number[12];
  snprintf(number, sizeof number, "exit %d", n);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    check_mask_open();
    execl("/bin/sh", "sh", "-c", number, (char*)NULL);
    _exit(126);
  }
  CHECK_EQ(status_of(child), n);
}

static void* start_children(void* number) {
  void (*const ways[])(int) = {by_system, by_popen, by_spawn, by_vfork, by_fork};
  for (int i = 0; i < rounds; ++i) {
    ways[((long)number + i) % 5]((int)(long)number + i);
    check_mask_open();
  }
  return NULL;
}

static int cleaned;
static void note(void* unused) {
  (void)unused;
  cleaned = 1;
}
static void* in_system(void* unused) {
  pthread_cleanup_push(note, NULL);
  system("exec sleep 1000");
  pthread_cleanup_pop(0);
  return unused;
}

int main(void) {
  pthread_t busy[3], thread[starters];
  void* result = NULL;
  struct sigaction before, after;
  CHECK_EQ(sigaction(SIGINT, NULL, &before), 0);
  for (int i = 0; i < 3; ++i) CHECK_EQ(pthread_create(&busy[i], NULL, company, NULL), 0);
  for (long i = 0; i < starters; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, start_children, (void*)i), 0);
  for (int i = 0; i < starters; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  start_children((void*)20L);
  CHECK_EQ(sigaction(SIGINT, NULL, &after), 0);
  CHECK(before.sa_handler == after.sa_handler);
  puts("children ended as told");
  blocked_over_vfork();

  CHECK_EQ(pthread_create(&thread[0], NULL, in_system, NULL), 0);
  usleep(50000);
  CHECK_EQ(pthread_cancel(thread[0]), 0);
  CHECK_EQ(pthread_join(thread[0], &result), 0);
  CHECK(result == PTHREAD_CANCELED);
  CHECK_EQ(waitpid(-1, NULL, 0), -1);
  CHECK_EQ(errno, ECHILD);
  printf("cancelled in system(): cleaned up %d\n", cleaned);

  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < 3; ++i) CHECK_EQ(pthread_join(busy[i], NULL), 0);
  fflush(stdout);
  execl("/bin/echo", "echo", "and exec from main", (char*)NULL);
  return 1;
}
