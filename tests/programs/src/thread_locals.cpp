// SPDX-License-Identifier: BSL-1.0
// thread_local objects: every thread has its own, built on first use, destroyed at the thread's end in reverse order, also when
// the destructor uses another thread_local, and also after thousands of short threads whose storage is reused.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <sched.h>

#include "check.h"

namespace {

std::atomic<int> built{0}, destroyed{0};

thread_local int plain = 17;
thread_local char big[3000];
thread_local std::string text = "fresh";

std::mutex order_mutex;
std::string order;

template <char Name>
struct recorded {
  recorded() { ++built; }
  ~recorded() {
    ++destroyed;
    if (!record) return;
    const std::lock_guard lock{order_mutex};
    order += Name;
  }
  bool record = false;
};
thread_local recorded<'a'> first;
thread_local recorded<'b'> second;

/// Its destructor builds and uses another thread_local, as libraries with per-thread caches do.
struct late_user {
  ~late_user();
  int touched = 0;
};
std::atomic<int> late_uses{0};
thread_local late_user late;
thread_local std::vector<int> used_late;
late_user::~late_user() {
  used_late.push_back(touched);
  late_uses += used_late.size() == 1 && used_late[0] == touched;
}

void many_threads_keep_theirs() {
  constexpr int count = 200, rounds = 100;
  std::vector<std::jthread> all;
  for (int id = 0; id < count; ++id)
    all.emplace_back([id] {
      CHECK_EQ(plain, 17);
      CHECK(text == "fresh");
      CHECK(std::all_of(std::begin(big), std::end(big), [](char c) { return c == 0; }));
      for (int round = 0; round < rounds; ++round) {
        const int value = id * 1000 + round;
        plain = value;
        text = "thread " + std::to_string(value);
        std::fill(std::begin(big), std::end(big), static_cast<char>(value));
        sched_yield();
        CHECK_EQ(plain, value);
        CHECK(text == "thread " + std::to_string(value));
        CHECK(std::all_of(std::begin(big), std::end(big), [&](char c) { return c == static_cast<char>(value); }));
      }
    });
}

void short_threads_start_fresh() {
  for (int i = 0; i < 3000; ++i)
    std::thread{[] {
      CHECK_EQ(plain, 17);
      CHECK(text == "fresh");
      CHECK_EQ(big[2999], 0);
      plain = 5;
      text += " and a string long enough to live on the heap, which would leak";
      big[2999] = 1;
    }}.join();
}

void order_of_destruction() {
  std::thread{[] {
    first.record = true;
    second.record = true;
  }}.join();
  std::thread{[] {
    second.record = true;
    first.record = true;
  }}.join();
}

}  // namespace

int main() {
  text = "main";
  many_threads_keep_theirs();
  std::printf("200 threads kept their own values\n");
  short_threads_start_fresh();
  std::printf("3000 short threads started fresh\n");
  order_of_destruction();
  std::printf("destroyed in the order %s\n", order.c_str());
  for (int i = 0; i < 100; ++i) std::thread{[i] { late.touched = i; }}.join();
  std::printf("%d destructors used another thread_local\n", late_uses.load());
  std::printf("%d objects built, %d destroyed\n", built.load(), destroyed.load());
  CHECK(text == "main");
}
