// SPDX-License-Identifier: BSL-1.0
// Many threads wait for descriptors at once: echo pairs, timeouts, numbers closed and used again under waiters, a peer that
// must see a close at once, children forked in the middle, a half-closed connection that is full, and a long pause.
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { pairs = 300, rounds = 40, sleepers = 100, closers = 8, families = 6 };

static void nap(int ms) {
  const struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
  nanosleep(&t, NULL);
}
static pthread_t start(void* (*body)(void*), void* argument) {
  pthread_t t;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 65536);
  CHECK_EQ(pthread_create(&t, &attributes, body, argument), 0);
  return t;
}

static int ends[pairs][2];
static void* echo(void* raw) {
  const int fd = *(int*)raw;
  char b[64];
  ssize_t n;
  while ((n = read(fd, b, sizeof b)) > 0) CHECK_EQ(write(fd, b, (size_t)n), n);
  CHECK_EQ(n, 0);
  close(fd);
  return NULL;
}
static void* ask(void* raw) {
  const int fd = *(int*)raw;
  for (int i = 0; i < rounds; ++i) {
    char out[64], in[64];
    memset(out, i, sizeof out);
    CHECK_EQ(write(fd, out, sizeof out), 64);
    for (size_t got = 0; got < sizeof in;) {
      const ssize_t n = read(fd, in + got, sizeof in - got);
      CHECK(n > 0);
      got += (size_t)n;
    }
    CHECK_EQ(memcmp(in, out, sizeof in), 0);
    if (i == rounds / 2) nap(i % 7);
  }
  close(fd);
  return NULL;
}

/// Waits that end by timeout; their descriptor is shared by all, and stays usable.
static int quiet[2];
static void* time_out(void* raw) {
  const long kind = (long)raw % 2;
  for (int i = 0; i < 20; ++i) {
    if (kind == 0) {
      struct pollfd p[3] = {{quiet[0], POLLIN, 0}, {quiet[1], POLLIN, 0}, {quiet[0], POLLIN | POLLPRI, 0}};
      CHECK_EQ(poll(p, 3, 1 + i % 5), 0);
    } else {
      int mine[2];
      CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, mine), 0);
      const struct timeval t = {0, 1000 + i % 5 * 1000};
      CHECK_EQ(setsockopt(mine[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t), 0);
      char b;
      CHECK_EQ(read(mine[0], &b, 1), -1);
      CHECK(errno == EAGAIN || errno == EWOULDBLOCK);
      close(mine[0]);
      CHECK_EQ(read(mine[1], &b, 1), 0);  // nobody keeps it open
      close(mine[1]);
    }
  }
  return NULL;
}

/// What somebody has just waited for in vain is gone when it is closed, and its number names another file.
static void* close_and_open(void* raw) {
  (void)raw;
  struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  for (int i = 0; i < 10; ++i) {
    int ends_here[2];
    CHECK_EQ(pipe(ends_here), 0);
    struct pollfd p = {ends_here[1], POLLERR, 0};
    CHECK_EQ(poll(&p, 1, 2), 0);
    close(ends_here[0]);
    CHECK_EQ(poll(&p, 1, 10000), 1);  // POLLERR: no reader is left
    CHECK((p.revents & POLLERR) != 0);
    close(ends_here[1]);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK_EQ(bind(fd, (struct sockaddr*)&where, sizeof where), 0);
    CHECK_EQ(listen(fd, 1), 0);
    struct pollfd l = {fd, POLLIN, 0};
    CHECK_EQ(poll(&l, 1, 2), 0);
    close(fd);
  }
  return NULL;
}

/// Forks while others wait; the child waits for descriptors with threads of its own.
static void* child_reader(void* raw) {
  char b;
  CHECK_EQ(read(*(int*)raw, &b, 1), 1);
  return NULL;
}
static void* have_children(void* raw) {
  (void)raw;
  for (int i = 0; i < families; ++i) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      int fds[2];
      CHECK_EQ(pipe(fds), 0);
      const pthread_t t = start(child_reader, &fds[0]);
      nap(5);
      CHECK_EQ(write(fds[1], "x", 1), 1);
      CHECK_EQ(pthread_join(t, NULL), 0);
      _exit(7);
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
  }
  return NULL;
}

/// The peer has shut its sending side down, and we wait for room to send: that is no reason to look again and again.
static int half_closed[2];
static void* fill(void* raw) {
  (void)raw;
  static char big[1 << 20];
  CHECK_EQ(write(half_closed[0], big, sizeof big), (ssize_t)sizeof big);
  close(half_closed[0]);
  return NULL;
}
static double cpu_time(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static void half_close(void) {
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, half_closed), 0);
  CHECK_EQ(shutdown(half_closed[1], SHUT_WR), 0);
  const pthread_t t = start(fill, NULL);
  const double before = cpu_time();
  nap(1000);
  CHECK(cpu_time() - before < 0.5);
  static char b[65536];
  ssize_t n, all = 0;
  while ((n = read(half_closed[1], b, sizeof b)) > 0) all += n;
  CHECK_EQ(all, 1 << 20);
  CHECK_EQ(pthread_join(t, NULL), 0);
  close(half_closed[1]);
}

/// Longer than idle kernel threads are kept: what was waited for through them must still arrive.
static int late[sleepers][2];
static void* wait_long(void* raw) {
  char b;
  CHECK_EQ(read(*(int*)raw, &b, 1), 1);
  return NULL;
}
static void* block(void* raw) {
  (void)raw;
  usleep(1000);
  return NULL;
}
static void pause_long(void) {
  pthread_t waiters[sleepers], others[sleepers];
  for (int i = 0; i < sleepers; ++i) {
    CHECK_EQ(pipe(late[i]), 0);
    waiters[i] = start(wait_long, &late[i][0]);
  }
  for (int i = 0; i < sleepers; ++i) others[i] = start(block, NULL);
  for (int i = 0; i < sleepers; ++i) CHECK_EQ(pthread_join(others[i], NULL), 0);
  nap(2500);
  for (int i = 0; i < sleepers; ++i) CHECK_EQ(write(late[i][1], "x", 1), 1);
  for (int i = 0; i < sleepers; ++i) {
    CHECK_EQ(pthread_join(waiters[i], NULL), 0);
    close(late[i][0]);
    close(late[i][1]);
  }
}

int main(void) {
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, quiet), 0);
  static pthread_t all[2 * pairs + sleepers + closers + 1];
  int n = 0;
  for (int i = 0; i < pairs; ++i) {
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]), 0);
    all[n++] = start(echo, &ends[i][0]);
    all[n++] = start(ask, &ends[i][1]);
  }
  for (long i = 0; i < sleepers; ++i) all[n++] = start(time_out, (void*)i);
  for (int i = 0; i < closers; ++i) all[n++] = start(close_and_open, NULL);
  all[n++] = start(have_children, NULL);
  while (n > 0) CHECK_EQ(pthread_join(all[--n], NULL), 0);
  puts("all pairs, timeouts, closes and children came to an end");
  half_close();
  puts("a full half-closed connection was drained");
  pause_long();
  puts("what came late arrived");
}
