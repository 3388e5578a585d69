// SPDX-License-Identifier: BSL-1.0
// Each thread has a state of libc's resolver of its own, new when it begins, and look-ups in many threads at once come out right.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <resolv.h>
#include <sched.h>
#include <sys/socket.h>

#include "check.h"

enum { threads = 60, rounds = 3 };

static void* look_up(void* raw) {
  const int me = (int)(long)raw;
  CHECK_EQ(_res.options & RES_INIT, 0);
  CHECK_EQ(h_errno, 0);
  CHECK_EQ(res_init(), 0);
  _res.retry = 100 + me;
  for (int i = 0; i < 20; ++i) {
    char port[16];
    snprintf(port, sizeof port, "%d", 1000 + me);
    const struct addrinfo hints = {.ai_flags = AI_NUMERICSERV, .ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo* found = NULL;
    CHECK_EQ(getaddrinfo(i % 2 != 0 ? "localhost" : "127.0.0.1", port, &hints, &found), 0);
    const struct sockaddr_in* at = (const struct sockaddr_in*)found->ai_addr;
    CHECK_EQ(ntohl(at->sin_addr.s_addr), INADDR_LOOPBACK);
    CHECK_EQ(ntohs(at->sin_port), 1000 + me);
    freeaddrinfo(found);
    h_errno = me;
    sched_yield();
    CHECK_EQ(h_errno, me);
    CHECK_EQ(_res.retry, 100 + me);
  }
  return NULL;
}

int main(void) {
  CHECK_EQ(res_init(), 0);
  _res.retry = 99;
  for (int round = 0; round < rounds; ++round) {
    pthread_t thread[threads];
    for (long i = 0; i < threads; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, look_up, (void*)i), 0);
    for (int i = 0; i < threads; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
    CHECK_EQ(_res.retry, 99);
  }
  puts("each its own");
  return 0;
}
