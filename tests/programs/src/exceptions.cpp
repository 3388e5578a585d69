// SPDX-License-Identifier: BSL-1.0
// Exceptions in flight while their thread is switched away from and preempted: thrown, half unwound, caught, nested, rethrown,
// handed to another thread. What the C++ runtime keeps per thread (caught exceptions, the count of uncaught ones) must stay the
// thread's own.
#include <atomic>
#include <exception>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sched.h>

#include "check.h"

namespace {

constexpr int threads = 32;
constexpr int rounds = 400;

struct failure : std::runtime_error {
  failure(int of_thread, int in_round, int at_depth)
      : std::runtime_error{"thread " + std::to_string(of_thread) + " round " + std::to_string(in_round)},
        thread{of_thread},
        round{in_round},
        depth{at_depth} {}
  int thread, round, depth;
};

/// Runs while the stack is being unwound: the exception is in flight, and other threads run in between.
struct yields_when_destroyed {
  explicit yields_when_destroyed(int& count) : count_{count} {}
  ~yields_when_destroyed() {
    CHECK_EQ(std::uncaught_exceptions(), 1);
    sched_yield();
    CHECK_EQ(std::uncaught_exceptions(), 1);
    ++count_;
  }
  int& count_;
};

thread_local volatile unsigned burnt = 0;
void burn(unsigned steps) {
  unsigned x = steps;
  for (unsigned i = 0; i < steps; ++i) x = x * 1664525u + 1013904223u;
  burnt = x;
}

[[gnu::noinline]] void throw_from(int depth, int thread, int round, int& unwound) {
  const yields_when_destroyed frame{unwound};
  if (depth == 0) throw failure{thread, round, 5};
  throw_from(depth - 1, thread, round, unwound);
}

void nested(int thread, int round) {
  try {
    throw failure{thread, round, 1};
  } catch (const failure& outer) {
    sched_yield();
    try {
      burn(200);
      throw failure{thread, round, 2};
    } catch (const failure& inner) {
      sched_yield();
      CHECK(outer.thread == thread && inner.thread == thread && outer.depth == 1 && inner.depth == 2);
    }
    CHECK_EQ(std::uncaught_exceptions(), 0);
    CHECK(std::current_exception() != nullptr);
    try {
      throw;
    } catch (const failure& again) {
      CHECK(&again == &outer);
    }
  }
  CHECK(std::current_exception() == nullptr);
}

void run(int thread) {
  for (int round = 0; round < rounds; ++round) {
    int unwound = 0;
    try {
      throw_from(5, thread, round, unwound);
      CHECK(false);
    } catch (const failure& f) {
      sched_yield();
      CHECK(f.thread == thread && f.round == round);
      CHECK(std::string{f.what()} == "thread " + std::to_string(thread) + " round " + std::to_string(round));
    }
    CHECK_EQ(unwound, 6);
    nested(thread, round);
  }
}

/// No call that could yield: only preemption can take the CPU away in the middle of throwing.
void throw_without_pause(int thread, std::atomic<long>& caught) {
  for (int i = 0; i < 20000; ++i) {
    try {
      if (i % 2) throw i;
      throw std::string(1, static_cast<char>('a' + thread % 26));
    } catch (int value) {
      CHECK_EQ(value, i);
    } catch (const std::string& value) {
      CHECK_EQ(value[0], 'a' + thread % 26);
    }
    caught.fetch_add(1, std::memory_order_relaxed);
  }
}

void from_another_thread() {
  for (int i = 0; i < 200; ++i) {
    std::promise<int> promise;
    auto future = promise.get_future();
    std::thread thrower{[&promise, i] {
      try {
        throw failure{i, i, 0};
      } catch (...) {
        promise.set_exception(std::current_exception());
      }
    }};
    try {
      future.get();
      CHECK(false);
    } catch (const failure& f) {
      CHECK_EQ(f.thread, i);
    }
    thrower.join();
  }
}

}  // namespace

int main() {
  {
    std::vector<std::jthread> all;
    for (int i = 0; i < threads; ++i) all.emplace_back(run, i);
  }
  std::printf("unwinding across switches: right\n");
  std::atomic<long> caught{0};
  {
    std::vector<std::jthread> all;
    for (int i = 0; i < 6; ++i) all.emplace_back(throw_without_pause, i, std::ref(caught));
  }
  std::printf("throwing under preemption: %ld caught\n", caught.load());
  from_another_thread();
  std::printf("exceptions from another thread: right\n");
}
