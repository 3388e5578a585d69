// SPDX-License-Identifier: BSL-1.0
// A library with thread-local data, loaded while threads run: they, and threads made later, find it initialised; load_while_running PLUGIN.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>

#include "check.h"

enum { count = 20 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t loaded = PTHREAD_COND_INITIALIZER;
static int is_loaded;
static int (*sum)(void);
static void (*add)(int);

static void* run(void* argument) {
  const int id = (int)(long)argument;
  pthread_mutex_lock(&mutex);
  while (!is_loaded) pthread_cond_wait(&loaded, &mutex);
  pthread_mutex_unlock(&mutex);
  CHECK_EQ(sum(), 42);
  add(id);
  sched_yield();
  CHECK_EQ(sum(), 42 + id + 1);
  return NULL;
}

static void* find_symbol(void* library, const char* name) {
  void* symbol = dlsym(library, name);
  CHECK(symbol != NULL);
  return symbol;
}

int main(int argc, char** argv) {
  CHECK_EQ(argc, 2);
  pthread_t thread[2 * count];
  for (long i = 0; i < count; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, run, (void*)i), 0);
  sched_yield();
  void* library = dlopen(argv[1], RTLD_NOW);
  if (library == NULL) fprintf(stderr, "%s\n", dlerror());
  CHECK(library != NULL);
  *(void**)&sum = find_symbol(library, "plugin_sum");
  *(void**)&add = find_symbol(library, "plugin_add");
  pthread_mutex_lock(&mutex);
  is_loaded = 1;
  pthread_cond_broadcast(&loaded);
  pthread_mutex_unlock(&mutex);
  for (long i = count; i < 2 * count; ++i) CHECK_EQ(pthread_create(&thread[i], NULL, run, (void*)i), 0);
  for (int i = 0; i < 2 * count; ++i) CHECK_EQ(pthread_join(thread[i], NULL), 0);
  CHECK_EQ(sum(), 42);
  printf("%d threads found the plugin's data initialised\n", 2 * count);
  return 0;
}
