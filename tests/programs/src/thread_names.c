// SPDX-License-Identifier: BSL-1.0
// prctl: names are per thread and inherited, main's is the process's; settings of a kernel thread stay with the thread that made them.
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "check.h"

static void print_name(const char* whose) {
  char name[16] = "", same[16] = "";
  CHECK_EQ(prctl(PR_GET_NAME, name), 0);
  CHECK_EQ(pthread_getname_np(pthread_self(), same, sizeof same), 0);
  CHECK(strcmp(name, same) == 0);
  printf("%s: %s\n", whose, name);
}

static void* name_itself(void* argument) {
  print_name("inherited");
  CHECK_EQ(prctl(PR_SET_NAME, "a-name-that-is-too-long"), 0);
  print_name("its own");
  CHECK_EQ(prctl(PR_SET_TIMERSLACK, 12345), 0);
  CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  for (int i = 0; i < 50; ++i) usleep(10);
  CHECK_EQ(prctl(PR_GET_TIMERSLACK), 12345);
  CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
  return argument;
}

int main(void) {
  pthread_t thread;
  char line[32] = "";
  for (int i = 0; i < 3; ++i) {
    CHECK_EQ(pthread_create(&thread, NULL, name_itself, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
    print_name("main");
    CHECK_EQ(prctl(PR_SET_NAME, "boss"), 0);
  }
  FILE* f = fopen("/proc/self/comm", "r");
  CHECK(f != NULL && fgets(line, sizeof line, f) != NULL);
  printf("the process: %s", line);
  return 0;
}
