// SPDX-License-Identifier: BSL-1.0
// Many more threads blocked in the kernel than there are carriers, by calls of every kind, while others compute, hand over and in
// the end unblock them. A runtime that lets a blocked thread keep its carrier stops here for ever.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { each = 4, kinds = 7 };

static int to_reader[2], to_poller[2], to_epoll[2], sockets[2];
static int word;
static int unblocked[kinds];

static void done(int kind) { __atomic_add_fetch(&unblocked[kind], 1, __ATOMIC_SEQ_CST); }

static void* in_read(void* unused) {
  (void)unused;
  char byte;
  CHECK_EQ(read(to_reader[0], &byte, 1), 1);
  done(0);
  return NULL;
}
static void* in_poll(void* unused) {
  (void)unused;
  struct pollfd what = {.fd = to_poller[0], .events = POLLIN};
  CHECK_EQ(poll(&what, 1, -1), 1);
  done(1);
  return NULL;
}
static void* in_epoll(void* unused) {
  (void)unused;
  const int epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN};
  CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, to_epoll[0], &event), 0);
  CHECK_EQ(epoll_wait(epoll, &event, 1, -1), 1);
  close(epoll);
  done(2);
  return NULL;
}
static void* in_recv(void* unused) {
  (void)unused;
  char byte;
  CHECK_EQ(recv(sockets[0], &byte, 1, 0), 1);
  done(3);
  return NULL;
}
static void* in_futex(void* unused) {
  (void)unused;
  while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) == 0) {
    const long result = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    CHECK(result == 0 || errno == EAGAIN || errno == EINTR);
  }
  done(4);
  return NULL;
}
static void* in_flock(void* name) {
  const int fd = open(name, O_RDWR);  // an open file of its own: flock belongs to it
  CHECK(fd >= 0);
  CHECK_EQ(flock(fd, LOCK_EX), 0);
  CHECK_EQ(flock(fd, LOCK_UN), 0);
  close(fd);
  done(5);
  return NULL;
}
static void* in_wait(void* unused) {
  (void)unused;
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    char byte;
    _exit(read(to_reader[0], &byte, 1) == 1 ? 6 : 1);
  }
  int status = 0;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status));
  CHECK_EQ(WEXITSTATUS(status), 6);
  done(6);
  return NULL;
}

static sem_t ping, pong;
static void* answer(void* rounds) {
  for (long i = 0; i < (long)rounds; ++i) {
    sem_wait(&ping);
    sem_post(&pong);
  }
  return NULL;
}
static void* compute(void* sum) {
  for (long i = 0; i < 30000000; ++i) *(volatile long*)sum += i % 3;
  return NULL;
}

int main(void) {
  char name[] = "/tmp/weft-blocked-XXXXXX";
  const int file = mkstemp(name);
  CHECK(file >= 0);
  CHECK_EQ(flock(file, LOCK_EX), 0);
  CHECK_EQ(pipe(to_reader) | pipe(to_poller) | pipe(to_epoll), 0);
  CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
  CHECK_EQ(sem_init(&ping, 0, 0) | sem_init(&pong, 0, 0), 0);

  void* (*const bodies[kinds])(void*) = {in_read, in_poll, in_epoll, in_recv, in_futex, in_flock, in_wait};
  pthread_t blocked[kinds * each], answering, computing[3];
  for (int i = 0; i < kinds * each; ++i) CHECK_EQ(pthread_create(&blocked[i], NULL, bodies[i % kinds], name), 0);

  // While they are blocked: threads that switch and threads that compute get on.
  enum { rounds = 2000 };
  long sums[3] = {0};
  CHECK_EQ(pthread_create(&answering, NULL, answer, (void*)(long)rounds), 0);
  for (int i = 0; i < 3; ++i) CHECK_EQ(pthread_create(&computing[i], NULL, compute, &sums[i]), 0);
  for (int i = 0; i < rounds; ++i) {
    sem_post(&ping);
    sem_wait(&pong);
  }
  CHECK_EQ(pthread_join(answering, NULL), 0);
  for (int i = 0; i < 3; ++i) CHECK_EQ(pthread_join(computing[i], NULL), 0);
  printf("%d rounds and sums %ld %ld %ld while %d threads were blocked\n", rounds, sums[0], sums[1], sums[2], kinds * each);
  for (int kind = 0; kind < kinds; ++kind) CHECK_EQ(__atomic_load_n(&unblocked[kind], __ATOMIC_SEQ_CST), 0);

  CHECK_EQ(write(to_reader[1], "12345678", 2 * each), 2 * each);  // the threads in read, and the children of those in waitpid
  CHECK_EQ(write(to_poller[1], "x", 1), 1);
  CHECK_EQ(write(to_epoll[1], "x", 1), 1);
  CHECK_EQ(send(sockets[1], "1234", each, 0), each);
  __atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1000, NULL, NULL, 0);
  CHECK_EQ(flock(file, LOCK_UN), 0);
  for (int i = 0; i < kinds * each; ++i) CHECK_EQ(pthread_join(blocked[i], NULL), 0);
  for (int kind = 0; kind < kinds; ++kind) printf("%d unblocked\n", unblocked[kind]);
  unlink(name);
  return 0;
}
