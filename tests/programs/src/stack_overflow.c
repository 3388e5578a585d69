// SPDX-License-Identifier: BSL-1.0
// A thread that uses up its stack: must die by SIGSEGV, natively as under Weft, which also says whose stack it was.
#define _GNU_SOURCE
#include <pthread.h>

#include "check.h"

static __attribute__((noinline)) int go_deeper(int depth, volatile char* above) {
  volatile char here[1000];
  here[0] = above[0];
  here[999] = (char)depth;
  if (above[0] == 0) return 0;  // never: only so that the compiler sees an end
  return go_deeper(depth + 1, here) + here[999];
}

static void* overflow(void* unused) {
  (void)unused;
  pthread_setname_np(pthread_self(), "deep-thread");
  volatile char first[1] = {1};
  return (void*)(long)go_deeper(0, first);
}

int main(void) {
  pthread_attr_t attributes;
  pthread_t thread;
  CHECK_EQ(pthread_attr_init(&attributes), 0);
  CHECK_EQ(pthread_attr_setstacksize(&attributes, 256 * 1024), 0);
  CHECK_EQ(pthread_create(&thread, &attributes, overflow, NULL), 0);
  CHECK_EQ(pthread_join(thread, NULL), 0);
  return 0;
}
