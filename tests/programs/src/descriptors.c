// SPDX-License-Identifier: BSL-1.0
// What a thread may expect of a descriptor that it waits for: timeouts, flags, partial transfers, signals, cancellation, and
// numbers that are closed or taken by another file meanwhile. Each check runs in a thread of its own.
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static void nap(int ms) {
  const struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
  nanosleep(&t, NULL);
}
static void pair(int fds[2]) { CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0); }

/// Runs `later(argument)` in another thread after the caller had time to block.
struct later {
  void (*action)(int*);
  int* argument;
};
static void* run_later(void* raw) {
  const struct later* l = raw;
  nap(30);
  l->action(l->argument);
  return NULL;
}
static pthread_t start_later(struct later* l) {
  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, run_later, l), 0);
  return t;
}
static void write_one(int* fd) { CHECK_EQ(write(*fd, "x", 1), 1); }
static void close_one(int* fd) { CHECK_EQ(close(*fd), 0); }

static void kinds_of_descriptors(void) {
  int fds[2];
  char b[512];
  struct later l = {write_one, &fds[1]};
  pair(fds);
  pthread_t t = start_later(&l);
  CHECK_EQ(read(fds[0], b, sizeof b), 1);
  pthread_join(t, NULL);
  close(fds[0]), close(fds[1]);
  CHECK_EQ(pipe(fds), 0);
  t = start_later(&l);
  CHECK_EQ(read(fds[0], b, sizeof b), 1);
  pthread_join(t, NULL);
  close(fds[0]), close(fds[1]);
  CHECK_EQ(openpty(&fds[0], &fds[1], NULL, NULL, NULL), 0);
  int end = fds[0];
  struct later line = {write_one, &end};
  t = start_later(&line);
  nap(50);
  CHECK_EQ(write(fds[0], "\n", 1), 1);
  CHECK_EQ(read(fds[1], b, sizeof b), 2);
  pthread_join(t, NULL);
  close(fds[0]), close(fds[1]);

  const int timer = timerfd_create(CLOCK_MONOTONIC, 0);
  const struct itimerspec soon = {.it_value = {0, 30000000}};
  CHECK_EQ(timerfd_settime(timer, 0, &soon, NULL), 0);
  uint64_t count = 0;
  CHECK_EQ(read(timer, &count, 8), 8);
  CHECK_EQ(count, 1);
  close(timer);

  const int event = eventfd(0, 0);
  const uint64_t five = 5;
  CHECK_EQ(write(event, &five, 8), 8);
  CHECK_EQ(read(event, &count, 8), 8);
  CHECK_EQ(count, 5);
  close(event);

  char folder[] = "/tmp/weft-descriptors-XXXXXX", name[64];
  CHECK(mkdtemp(folder) != NULL);
  const int watch = inotify_init();
  CHECK(inotify_add_watch(watch, folder, IN_CREATE) >= 0);
  snprintf(name, sizeof name, "%s/x", folder);
  const int made = open(name, O_CREAT | O_RDWR, 0600);
  CHECK(read(watch, b, sizeof b) > 0);
  // A file: reading waits for nobody; what is less than asked for is the end.
  CHECK_EQ(write(made, "hello", 5), 5);
  CHECK_EQ(lseek(made, 0, SEEK_SET), 0);
  CHECK_EQ(read(made, b, 3), 3);
  CHECK_EQ(read(made, b, 100), 2);
  CHECK_EQ(read(made, b, 100), 0);
  CHECK_EQ(pread(made, b, 100, 1), 4);
  close(made), close(watch), unlink(name), rmdir(folder);
  puts("kinds of descriptors");
}

static void timeouts(void) {
  int fds[2];
  char b[8];
  pair(fds);
  const struct timeval span = {0, 60000};
  CHECK_EQ(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &span, sizeof span), 0);
  CHECK_EQ(setsockopt(fds[0], SOL_SOCKET, SO_SNDTIMEO, &span, sizeof span), 0);
  double begin = now();
  CHECK_EQ(read(fds[0], b, 1), -1);
  CHECK_EQ(errno, EAGAIN);
  CHECK(now() - begin > 0.05 && now() - begin < 2);
  static char big[1 << 20];
  ssize_t n = write(fds[0], big, sizeof big);
  CHECK(n > 0 && n < (ssize_t)sizeof big);
  CHECK_EQ(write(fds[0], big, sizeof big), -1);
  CHECK_EQ(errno, EAGAIN);
  CHECK_EQ(recv(fds[0], b, 1, MSG_DONTWAIT), -1);
  CHECK_EQ(errno, EAGAIN);
  close(fds[0]), close(fds[1]);
  puts("timeouts");
}

