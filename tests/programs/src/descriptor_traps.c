// SPDX-License-Identifier: BSL-1.0
// What programs do to descriptors that threads wait for, and should not break anything: daemons that close all numbers,
// children (of fork, vfork, _Fork and the bare system call) that close or use what their parent's threads wait for, pointers
// to nowhere, waits for nothing but a hang-up, signals for those who wait behind others, signals read from a descriptor.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static void nap(int ms) {
  const struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
  nanosleep(&t, NULL);
}
static pthread_t start(void* (*function)(void*), void* argument) {
  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, function, argument), 0);
  nap(30);  // it waits, most likely
  return t;
}
static void* result_of(pthread_t t) {
  void* result;
  CHECK_EQ(pthread_join(t, &result), 0);
  return result;
}
static int exit_code(pid_t child) {
  int status;
  CHECK_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void* read_byte(void* fd) {
  char c;
  CHECK_EQ(read(*(int*)fd, &c, 1), 1);
  return NULL;
}

static void closing_all(void) {
  int p[2];
  CHECK_EQ(pipe(p), 0);
  for (int way = 0; way < 4; ++way) {
    const pthread_t t = start(read_byte, p);
    switch (way) {
      case 0:
        CHECK_EQ(close_range(100, ~0u, 0), 0);
        break;
      case 1:
        closefrom(100);
        break;
      case 2:
        CHECK_EQ(syscall(SYS_close_range, 100, ~0u, 0), 0);
        break;
      case 3:
        for (int fd = 100; fd < 2000; ++fd) syscall(SYS_close, fd);
        break;
    }
    CHECK(fcntl(STDOUT_FILENO, F_GETFD) >= 0);
    CHECK_EQ(write(p[1], "x", 1), 1);
    result_of(t);
  }
  errno = 0;
  CHECK(close_range(5, 3, 0) == -1 && errno == EINVAL);
  close(p[0]);
  close(p[1]);
  puts("closing all");
}

static void children_that_close(void) {
  int p[2];
  CHECK_EQ(pipe(p), 0);
  pthread_t t = start(read_byte, p);
  pid_t child = vfork();
  if (child == 0) {
    for (int fd = 3; fd < 50; ++fd) close(fd);
    dup2(STDOUT_FILENO, p[0]);
    close_range(3, ~0u, 0);
    _exit(7);
  }
  CHECK_EQ(exit_code(child), 7);
  CHECK_EQ(write(p[1], "x", 1), 1);
  result_of(t);

  // A thread that waits keeps the file open, but not in children.
  t = start(read_byte, p);
  CHECK_EQ(close(p[0]), 0);
  int up[2];
  CHECK_EQ(pipe(up), 0);
  child = fork();
  if (child == 0) {
    CHECK_EQ(write(up[1], "x", 1), 1);
    for (;;) pause();
  }
  read_byte(up);
  CHECK_EQ(write(p[1], "x", 1), 1);
  result_of(t);
  signal(SIGPIPE, SIG_IGN);
  errno = 0;
  CHECK(write(p[1], "x", 1) == -1 && errno == EPIPE);
  kill(child, SIGKILL);
  CHECK_EQ(exit_code(child), -1);
  close(up[0]);
  close(up[1]);
  close(p[1]);
  puts("children that close");
}

static void* fork_bare(void* raw) {
  const int way = *(int*)raw;
  int p[2];
  CHECK_EQ(pipe(p), 0);
  const pid_t child = way == 0 ? _Fork() : (pid_t)syscall(SYS_fork);
  if (child == 0) {
    char c = 0;
    _exit(read(p[0], &c, 1) == 1 ? c : 99);
  }
  nap(5);
  CHECK_EQ(write(p[1], "\5", 1), 1);
  CHECK_EQ(exit_code(child), 5);
  close(p[0]);
  close(p[1]);
  return NULL;
}
static void bare_forks(void) {
  int p[2], ways[2] = {0, 1};
  CHECK_EQ(pipe(p), 0);
  pthread_t others[4];
  for (int i = 0; i < 4; ++i) others[i] = start(read_byte, p);
  for (int i = 0; i < 6; ++i) result_of(start(fork_bare, &ways[i % 2]));
  CHECK_EQ(write(p[1], "xxxx", 4), 4);
  for (int i = 0; i < 4; ++i) result_of(others[i]);
  close(p[0]);
  close(p[1]);
  puts("bare forks");
}

static void pointers_to_nowhere(void) {
  int s[2];
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
  void* nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const struct iovec* parts = nowhere;
  struct timeval soon = {0, 1000};
#define CHECK_FAULT(call)               \
  do {                                  \
    errno = 0;                          \
    CHECK((call) == -1);                \
    CHECK_EQ(errno, EFAULT);            \
  } while (0)
  CHECK_FAULT(readv(s[0], parts, 1));
  CHECK_FAULT(writev(s[0], parts, 1));
  CHECK_FAULT(writev(s[0], parts, 2));
  CHECK_FAULT(write(s[0], nowhere, 1));
  CHECK_FAULT(send(s[0], nowhere, 1, 0));
  CHECK_FAULT(recvmsg(s[0], nowhere, 0));
  CHECK_FAULT(sendmsg(s[0], nowhere, 0));
  CHECK_FAULT(poll(nowhere, 1, 10));
  CHECK_FAULT(select(5, nowhere, NULL, NULL, &soon));
  CHECK_EQ(write(s[1], "x", 1), 1);
  CHECK_FAULT(read(s[0], nowhere, 1));
  close(s[0]);
  close(s[1]);
  puts("pointers to nowhere");
}

static void* wait_for_hang_up(void* fd) {
  struct pollfd p = {*(int*)fd, 0, 0};
  CHECK_EQ(poll(&p, 1, 5000), 1);
  CHECK_EQ(p.revents, POLLHUP);
  return NULL;
}
static void hang_up(void) {
  int s[2];
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
  const pthread_t t = start(wait_for_hang_up, s);
  close(s[1]);
  result_of(t);
  // Which is no event to select's third set.
  fd_set set;
  FD_ZERO(&set);
  FD_SET(s[0], &set);
  struct timeval bound = {0, 50000};
  CHECK_EQ(select(s[0] + 1, NULL, NULL, &set, &bound), 0);
  close(s[0]);
  puts("hang-up");
}

static void on_signal(int signal) { (void)signal; }
static void* accept_until_signal(void* fd) {
  errno = 0;
  CHECK(accept(*(int*)fd, NULL, NULL) == -1 && errno == EINTR);
  return NULL;
}
static void* accept_until_cancelled(void* fd) {
  accept(*(int*)fd, NULL, NULL);
  return NULL;
}
static void queues_at_a_listener(void) {
  const struct sigaction action = {.sa_handler = on_signal};
  CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
  const struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  CHECK(bind(fd, (const struct sockaddr*)&any, sizeof any) == 0 && listen(fd, 8) == 0);
  pthread_t t[3];
  for (int i = 0; i < 3; ++i) t[i] = start(accept_until_signal, &fd);
  for (int i = 2; i >= 0; --i) {
    CHECK_EQ(pthread_kill(t[i], SIGUSR1), 0);
    result_of(t[i]);
  }
  for (int i = 0; i < 3; ++i) t[i] = start(accept_until_cancelled, &fd);
  for (int i = 2; i >= 0; --i) {
    CHECK_EQ(pthread_cancel(t[i]), 0);
    CHECK(result_of(t[i]) == PTHREAD_CANCELED);
  }
  close(fd);
  puts("queues at a listener");
}

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static struct sockaddr_un abstract_name;
static void* send_many(void* raw) {
  const int s = socket(AF_UNIX, SOCK_DGRAM, 0);
  for (int i = 0; i < *(int*)raw; ++i)
    CHECK_EQ(sendto(s, "hello", 5, 0, (struct sockaddr*)&abstract_name, sizeof abstract_name), 5);
  close(s);
  return NULL;
}
static void full_receiver(void) {
  abstract_name.sun_family = AF_UNIX;
  snprintf(abstract_name.sun_path + 1, sizeof abstract_name.sun_path - 1, "weft-test-%d", (int)getpid());
  const int s = socket(AF_UNIX, SOCK_DGRAM, 0);
  CHECK_EQ(bind(s, (struct sockaddr*)&abstract_name, sizeof abstract_name), 0);
  int count = 1000;
  const pthread_t t = start(send_many, &count);
  nap(100);
  const double before = cpu_seconds();
  nap(300);
  CHECK(cpu_seconds() - before < 0.15);  // it waits, and not in circles
  char c[8];
  for (int i = 0; i < count; ++i) CHECK_EQ(read(s, c, sizeof c), 5);
  result_of(t);
  close(s);
  puts("full receiver");
}

static void* read_signal(void* fd) {
  struct signalfd_siginfo info;
  CHECK_EQ(read(*(int*)fd, &info, sizeof info), (ssize_t)sizeof info);
  CHECK_EQ((int)info.ssi_signo, SIGUSR2);
  return NULL;
}
static void signals_read(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR2);
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  int fd = signalfd(-1, &set, 0);
  for (int way = 0; way < 3; ++way) {
    const pthread_t t = start(read_signal, &fd);
    if (way == 0) CHECK_EQ(kill(getpid(), SIGUSR2), 0);
    if (way == 1) CHECK_EQ(pthread_kill(t, SIGUSR2), 0);
    if (way == 2) {
      const pid_t child = fork();
      if (child == 0) _exit(kill(getppid(), SIGUSR2));
      CHECK_EQ(exit_code(child), 0);
    }
    result_of(t);
  }
  close(fd);
  puts("signals read");
}

