// SPDX-License-Identifier: BSL-1.0
// A hidden command: the thread operations of an ordinary pthread program, timed. `modes` runs it twice, as it is and
// with the preload library, so that both kinds of threads are measured by the very same instructions; `doctor` runs
// it to see whether the engine works at all. Prints "name ns" lines, one a sample.

#include <fmt/core.h>
#include <pthread.h>
#include <sched.h>

#include <charconv>
#include <chrono>

#include "commands.hpp"
#include "failure.hpp"

namespace weft::tools {
namespace {

constexpr int samples = 15;
constexpr int most_operations = 1'000'000;

void* do_nothing(void* argument) { return argument; }

void* yield_often(void* argument) {
  for (int i = *static_cast<int*>(argument); i > 0; --i) sched_yield();
  return nullptr;
}

void must(int error, const char* call) {
  if (error != 0) throw failure(exit_failed, fmt::format("{}: error {}", call, error));
}

template <typename Work>
double ns_per_operation(int operations, const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
  return taken.count() / operations;
}

void create_and_join(int count) {
  for (int i = 0; i < count; ++i) {
    pthread_t thread{};
    must(pthread_create(&thread, nullptr, do_nothing, nullptr), "pthread_create");
    must(pthread_join(thread, nullptr), "pthread_join");
  }
}

/// The caller and one other take turns, so every yield of either is a switch.
void yield_in_turns(int count) {
  int each = count;
  pthread_t other{};
  must(pthread_create(&other, nullptr, yield_often, &each), "pthread_create");
  yield_often(&each);
  must(pthread_join(other, nullptr), "pthread_join");
}

int parse_count(const arguments& words) {
  int count = 0;
  if (words.size() != 1) throw failure(exit_usage, "give the number of operations of one sample");
  const std::string& text = words.front();
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end != text.data() + text.size() || count < 1 || count > most_operations)
    throw failure(exit_usage, fmt::format("\"{}\" is no number from 1 to {}", text, most_operations));
  return count;
}

}  // namespace

int measure_threads_command(const arguments& words) {
  const int count = parse_count(words);
  create_and_join(count);  // warm: pools filled, code paged in
  for (int i = 0; i < samples; ++i)
    fmt::print("create {:.1f}\n", ns_per_operation(count, [&] { create_and_join(count); }));
  for (int i = 0; i < samples; ++i)
    fmt::print("switch {:.1f}\n", ns_per_operation(2 * count, [&] { yield_in_turns(count); }));
  return exit_ok;
}

}  // namespace weft::tools