static void flags_stay(void) {
  int fds[2];
  char b[8];
  CHECK_EQ(pipe2(fds, O_NONBLOCK), 0);
  CHECK_EQ(read(fds[0], b, 1), -1);
  CHECK_EQ(errno, EAGAIN);
  CHECK_EQ(read(fds[0], b, 1), -1);
  CHECK_EQ(errno, EAGAIN);
  CHECK_EQ(fcntl(fds[0], F_SETFL, fcntl(fds[0], F_GETFL) & ~O_NONBLOCK), 0);
  struct later l = {write_one, &fds[1]};
  pthread_t t = start_later(&l);
  CHECK_EQ(read(fds[0], b, 1), 1);  // waits now
  pthread_join(t, NULL);
  CHECK_EQ(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
  CHECK_EQ(fcntl(fds[1], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  close(fds[0]), close(fds[1]);
  puts("flags stay as they are");
}

static void* drain(void* raw) {
  const int fd = *(int*)raw;
  static char b[65536];
  size_t sum = 0;
  ssize_t n;
  while ((n = read(fd, b, sizeof b)) > 0) sum += (size_t)n;
  CHECK_EQ(n, 0);
  return (void*)sum;
}
static void whole_transfers(void) {
  static char big[5 << 20];
  int fds[2];
  void* sum;
  pthread_t t;
  for (int kind = 0; kind < 2; ++kind) {
    if (kind == 0) {
      pair(fds);
    } else {
      CHECK_EQ(pipe(fds), 0);
    }
    CHECK_EQ(pthread_create(&t, NULL, drain, &fds[0]), 0);
    CHECK_EQ(write(fds[1], big, sizeof big), (ssize_t)sizeof big);
    struct iovec parts[3] = {{big, 1000}, {big, 3 << 20}, {big, 7}};
    CHECK_EQ(writev(fds[1], parts, 3), 1000 + (3 << 20) + 7);
    if (kind == 0) {
      struct msghdr m = {.msg_iov = parts, .msg_iovlen = 3};
      CHECK_EQ(sendmsg(fds[1], &m, 0), 1000 + (3 << 20) + 7);
      CHECK_EQ(send(fds[1], big, sizeof big, 0), (ssize_t)sizeof big);
    }
    close(fds[1]);
    CHECK_EQ(pthread_join(t, &sum), 0);
    printf("%zu bytes arrived\n", (size_t)sum);
    close(fds[0]);
  }
  pair(fds);
  CHECK_EQ(pthread_create(&t, NULL, drain, &fds[0]), 0);
  char name[] = "/tmp/weft-descriptors-XXXXXX";
  const int file = mkstemp(name);
  CHECK_EQ(write(file, big, sizeof big), (ssize_t)sizeof big);
  off_t offset = 0;
  while (offset < (off_t)sizeof big) CHECK(sendfile(fds[1], file, &offset, sizeof big) > 0);
  close(fds[1]), close(file), unlink(name);
  CHECK_EQ(pthread_join(t, &sum), 0);
  printf("%zu bytes were sent from a file\n", (size_t)sum);
  close(fds[0]);

  pair(fds);
  struct later l = {write_one, &fds[1]};
  CHECK_EQ(write(fds[1], "abc", 3), 3);
  pthread_t later = start_later(&l);
  char b[8];
  CHECK_EQ(recv(fds[0], b, 4, MSG_WAITALL), 4);
  pthread_join(later, NULL);
  CHECK_EQ(write(fds[1], "ab", 2), 2);
  close(fds[1]);
  CHECK_EQ(recv(fds[0], b, 8, MSG_WAITALL), 2);
  close(fds[0]);

  CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
  struct iovec one[4];
  struct mmsghdr several[4];
  char data[4][8] = {"a", "bb", "ccc", "dddd"};
  for (int i = 0; i < 4; ++i) {
    one[i] = (struct iovec){data[i], (size_t)i + 1};
    several[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &one[i], .msg_iovlen = 1}};
  }
  CHECK_EQ(sendmmsg(fds[1], several, 4, 0), 4);
  CHECK_EQ(recvmmsg(fds[0], several, 4, MSG_WAITFORONE, NULL), 4);
  for (int i = 0; i < 4; ++i) CHECK_EQ(several[i].msg_len, (unsigned)i + 1);
  close(fds[0]), close(fds[1]);
  puts("whole transfers");
}

static void peers_that_go(void) {
  int fds[2];
  char b[8];
  pair(fds);
  struct later l = {close_one, &fds[1]};
  pthread_t t = start_later(&l);
  CHECK_EQ(read(fds[0], b, 1), 0);
  pthread_join(t, NULL);
  signal(SIGPIPE, SIG_IGN);
  CHECK_EQ(write(fds[0], b, 1), -1);
  CHECK_EQ(errno, EPIPE);
  close(fds[0]);
  // While a writer waits for room.
  CHECK_EQ(pipe(fds), 0);
  static char big[1 << 20];
  struct later reader = {close_one, &fds[0]};
  t = start_later(&reader);
  const ssize_t n = write(fds[1], big, sizeof big);
  CHECK(n == -1 ? errno == EPIPE : n > 0 && n < (ssize_t)sizeof big);
  pthread_join(t, NULL);
  close(fds[1]);
  puts("peers that go");
}

struct waiting {
  int fd;
  ssize_t got;
  char byte;
};
static void* read_byte(void* raw) {
  struct waiting* w = raw;
  w->got = read(w->fd, &w->byte, 1);
  return NULL;
}
static void numbers_that_change(void) {
  // As in the kernel: who waits for a file keeps it open, and gets what arrives there.
  int fds[2], others[2];
  pair(fds), pair(others);
  struct waiting w = {.fd = fds[0]};
  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, read_byte, &w), 0);
  nap(50);
  CHECK_EQ(dup2(others[0], fds[0]), fds[0]);
  CHECK_EQ(write(others[1], "o", 1), 1);
  nap(50);
  CHECK_EQ(write(fds[1], "f", 1), 1);
  pthread_join(t, NULL);
  CHECK_EQ(w.got, 1);
  CHECK_EQ(w.byte, 'f');
  char b;
  CHECK_EQ(read(fds[0], &b, 1), 1);
  CHECK_EQ(b, 'o');
  close(fds[0]), close(fds[1]), close(others[0]), close(others[1]);

  pair(fds);
  w = (struct waiting){.fd = fds[0]};
  CHECK_EQ(pthread_create(&t, NULL, read_byte, &w), 0);
  nap(50);
  close(fds[0]);
  pair(others);  // takes the number
  CHECK_EQ(others[0], w.fd);
  CHECK_EQ(write(fds[1], "g", 1), 1);
  pthread_join(t, NULL);
  CHECK_EQ(w.got, 1);
  CHECK_EQ(w.byte, 'g');
  signal(SIGPIPE, SIG_IGN);
  nap(20);
  CHECK_EQ(write(fds[1], "h", 1), -1);  // with its last reader the file went
  CHECK_EQ(errno, EPIPE);
  // The new file at the number works, and a FILE closes its number, too.
  FILE* stream = fdopen(others[0], "r+");
  w = (struct waiting){.fd = others[0]};
  CHECK_EQ(pthread_create(&t, NULL, read_byte, &w), 0);
  nap(30);
  CHECK_EQ(write(others[1], "i", 1), 1);
  pthread_join(t, NULL);
  CHECK_EQ(w.got, 1);
  fclose(stream);
  CHECK_EQ(read(others[1], &b, 1), 0);
  close(fds[1]), close(others[1]);
  puts("numbers that change");
}

