// SPDX-License-Identifier: BSL-1.0
// Fifty threads at a time in a call that blocks in the kernel and cannot be parked, one kind of call after the other, while a
// ticker must keep its pace. Then the errors of the same calls, and cancellation out of each.
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <mqueue.h>
#include <netdb.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <syslog.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { crowd = 50 };

struct message {
  long type;
  char text[8];
};

static char directory[] = "/tmp/weft-handed-off-XXXXXX";
static char file[64], fifo[crowd][64], queue_name[64];
static int lock_fd, semaphores, messages, release_pipe[2];
static mqd_t queue;
static pid_t children[crowd];
static int inside, outside;

static void entered(void) { __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST); }
static int value(int* count) { return __atomic_load_n(count, __ATOMIC_SEQ_CST); }
static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static void nap(long milliseconds) { nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000}, NULL); }

// -- what blocks; each returns what the program is to see --

static long in_flock(long i) {
  (void)i;
  const int fd = open(file, O_RDWR);
  CHECK(fd >= 0);
  entered();
  const int result = flock(fd, LOCK_SH);
  close(fd);
  return result;
}
static long in_fcntl(long i) {
  const int fd = open(file, O_RDWR);
  CHECK(fd >= 0);
  struct flock wanted = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100 + i, .l_len = 1};
  entered();
  const int result = fcntl(fd, F_OFD_SETLKW, &wanted);
  close(fd);
  return result;
}
static long in_waitpid(long i) {
  int status = 0;
  entered();
  const pid_t got = waitpid(children[i], &status, 0);
  CHECK_EQ(got, children[i]);
  return WEXITSTATUS(status);
}
static long in_waitid(long i) {
  siginfo_t info;
  memset(&info, 0x55, sizeof info);
  entered();
  const int result = waitid(P_PID, (id_t)children[i], &info, WEXITED);
  CHECK_EQ(result, 0);
  CHECK_EQ(info.si_pid, children[i]);
  return info.si_status;
}
static long in_open(long i) {
  entered();
  const int fd = open(fifo[i], O_RDONLY);
  if (fd >= 0) close(fd);
  return fd >= 0;
}
static long in_semop(long i) {
  (void)i;
  struct sembuf take = {.sem_num = 0, .sem_op = -1};
  entered();
  return semop(semaphores, &take, 1);
}
static long in_semtimedop(long i) {
  (void)i;
  struct sembuf take = {.sem_num = 0, .sem_op = -1};
  entered();
  return semtimedop(semaphores, &take, 1, &(struct timespec){.tv_sec = 60});
}
static long in_msgrcv(long i) {
  struct message m;
  entered();
  const ssize_t bytes = msgrcv(messages, &m, sizeof m.text, i + 1, 0);
  return bytes < 0 ? -errno : bytes + m.text[0];
}
static long in_mq_receive(long i) {
  (void)i;
  char buffer[16];
  unsigned priority = 0;
  entered();
  const ssize_t bytes = mq_receive(queue, buffer, sizeof buffer, &priority);
  return bytes < 0 ? -errno : bytes + priority;
}
static long in_mq_timedreceive(long i) {
  (void)i;
  char buffer[16];
  struct timespec when;
  clock_gettime(CLOCK_REALTIME, &when);
  when.tv_sec += 60;
  entered();
  const ssize_t bytes = mq_timedreceive(queue, buffer, sizeof buffer, NULL, &when);
  return bytes < 0 ? -errno : bytes;
}
static long in_names(long i) {
  struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
  entered();
  const int error = getaddrinfo(i % 2 != 0 ? "localhost" : "127.0.0.1", "80", &hints, &found);
  if (error != 0) return error;
  char host[64], service[16];
  CHECK_EQ(getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof host, service, sizeof service, NI_NUMERICHOST | NI_NUMERICSERV), 0);
  freeaddrinfo(found);
  CHECK(strcmp(host, "127.0.0.1") == 0 && strcmp(service, "80") == 0);
  struct passwd user, *me = NULL;
  struct group g, *mine = NULL;
  char buffer[4096];
  CHECK_EQ(getpwuid_r(0, &user, buffer, sizeof buffer, &me), 0);
  CHECK(me != NULL && strcmp(me->pw_name, "root") == 0);
  CHECK_EQ(getgrnam_r("root", &g, buffer, sizeof buffer, &mine), 0);
  CHECK(mine != NULL && mine->gr_gid == 0);
  gid_t groups[64];
  int count = 64;
  return getgrouplist("root", 0, groups, &count) >= 1 ? 0 : -1;
}

