// SPDX-License-Identifier: BSL-1.0
// What libc keeps for each thread: errno, the locale of uselocale, strerror's and strtok's buffers, pthread keys and their
// destructors, the thread's name and identity. Each thread sets its own, lets others run, and looks again.
#define _GNU_SOURCE
#include <locale.h>
#include <pthread.h>
#include <sched.h>
#include <wctype.h>

#include "check.h"

enum { threads = 64, rounds = 200, keys = 40 };

static pthread_key_t key[keys];
static pthread_key_t again_key;
static int destroyed[keys], destroyed_again;
static pthread_mutex_t count_mutex = PTHREAD_MUTEX_INITIALIZER;

static void destroy_value(void* value) {
  const long which = (long)value % 1000 - 1;
  pthread_mutex_lock(&count_mutex);
  ++destroyed[which];
  pthread_mutex_unlock(&count_mutex);
}

// Sets itself anew: libc calls it again, at least PTHREAD_DESTRUCTOR_ITERATIONS times in all.
static void destroy_again(void* value) {
  pthread_mutex_lock(&count_mutex);
  ++destroyed_again;
  pthread_mutex_unlock(&count_mutex);
  if ((long)value > 1) pthread_setspecific(again_key, (void*)((long)value - 1));
}

static void check_errno(long id) {
  for (int i = 0; i < rounds; ++i) {
    errno = (int)id + 1;
    sched_yield();
    CHECK_EQ(errno, id + 1);
    CHECK(fopen("/does/not/exist", "r") == NULL && errno == ENOENT);
  }
}

static void check_locale(long id) {
  const locale_t old = uselocale((locale_t)0);
  CHECK(old == LC_GLOBAL_LOCALE);
  locale_t mine = newlocale(LC_ALL_MASK, id % 2 ? "C.UTF-8" : "C", (locale_t)0);
  CHECK(mine != (locale_t)0);
  uselocale(mine);
  for (int i = 0; i < rounds; ++i) {
    sched_yield();
    CHECK(uselocale((locale_t)0) == mine);
    CHECK_EQ(iswalpha(0xe9) != 0, id % 2);
  }
  uselocale(LC_GLOBAL_LOCALE);
  freelocale(mine);
}

static void check_keys(long id) {
  for (int k = 0; k < keys; ++k) {
    CHECK(pthread_getspecific(key[k]) == NULL);
    CHECK_EQ(pthread_setspecific(key[k], (void*)(id * 1000 + k + 1)), 0);
  }
  pthread_setspecific(again_key, (void*)3L);
  for (int i = 0; i < rounds / 10; ++i) {
    sched_yield();
    for (int k = 0; k < keys; ++k) CHECK_EQ((long)pthread_getspecific(key[k]), id * 1000 + k + 1);
  }
}

static void check_identity(long id) {
  char name[32], read_back[16];
  snprintf(name, sizeof name, "worker-%ld", id);  // fits the 15 characters that a name may have
  CHECK_EQ(pthread_setname_np(pthread_self(), name), 0);
  const pthread_t self = pthread_self();
  for (int i = 0; i < rounds; ++i) {
    sched_yield();
    CHECK(pthread_equal(self, pthread_self()));
  }
  CHECK_EQ(pthread_getname_np(pthread_self(), read_back, sizeof read_back), 0);
  CHECK(strcmp(name, read_back) == 0);
}

static void check_buffers(long id) {
  char text[] = "one two three four", number[32];
  char* place = NULL;
  int words = 0;
  for (char* word = strtok_r(text, " ", &place); word; word = strtok_r(NULL, " ", &place)) {
    sched_yield();
    ++words;
  }
  CHECK_EQ(words, 4);
  snprintf(number, sizeof number, "Unknown error %ld", 5000 + id);
  const char* message = strerror((int)(5000 + id));
  sched_yield();
  CHECK(strcmp(message, number) == 0);
}

static void* run(void* argument) {
  const long id = (long)argument;
  check_errno(id);
  check_locale(id);
  check_buffers(id);
  check_identity(id);
  check_keys(id);
  return NULL;
}

int main(void) {
  for (int k = 0; k < keys; ++k) CHECK_EQ(pthread_key_create(&key[k], destroy_value), 0);
  CHECK_EQ(pthread_key_create(&again_key, destroy_again), 0);
  pthread_t thread[threads];
  for (long i = 0; i < threads; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, run, (void*)i), 0);
  for (int i = 0; i < threads; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  for (int k = 0; k < keys; ++k) CHECK_EQ(destroyed[k], threads);
  printf("%d threads kept errno, locale, buffers, name and %d keys\n", threads, keys);
  printf("key destructors ran %d times, and %d times for the key that sets itself anew\n", destroyed[0] * keys, destroyed_again);
  CHECK_EQ(pthread_key_delete(again_key), 0);
  return 0;
}