static volatile sig_atomic_t handled;
static void on_signal(int signal) { handled = signal; }
static void* interrupt(void* raw) {
  nap(50);
  CHECK_EQ(pthread_kill(*(pthread_t*)raw, SIGUSR1), 0);
  nap(80);
  CHECK_EQ(pthread_kill(*(pthread_t*)raw, SIGUSR2), 0);
  return NULL;
}
static void signals(void) {
  struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  CHECK_EQ(sigaction(SIGUSR1, &a, NULL), 0);
  a.sa_flags = 0;
  CHECK_EQ(sigaction(SIGUSR2, &a, NULL), 0);
  int fds[2];
  char b;
  pair(fds);
  pthread_t me = pthread_self(), t;
  for (int call = 0; call < 4; ++call) {
    CHECK_EQ(pthread_create(&t, NULL, interrupt, &me), 0);
    long result = 0;
    struct pollfd p = {.fd = fds[0], .events = POLLIN};
    struct timespec second = {5, 0};
    switch (call) {
      case 0:
        result = read(fds[0], &b, 1);  // restarted after the first, ended by the second
        CHECK_EQ(handled, SIGUSR2);
        break;
      case 1:
        result = poll(&p, 1, 5000);  // never restarted
        break;
      case 2:
        result = ppoll(&p, 1, &second, NULL);
        break;
      default:
        result = recv(fds[0], &b, 1, 0);
        CHECK_EQ(handled, SIGUSR2);
    }
    CHECK_EQ(result, -1);
    CHECK_EQ(errno, EINTR);
    pthread_join(t, NULL);
  }
  // A mask for the wait alone.
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR2);
  CHECK_EQ(pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
  handled = 0;
  CHECK_EQ(pthread_kill(me, SIGUSR2), 0);
  CHECK_EQ(handled, 0);
  struct pollfd p = {.fd = fds[0], .events = POLLIN};
  CHECK_EQ(ppoll(&p, 1, NULL, &before), -1);
  CHECK_EQ(errno, EINTR);
  CHECK_EQ(handled, SIGUSR2);
  sigset_t after;
  CHECK_EQ(pthread_sigmask(SIG_SETMASK, &before, &after), 0);
  CHECK_EQ(sigismember(&after, SIGUSR2), 1);
  close(fds[0]), close(fds[1]);
  puts("signals");
}