// -- how it begins and how it ends --

static void nothing(void) {}
static void make_children(void) {
  CHECK_EQ(pipe(release_pipe), 0);
  for (int i = 0; i < crowd; ++i) {
    children[i] = fork();
    CHECK(children[i] >= 0);
    if (children[i] != 0) continue;
    char byte;
    close(release_pipe[1]);
    (void)!read(release_pipe[0], &byte, 1);
    _exit(i % 7);
  }
  close(release_pipe[0]);
}
static void release_children(void) { close(release_pipe[1]); }
static void lock_file(void) { CHECK_EQ(flock(lock_fd, LOCK_EX), 0); }
static void unlock_file(void) { CHECK_EQ(flock(lock_fd, LOCK_UN), 0); }
static void lock_range(void) {
  struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  CHECK_EQ(fcntl(lock_fd, F_OFD_SETLKW, &all), 0);
}
static void unlock_range(void) {
  struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
  CHECK_EQ(fcntl(lock_fd, F_OFD_SETLK, &all), 0);
}
static void open_others(void) {
  for (int i = 0; i < crowd; ++i) {
    const int fd = open(fifo[i], O_WRONLY);
    CHECK(fd >= 0);
    close(fd);
  }
}
static void post_all(void) {
  struct sembuf give = {.sem_num = 0, .sem_op = crowd};
  CHECK_EQ(semop(semaphores, &give, 1), 0);
}
static void message_all(void) {
  for (int i = 0; i < crowd; ++i) {
    struct message m = {.type = i + 1, .text = {(char)i}};
    CHECK_EQ(msgsnd(messages, &m, 1, 0), 0);
  }
}
static void queue_all(void) {
  for (int i = 0; i < crowd; ++i) CHECK_EQ(mq_send(queue, "abc", 3, 2), 0);
}

struct kind {
  const char* name;
  void (*prepare)(void);
  long (*block)(long);
  void (*release)(void);
  int blocks;
};
static const struct kind kinds[] = {
    {"flock", lock_file, in_flock, unlock_file, 1},
    {"fcntl", lock_range, in_fcntl, unlock_range, 1},
    {"waitpid", make_children, in_waitpid, release_children, 1},
    {"waitid", make_children, in_waitid, release_children, 1},
    {"open", nothing, in_open, open_others, 1},
    {"semop", nothing, in_semop, post_all, 1},
    {"semtimedop", nothing, in_semtimedop, post_all, 1},
    {"msgrcv", nothing, in_msgrcv, message_all, 1},
    {"mq_receive", nothing, in_mq_receive, queue_all, 1},
    {"mq_timedreceive", nothing, in_mq_timedreceive, queue_all, 1},
    {"names", nothing, in_names, nothing, 0},
};
enum { kind_count = sizeof kinds / sizeof *kinds };
static const struct kind* kind;

static void* in_kind(void* i) {
  const long result = kind->block((long)i);
  __atomic_add_fetch(&outside, 1, __ATOMIC_SEQ_CST);
  return (void*)result;
}

static int stop;
static void* tick(void* slowest) {
  for (double last = now(); value(&stop) == 0;) {
    nap(2);
    const double t = now();
    if (t - last > *(double*)slowest) *(double*)slowest = t - last;
    last = t;
  }
  return NULL;
}

