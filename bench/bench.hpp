// SPDX-License-Identifier: BSL-1.0
// What the benchmark programs share: a clock, threads that must exist, and the one line per result that run.py reads:
// `name value unit`. They are plain pthread programs, so the same binary runs natively and under `weft run`.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

#include <pthread.h>

namespace bench {

inline std::int64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

inline void report(const char* name, double value, const char* unit) {
  std::printf("%s %.6g %s\n", name, value, unit);
  std::fflush(stdout);
}

/// For calls that return an error number: a benchmark of something that failed would be worse than none.
inline void must(int error, const char* what) {
  if (error == 0) return;
  std::fprintf(stderr, "%s: %s\n", what, std::strerror(error));
  std::exit(1);
}

inline pthread_t start(void* (*body)(void*), void* argument, const pthread_attr_t* attributes = nullptr) {
  pthread_t thread;
  must(pthread_create(&thread, attributes, body, argument), "pthread_create");
  return thread;
}

inline void join(pthread_t thread) { must(pthread_join(thread, nullptr), "pthread_join"); }

/// Makes the compiler believe that somebody looks at the value.
inline void keep(std::uint64_t value) { asm volatile("" : : "r"(value)); }

/// The first argument, or a default.
inline long count_from(int argc, char** argv, long otherwise) { return argc > 1 ? std::atol(argv[1]) : otherwise; }

/// Threads that wait on one condition variable until let go; start() returns when all of them wait.
class parked_threads {
 public:
  void start_all(long count, std::size_t stack_size) {
    pthread_attr_t attributes;
    must(pthread_attr_init(&attributes), "pthread_attr_init");
    must(pthread_attr_setstacksize(&attributes, stack_size), "pthread_attr_setstacksize");
    threads_.reserve(static_cast<std::size_t>(count));
    for (long i = 0; i < count; ++i) threads_.push_back(start(body, this, &attributes));
    pthread_mutex_lock(&mutex_);
    while (parked_ < count) pthread_cond_wait(&all_parked_, &mutex_);
    pthread_mutex_unlock(&mutex_);
  }
  void let_go() {
    pthread_mutex_lock(&mutex_);
    leave_ = true;
    pthread_cond_broadcast(&may_leave_);
    pthread_mutex_unlock(&mutex_);
    for (const pthread_t thread : threads_) join(thread);
  }

 private:
  static void* body(void* argument) {
    auto& self = *static_cast<parked_threads*>(argument);
    pthread_mutex_lock(&self.mutex_);
    ++self.parked_;
    pthread_cond_signal(&self.all_parked_);
    while (!self.leave_) pthread_cond_wait(&self.may_leave_, &self.mutex_);
    pthread_mutex_unlock(&self.mutex_);
    return nullptr;
  }

  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t all_parked_ = PTHREAD_COND_INITIALIZER, may_leave_ = PTHREAD_COND_INITIALIZER;
  long parked_ = 0;
  bool leave_ = false;
  std::vector<pthread_t> threads_;
};

/// A sorted set of waiting times, in milliseconds.
class delays {
 public:
  void add(std::int64_t ns) { ms_.push_back(static_cast<double>(ns) / 1e6); }
  void sort() { std::sort(ms_.begin(), ms_.end()); }
  double at(double share) const { return ms_[std::min(ms_.size() - 1, static_cast<std::size_t>(share * static_cast<double>(ms_.size())))]; }
  double most() const { return ms_.back(); }
  long over(double limit) const {
    return std::count_if(ms_.begin(), ms_.end(), [=](double ms) { return ms > limit; });
  }

 private:
  std::vector<double> ms_;
};

}  // namespace bench