static void polling(void) {
  int a[2], b[2];
  pair(a);
  CHECK_EQ(pipe(b), 0);
  struct later l = {write_one, &b[1]};
  pthread_t t = start_later(&l);
  struct pollfd set[3] = {{.fd = a[0], .events = POLLIN}, {.fd = b[0], .events = POLLIN}, {.fd = -1, .events = POLLIN}};
  CHECK_EQ(poll(set, 3, 5000), 1);
  CHECK_EQ(set[1].revents, POLLIN);
  CHECK_EQ(set[0].revents | set[2].revents, 0);
  pthread_join(t, NULL);
  char byte;
  CHECK_EQ(read(b[0], &byte, 1), 1);

  double begin = now();
  CHECK_EQ(poll(set, 3, 60), 0);
  CHECK(now() - begin > 0.05);
  CHECK_EQ(poll(NULL, 0, 20), 0);

  t = start_later(&l);
  fd_set r, w;
  FD_ZERO(&r);
  FD_ZERO(&w);
  FD_SET(a[0], &r);
  FD_SET(b[0], &r);
  struct timeval span = {5, 0};
  CHECK_EQ(select(64, &r, NULL, NULL, &span), 1);
  CHECK(FD_ISSET(b[0], &r) && !FD_ISSET(a[0], &r));
  CHECK(span.tv_sec == 4 && span.tv_usec > 0);
  pthread_join(t, NULL);
  CHECK_EQ(read(b[0], &byte, 1), 1);
  FD_ZERO(&r);
  FD_SET(a[0], &r);
  FD_ZERO(&w);
  FD_SET(a[0], &w);
  CHECK_EQ(select(64, &r, &w, NULL, NULL), 1);
  CHECK(!FD_ISSET(a[0], &r) && FD_ISSET(a[0], &w));
  FD_ZERO(&r);
  FD_SET(a[0], &r);
  span = (struct timeval){0, 40000};
  CHECK_EQ(select(64, &r, NULL, NULL, &span), 0);
  CHECK(!FD_ISSET(a[0], &r));
  span = (struct timeval){0, 20000};
  CHECK_EQ(select(0, NULL, NULL, NULL, &span), 0);

  const int inner = epoll_create1(0), outer = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN, .data.fd = b[0]}, got[4];
  CHECK_EQ(epoll_ctl(inner, EPOLL_CTL_ADD, b[0], &e), 0);
  e.data.fd = inner;
  CHECK_EQ(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &e), 0);
  CHECK_EQ(epoll_wait(outer, got, 4, 30), 0);
  t = start_later(&l);
  CHECK_EQ(epoll_wait(outer, got, 4, -1), 1);
  CHECK_EQ(got[0].data.fd, inner);
  CHECK_EQ(epoll_wait(inner, got, 4, -1), 1);
  CHECK_EQ(got[0].data.fd, b[0]);
  pthread_join(t, NULL);
  close(inner), close(outer);
  struct pollfd bad = {.fd = 12345, .events = POLLIN};
  CHECK_EQ(poll(&bad, 1, -1), 1);
  CHECK_EQ(bad.revents, POLLNVAL);
  close(a[0]), close(a[1]), close(b[0]), close(b[1]);
  puts("polling");
}