static void run_kind(const struct kind* k) {
  kind = k;
  inside = outside = stop = 0;
  k->prepare();
  double slowest = 0;
  pthread_t ticker, threads[crowd];
  CHECK_EQ(pthread_create(&ticker, NULL, tick, &slowest), 0);
  for (long i = 0; i < crowd; ++i) CHECK_EQ(pthread_create(&threads[i], NULL, in_kind, (void*)i), 0);
  while (value(&inside) != crowd) nap(1);
  nap(50);
  if (k->blocks) CHECK_EQ(value(&outside), 0);
  k->release();
  long sum = 0;
  for (int i = 0; i < crowd; ++i) {
    void* result;
    CHECK_EQ(pthread_join(threads[i], &result), 0);
    sum += (long)result;
  }
  __atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
  CHECK_EQ(pthread_join(ticker, NULL), 0);
  if (slowest >= 1) fprintf(stderr, "%s: the ticker stood still for %.3f s\n", k->name, slowest);
  printf("%s: %d threads, results %ld\n", k->name, crowd, sum);
}

// -- errors --

#define ERROR(call)                                          \
  do {                                                       \
    errno = 0;                                               \
    const long result_ = (long)(call);                       \
    printf("%s: %ld %s\n", #call, result_, strerror(errno)); \
  } while (0)

static void* errors(void* unused) {
  struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET}, wrong = {.l_type = 77};
  struct sembuf take = {.sem_op = -1}, out = {.sem_num = 9, .sem_op = -1}, at_once = {.sem_op = -1, .sem_flg = IPC_NOWAIT};
  struct message m = {.type = 1};
  struct timespec past = {0}, bad = {.tv_nsec = 2000000000}, soon = {.tv_nsec = 1000000};
  char buffer[16];
  siginfo_t info;
  ERROR(fsync(-1));
  ERROR(fdatasync(-1));
  ERROR(syncfs(-1));
  ERROR(fsync(lock_fd));
  ERROR(msync((void*)1, 1, MS_SYNC));
  ERROR(ftruncate(-1, 0));
  ERROR(truncate(file, -1));
  ERROR(posix_fallocate(-1, 0, 1));
  ERROR(tcdrain(lock_fd));
  ERROR(flock(-1, LOCK_EX));
  ERROR(flock(lock_fd, 0));
  ERROR(flock(lock_fd, LOCK_EX | LOCK_SH));
  ERROR(flock(lock_fd, LOCK_EX));
  ERROR(flock(lock_fd, LOCK_UN));
  ERROR(lockf(-1, F_LOCK, 0));
  ERROR(lockf(lock_fd, F_LOCK, 0));
  ERROR(lockf(lock_fd, F_ULOCK, 0));
  ERROR(lockf(lock_fd, 99, 0));
  ERROR(fcntl(-1, F_SETLKW, &range));
  ERROR(fcntl(lock_fd, F_SETLKW, &wrong));
  ERROR(fcntl(lock_fd, F_SETLKW, (void*)8));
  ERROR(fcntl(lock_fd, 9999, 0));
  ERROR(fcntl(lock_fd, F_GETFL));
  ERROR(fcntl(lock_fd, F_SETFL, O_APPEND));
  ERROR(fcntl(lock_fd, F_GETFL) & O_APPEND);
  ERROR(fcntl(-1, F_DUPFD, 10));
  ERROR(open("/tmp/weft-no-such-directory/file", O_RDONLY));
  ERROR(open((char*)8, O_RDONLY));
  ERROR(open(directory, O_WRONLY));
  ERROR(openat(-1, "relative", O_RDONLY));
  ERROR(creat("/tmp/weft-no-such-directory/file", 0600));
  ERROR(open(fifo[0], O_WRONLY | O_NONBLOCK));
  ERROR(fopen("/tmp/weft-no-such-directory/file", "r") != NULL);
  ERROR(waitpid(getpid(), NULL, 0));
  ERROR(waitpid(-1, NULL, 0x40000000 - 1));
  ERROR(waitpid(-1, NULL, 0));
  ERROR(wait(NULL));
  ERROR(wait4(-1, NULL, WNOHANG, NULL));
  ERROR(waitid(P_ALL, 0, &info, WEXITED));
  ERROR(waitid(P_ALL, 0, &info, 0));
  ERROR(waitid(P_PIDFD, 9999, &info, WEXITED));
  ERROR(semop(-1, &take, 1));
  ERROR(semop(semaphores, &out, 1));
  ERROR(semop(semaphores, &at_once, 1));
  ERROR(semop(semaphores, &take, 0));
  ERROR(semop(semaphores, (void*)8, 1));
  ERROR(semop(semaphores, &take, 100000));
  ERROR(semtimedop(semaphores, &take, 1, &bad));
  ERROR(semtimedop(semaphores, &take, 1, &soon));
  ERROR(msgrcv(-1, &m, 8, 0, 0));
  ERROR(msgrcv(messages, &m, 8, 0, IPC_NOWAIT));
  ERROR(msgsnd(messages, &(struct message){.type = 0}, 8, 0));
  ERROR(msgsnd(messages, &m, 8, 0));
  ERROR(msgrcv(messages, &m, 0, 0, 0));
  ERROR(msgrcv(messages, &m, 0, 0, MSG_NOERROR));
  ERROR(mq_receive(-1, buffer, 16, NULL));
  ERROR(mq_receive(queue, buffer, 1, NULL));
  ERROR(mq_send(queue, buffer, 100, 0));
  ERROR(mq_timedreceive(queue, buffer, 16, NULL, &past));
  ERROR(mq_timedreceive(queue, buffer, 16, NULL, &bad));
  ERROR(mq_send(queue, "x", 1, 0));
  ERROR(mq_timedreceive(queue, buffer, 16, NULL, &past));
  ERROR(pclose(popen("exit 3", "r")));
  syslog(LOG_DEBUG, "%s", "a line");
  return unused;
}

