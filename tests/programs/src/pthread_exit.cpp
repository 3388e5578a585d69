// SPDX-License-Identifier: BSL-1.0
// pthread_exit from deep inside: cleanup handlers and C++ destructors of every frame run, innermost first, then key destructors
// and thread_locals; the value reaches the joiner. It unwinds by a foreign exception that `catch (...)` sees and must rethrow.
#include <string>
#include <vector>

#include <cxxabi.h>
#include <pthread.h>
#include <sched.h>

#include "check.h"

namespace {

thread_local std::string trace;
std::string collected[100];

struct traced {
  explicit traced(char mark) : mark_{mark} {}
  ~traced() {
    sched_yield();
    trace += mark_;
  }
  char mark_;
};

void cleanup(void* mark) { trace += *static_cast<const char*>(mark); }

[[gnu::noinline]] void innermost(long id) {
  const traced object{'1'};
  const char mark = '2';
  pthread_cleanup_push(cleanup, const_cast<char*>(&mark));
  pthread_exit(reinterpret_cast<void*>(id * 3));
  pthread_cleanup_pop(0);
}

[[gnu::noinline]] void middle(long id) {
  const traced object{'3'};
  try {
    innermost(id);
  } catch (const std::exception&) {
    CHECK(false);
  } catch (abi::__forced_unwind&) {
    trace += '4';
    throw;
  }
}

pthread_key_t key;

/// The last to look at the trace: built after it, so destroyed before it.
struct copies_trace {
  long id = -1;
  ~copies_trace() {
    if (id >= 0) collected[id] = trace + 'L';
  }
};
thread_local copies_trace copier;

void* run(void* argument) {
  const long id = reinterpret_cast<long>(argument);
  trace.clear();
  copier.id = id;
  const traced outermost{'5'};
  middle(id);
  CHECK(false);
  return nullptr;
}

int key_destructors = 0;
pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
void count_destructor(void*) {
  pthread_mutex_lock(&mutex);
  ++key_destructors;
  pthread_mutex_unlock(&mutex);
}

void* exit_with_key(void*) {
  pthread_setspecific(key, &key);
  pthread_exit(nullptr);
}

}  // namespace

int main() {
  std::vector<pthread_t> threads(100);
  for (long i = 0; i < 100; ++i) CHECK_EQ(pthread_create(&threads[static_cast<std::size_t>(i)], nullptr, run, reinterpret_cast<void*>(i)), 0);
  long sum = 0;
  for (pthread_t thread : threads) {
    void* value = nullptr;
    CHECK_EQ(pthread_join(thread, &value), 0);
    sum += reinterpret_cast<long>(value);
  }
  for (const std::string& trace_of_one : collected) CHECK(trace_of_one == collected[0]);
  std::printf("unwound in the order %s, values' sum %ld\n", collected[0].c_str(), sum);

  CHECK_EQ(pthread_key_create(&key, count_destructor), 0);
  for (pthread_t& thread : threads) CHECK_EQ(pthread_create(&thread, nullptr, exit_with_key, nullptr), 0);
  for (pthread_t thread : threads) CHECK_EQ(pthread_join(thread, nullptr), 0);
  std::printf("%d key destructors\n", key_destructors);
}