static int listener(struct sockaddr_in* at) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  CHECK_EQ(bind(fd, (struct sockaddr*)at, sizeof *at), 0);
  socklen_t size = sizeof *at;
  CHECK_EQ(getsockname(fd, (struct sockaddr*)at, &size), 0);
  CHECK_EQ(listen(fd, 128), 0);
  return fd;
}
/// With io=uring a closed file may live for some microseconds more (docs/decisions/0018).
static bool closes_late;

static int accepted;
static void* accept_some(void* raw) {
  const int fd = *(int*)raw;
  for (int i = 0; i < 10; ++i) {
    const int c = accept(fd, NULL, NULL);
    CHECK(c >= 0);
    __atomic_add_fetch(&accepted, 1, __ATOMIC_SEQ_CST);
    close(c);
  }
  return NULL;
}
static void connections(void) {
  struct sockaddr_in at;
  int fd = listener(&at);
  pthread_t t[20];
  for (int i = 0; i < 20; ++i) CHECK_EQ(pthread_create(&t[i], NULL, accept_some, &fd), 0);
  for (int i = 0; i < 200; ++i) {
    const int c = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_EQ(connect(c, (struct sockaddr*)&at, sizeof at), 0);
    CHECK_EQ(fcntl(c, F_GETFL) & O_NONBLOCK, 0);
    char b;
    CHECK_EQ(read(c, &b, 1), 0);
    close(c);
  }
  for (int i = 0; i < 20; ++i) pthread_join(t[i], NULL);
  const struct timeval span = {0, 50000};
  CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &span, sizeof span), 0);
  CHECK_EQ(accept(fd, NULL, NULL), -1);
  CHECK_EQ(errno, EAGAIN);
  close(fd);
  for (int again = closes_late ? 1000 : 0; again >= 0; --again) {
    const int c = socket(AF_INET, SOCK_STREAM, 0);
    const int result = connect(c, (struct sockaddr*)&at, sizeof at), error = errno;
    close(c);
    if (result == -1 && error == ECONNREFUSED) break;
    CHECK(again != 0);
    nap(1);
  }
  printf("%d connections\n", accepted);
}

static void* read_for_ever(void* raw) {
  char b;
  for (;;) CHECK_EQ(read(*(int*)raw, &b, 1), 1);
  return NULL;
}
static void cancellation(void) {
  int fds[2];
  pair(fds);
  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, read_for_ever, &fds[0]), 0);
  nap(30);
  CHECK_EQ(pthread_cancel(t), 0);
  void* result;
  CHECK_EQ(pthread_join(t, &result), 0);
  CHECK(result == PTHREAD_CANCELED);
  close(fds[0]), close(fds[1]);
  puts("cancellation");
}

static void children(void) {
  int fds[2];
  CHECK_EQ(pipe(fds), 0);
  struct waiting w = {.fd = fds[0]};
  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, read_byte, &w), 0);
  nap(30);
  const pid_t child = fork();
  if (child == 0) {
    // Threads of the child wait, too; the parent's are not there.
    int own[2];
    CHECK_EQ(pipe(own), 0);
    struct later l = {write_one, &own[1]};
    const pthread_t later = start_later(&l);
    struct waiting v = {.fd = own[0]};
    pthread_t reader;
    CHECK_EQ(pthread_create(&reader, NULL, read_byte, &v), 0);
    pthread_join(reader, NULL), pthread_join(later, NULL);
    _exit(v.got == 1 ? 7 : 1);
  }
  int status;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
  CHECK_EQ(write(fds[1], "c", 1), 1);
  pthread_join(t, NULL);
  CHECK_EQ(w.got, 1);
  close(fds[0]), close(fds[1]);
  puts("children");
}

static void* in_thread(void* raw) {
  ((void (*)(void))raw)();
  return NULL;
}
int main(int argc, char** argv) {
  closes_late = argc > 1 && strcmp(argv[1], "closes-late") == 0;
  void (*const checks[])(void) = {kinds_of_descriptors, timeouts, flags_stay,  whole_transfers, peers_that_go, numbers_that_change,
                                  signals,              polling,  connections, cancellation,    children};
  for (size_t i = 0; i < sizeof checks / sizeof checks[0]; ++i) {
    pthread_t t;
    CHECK_EQ(pthread_create(&t, NULL, in_thread, (void*)checks[i]), 0);
    CHECK_EQ(pthread_join(t, NULL), 0);
    fflush(stdout);
  }
  return 0;
}