// Two processes each want what the other has: the kernel sees that they would wait for ever.
static void* deadlocked(void* unused) {
  int here[2], there[2];
  char byte = 0;
  CHECK_EQ(pipe(here) | pipe(there), 0);
  const pid_t child = fork();
  CHECK(child >= 0);
  const int fd = open(file, O_RDWR);
  struct flock mine = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = child == 0 ? 1001 : 1000, .l_len = 1}, other = mine;
  other.l_start = child == 0 ? 1000 : 1001;
  CHECK_EQ(fcntl(fd, F_SETLKW, &mine), 0);
  CHECK_EQ(write(child == 0 ? here[1] : there[1], &byte, 1), 1);
  CHECK_EQ(read(child == 0 ? there[0] : here[0], &byte, 1), 1);
  const int result = fcntl(fd, F_SETLKW, &other);
  const int error = errno;
  if (child == 0) _exit(result == 0 ? 0 : error == EDEADLK ? 2 : 3);
  close(fd);
  int status;
  CHECK_EQ(waitpid(child, &status, 0), child);
  // Whoever came second is told; the other gets its lock.
  CHECK((result == -1 && error == EDEADLK && WEXITSTATUS(status) == 0) || (result == 0 && WEXITSTATUS(status) == 2));
  puts("the deadlock is seen");
  for (int i = 0; i < 2; ++i) close(here[i]), close(there[i]);
  return unused;
}

// -- interrupted and cancelled --

static int handled;
static void on_signal(int s) {
  (void)s;
  __atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
}

static void* interrupted(void* unused) {
  errno = 0;
  const long result = kind->block(0);
  CHECK_EQ(result < 0 ? 1 : 0, 1);
  printf("%s is interrupted: %s\n", kind->name, result == -1 ? strerror(errno) : strerror((int)-result));
  __atomic_add_fetch(&outside, 1, __ATOMIC_SEQ_CST);
  return unused;
}
static void interrupt(const struct kind* k) {
  kind = k;
  inside = outside = 0;
  k->prepare();
  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, interrupted, NULL), 0);
  while (value(&inside) == 0) nap(1);
  // It may not be in the call yet when the first signal comes.
  while (value(&outside) == 0) {
    nap(20);
    if (value(&outside) == 0) pthread_kill(t, SIGUSR1);
  }
  CHECK_EQ(pthread_join(t, NULL), 0);
  k->release();
}