// Another process takes what a reader, after many reads that went well, may count on; fills what a writer may count on; and
// the number becomes another pipe behind everybody's back. Others go on, and who waits can be cancelled.
static void* read_bytes(void* raw) {
  char c;
  for (int i = 0; i < 100; ++i) CHECK_EQ(read(*(int*)raw, &c, 1), 1);
  const pid_t child = fork();
  if (child == 0) {
    char rest[4096];
    _exit(read(*(int*)raw, rest, sizeof rest) == 900 ? 0 : 1);
  }
  CHECK_EQ(exit_code(child), 0);
  read(*(int*)raw, &c, 1);
  return NULL;
}
static void* write_bytes(void* raw) {
  char bytes[1000] = {0};
  for (int i = 0; i < 10; ++i) CHECK_EQ(write(*(int*)raw, bytes, sizeof bytes), (ssize_t)sizeof bytes);
  const pid_t child = fork();
  if (child == 0) {
    CHECK_EQ(fcntl(*(int*)raw, F_SETFL, O_NONBLOCK), 0);
    while (write(*(int*)raw, bytes, sizeof bytes) > 0) {}
    CHECK_EQ(errno, EAGAIN);
    while (write(*(int*)raw, bytes, 1) > 0) {}
    _exit(fcntl(*(int*)raw, F_SETFL, 0));
  }
  CHECK_EQ(exit_code(child), 0);
  for (;;) CHECK(write(*(int*)raw, bytes, sizeof bytes) > 0);
  return NULL;
}
static void* read_over(void* raw) {
  char c;
  for (int i = 0; i < 100; ++i) CHECK_EQ(read(*(int*)raw, &c, 1), 1);
  int other[2];
  CHECK_EQ(pipe(other), 0);
  CHECK_EQ(dup2(other[0], *(int*)raw), *(int*)raw);
  read(*(int*)raw, &c, 1);
  return NULL;
}
static void wrong_expectations(void) {
  void* (*const ways[])(void*) = {read_bytes, write_bytes, read_over};
  for (int way = 0; way < 3; ++way) {
    int p[2];
    char bytes[1000] = {0};
    CHECK_EQ(pipe(p), 0);
    if (way != 1) CHECK_EQ(write(p[1], bytes, sizeof bytes), (ssize_t)sizeof bytes);
    const pthread_t t = start(ways[way], &p[way == 1]);
    for (int i = 0; i < 20; ++i) nap(1);
    CHECK_EQ(pthread_cancel(t), 0);
    CHECK(result_of(t) == PTHREAD_CANCELED);
    close(p[0]), close(p[1]);
  }
  puts("wrong expectations");
}

static void* nothing(void* raw) { return raw; }
int main(void) {
  setvbuf(stdout, NULL, _IONBF, 0);
  result_of(start(nothing, NULL));
  closing_all();
  children_that_close();
  bare_forks();
  pointers_to_nowhere();
  hang_up();
  queues_at_a_listener();
  full_receiver();
  signals_read();
  wrong_expectations();
  return 0;
}
