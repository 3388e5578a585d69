// SPDX-License-Identifier: BSL-1.0
// What the library's tests share: kinds of threads, crews of all kinds on the same objects, times.
#pragma once
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <vector>

#include "weft/weft.hpp"

namespace api_test {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WEFT_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WEFT_TEST_SANITIZED 1
#endif
#endif

// Under sanitizers threads borrow the carriers' thread-local storage, as fibers do, and are not preempted: tests about storage of their own and
// about preemption ask for this.
#if defined(WEFT_TEST_SANITIZED)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

[[nodiscard]] inline bool one_to_one() {
  const char* const options = std::getenv("WEFT_OPTIONS");
  return options != nullptr && std::string_view(options).find("model=1:1") != std::string_view::npos;
}

/// Those who may use the library's objects, and so the parameters of the typed tests of objects.
using kinds = testing::Types<weft::thread, weft::fiber, std::thread>;
/// Those that the library makes: the parameters of the typed tests of threads themselves.
using own_kinds = testing::Types<weft::thread, weft::fiber>;
struct kind_names {
  template <class Kind>
  static std::string GetName(int) {
    if (std::is_same_v<Kind, weft::thread>) return "thread";
    return std::is_same_v<Kind, weft::fiber> ? "fiber" : "kernel_thread";
  }
};

/// Threads that are joined at the end of a scope.
template <class Kind>
class crew {
 public:
  crew() = default;
  template <class F>
  crew(int n, F f) {
    add(n, f);
  }
  crew(const crew&) = delete;
  crew& operator=(const crew&) = delete;
  ~crew() { join(); }
  template <class F>
  void add(int n, F f) {
    for (int i = 0; i < n; ++i) members_.emplace_back(f);
  }
  void join() {
    for (Kind& member : members_) member.join();
    members_.clear();
  }

 private:
  std::vector<Kind> members_;
};

/// Runs f in `of_each` threads of each kind at once, and waits for them.
template <class F>
void in_all_kinds(int of_each, F f) {
  const crew<std::thread> kernel_threads(of_each, f);
  const crew<weft::thread> threads(of_each, f);
  const crew<weft::fiber> fibers(of_each, f);
}

/// So long is long enough for another thread to get somewhere in nearly every run. No test fails if it does not.
inline void let_others_get_there() { weft::this_thread::sleep_for(5ms); }

/// Gives others their turn until it holds.
template <class Condition>
void until(Condition holds) {
  while (!holds()) weft::this_thread::sleep_for(100us);
}

/// How long f takes.
template <class F>
steady::duration time_of(F f) {
  const auto start = steady::now();
  f();
  return steady::now() - start;
}

/// A time that no wait of these tests takes unless something is lost.
inline constexpr auto very_long = 30s;
/// A wait that is to end by its deadline.
inline constexpr auto short_while = 10ms;

/// system_clock, an hour slow: a clock of the program's own, not known to the library.
struct slow_clock {
  using duration = std::chrono::microseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<slow_clock>;
  static constexpr bool is_steady = false;
  static time_point now() { return time_point(std::chrono::duration_cast<duration>(std::chrono::system_clock::now().time_since_epoch() - 1h)); }
};

/// Counts its copies, moves and lives.
struct counted {
  struct book {
    std::atomic<int> made{0}, copied{0}, moved{0}, destroyed{0};
    [[nodiscard]] int alive() const { return made + copied + moved - destroyed; }
  };
  explicit counted(book& b) : in(&b) { ++in->made; }
  counted(const counted& from) : in(from.in) { ++in->copied; }
  counted(counted&& from) noexcept : in(from.in) { ++in->moved; }
  counted& operator=(const counted&) = delete;
  counted& operator=(counted&&) = delete;
  ~counted() { ++in->destroyed; }
  book* in;
};

/// The code of the system_error that f throws; none if it throws nothing.
template <class F>
std::error_code error_of(F f) {
  try {
    f();
  } catch (const std::system_error& error) {
    return error.code();
  }
  return {};
}

}  // namespace api_test