static void cleaned(void* count) { ++*(int*)count; }
static void* cancelled(void* count) {
  pthread_cleanup_push(cleaned, count);
  kind->block(0);
  pthread_cleanup_pop(0);
  return NULL;
}
static void cancel(const struct kind* k, int at_once) {
  kind = k;
  inside = 0;
  k->prepare();
  pthread_t t;
  int count = 0;
  void* result;
  CHECK_EQ(pthread_create(&t, NULL, cancelled, &count), 0);
  while (value(&inside) == 0) nap(1);
  if (!at_once) nap(20);
  CHECK_EQ(pthread_cancel(t), 0);
  CHECK_EQ(pthread_join(t, &result), 0);
  CHECK(result == PTHREAD_CANCELED);
  CHECK_EQ(count, 1);
  k->release();
}

/// For one thread that leaves its call otherwise: nothing comes for it.
static const struct kind* alone(const char* name) {
  static struct kind found;
  for (int i = 0; i < kind_count; ++i) {
    if (strcmp(kinds[i].name, name) == 0) found = kinds[i];
  }
  if (found.prepare == nothing) found.release = nothing;
  return &found;
}
static void drain(void) {
  struct message m;
  char buffer[16];
  while (msgrcv(messages, &m, sizeof m.text, 0, IPC_NOWAIT) >= 0) continue;
  while (mq_timedreceive(queue, buffer, sizeof buffer, NULL, &(struct timespec){0}) >= 0) continue;
  while (waitpid(-1, NULL, 0) > 0) continue;
  CHECK_EQ(semctl(semaphores, 0, SETVAL, 0), 0);
}

int main(void) {
  CHECK(mkdtemp(directory) != NULL);
  snprintf(file, sizeof file, "%s/file", directory);
  for (int i = 0; i < crowd; ++i) {
    snprintf(fifo[i], sizeof fifo[i], "%s/fifo%d", directory, i);
    CHECK_EQ(mkfifo(fifo[i], 0600), 0);
  }
  lock_fd = open(file, O_RDWR | O_CREAT, 0600);
  CHECK(lock_fd >= 0);
  semaphores = semget(IPC_PRIVATE, 1, 0600);
  messages = msgget(IPC_PRIVATE, 0600);
  snprintf(queue_name, sizeof queue_name, "/weft-handed-off-%d", (int)getpid());
  queue = mq_open(queue_name, O_RDWR | O_CREAT | O_EXCL, 0600, &(struct mq_attr){.mq_maxmsg = 10, .mq_msgsize = 16});
  CHECK(semaphores >= 0 && messages >= 0 && queue != (mqd_t)-1);
  mq_unlink(queue_name);

  for (int i = 0; i < kind_count; ++i) run_kind(&kinds[i]);

  pthread_t t;
  CHECK_EQ(pthread_create(&t, NULL, errors, NULL), 0);
  CHECK_EQ(pthread_join(t, NULL), 0);
  drain();
  CHECK_EQ(pthread_create(&t, NULL, deadlocked, NULL), 0);
  CHECK_EQ(pthread_join(t, NULL), 0);

  struct sigaction action = {.sa_handler = on_signal};
  CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
  interrupt(alone("flock"));
  interrupt(alone("fcntl"));
  interrupt(alone("semop"));
  interrupt(alone("semtimedop"));
  interrupt(alone("msgrcv"));
  interrupt(alone("mq_receive"));
  interrupt(alone("mq_timedreceive"));
  drain();
  CHECK(value(&handled) >= 7);

  const char* const points[] = {"fcntl", "waitpid", "waitid", "open", "msgrcv", "mq_receive", "mq_timedreceive"};
  for (int round = 0; round < 4; ++round) {
    for (unsigned i = 0; i < sizeof points / sizeof *points; ++i) {
      cancel(alone(points[i]), round % 2);
      drain();
    }
  }
  puts("cancelled at every point");

  semctl(semaphores, 0, IPC_RMID);
  msgctl(messages, IPC_RMID, NULL);
  mq_close(queue);
  for (int i = 0; i < crowd; ++i) unlink(fifo[i]);
  unlink(file);
  rmdir(directory);
  return 0;
}
