// SPDX-License-Identifier: BSL-1.0
// setuid and setgid by one thread are about all of them: those blocked in the kernel, those that wait, and those made later. Asks the
// kernel for each thread's own ids; as root changes them to those of nobody, otherwise to what they are.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

enum { count = 12 };
static int gate[2];
static sem_t go;
static uid_t wanted_uid;
static gid_t wanted_gid;
static int right;

static void look(void) {
  CHECK_EQ(syscall(SYS_getuid), wanted_uid);
  CHECK_EQ(syscall(SYS_geteuid), wanted_uid);
  CHECK_EQ(syscall(SYS_getgid), wanted_gid);
  __atomic_add_fetch(&right, 1, __ATOMIC_SEQ_CST);
}
static void* in_read(void* unused) {
  char byte;
  CHECK_EQ(read(gate[0], &byte, 1), 1);
  look();
  return unused;
}
static void* in_wait(void* unused) {
  CHECK_EQ(sem_wait(&go), 0);
  look();
  return unused;
}
static void* change(void* unused) {
  CHECK_EQ(setgid(wanted_gid), 0);
  CHECK_EQ(setuid(wanted_uid), 0);
  look();
  return unused;
}
static void* later(void* unused) {
  look();
  return unused;
}

int main(void) {
  wanted_uid = getuid() == 0 ? 65534 : getuid();
  wanted_gid = getuid() == 0 ? 65534 : getgid();
  CHECK_EQ(pipe(gate), 0);
  CHECK_EQ(sem_init(&go, 0, 0), 0);
  pthread_t thread[3 * count], changer;
  for (int i = 0; i < 2 * count; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, i % 2 == 0 ? in_read : in_wait, NULL), 0);
  for (int turn = 0; turn < 1000; ++turn) CHECK_EQ(sched_yield(), 0);
  CHECK_EQ(pthread_create(&changer, NULL, change, NULL), 0);
  CHECK_EQ(pthread_join(changer, NULL), 0);
  for (int i = 2 * count; i < 3 * count; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, later, NULL), 0);
  for (int i = 0; i < count; ++i) CHECK_EQ(sem_post(&go), 0);
  CHECK_EQ(write(gate[1], "123456789012", count), count);
  for (int i = 0; i < 3 * count; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  look();
  printf("%d threads have the new ids\n", right);
  return 0;
}
