// SPDX-License-Identifier: BSL-1.0
// The questions that the C++ rivals of this folder are asked, so that each is asked the same; main.go asks them in Go.
//
//   PROGRAM QUESTION [DIVISOR]      all counts are divided by the last one: for a quick look, and for tests
//   PROGRAM version                 who is asked
//
// How many carriers there are is chosen outside, as each rival has it (library.py). A rival that cannot do something prints nothing.
//
// A Rival has: strand (like std::thread), mutex, condition, channel<T> (send, receive; capacity 0: a send waits for its receive), yield(),
// sleep_for(), run(f): f() where strands are at home, perhaps at(place, f): a strand that stays
// on one carrier or CPU, version(), and two numbers: most_alive strands at once, and how much `slower` it is
// than the fastest, by which counts are divided so that no question takes minutes.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <mutex>
#include <string_view>

#include <sys/resource.h>

#include "../bench.hpp"

namespace bench::library {

/// KiB that the process has of `field` in /proc/self/status.
inline double status_kib(const char* field) {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) must(errno, "/proc/self/status");
  double value = 0;
  for (char line[256]; std::fgets(line, sizeof line, file) != nullptr;)
    if (std::strncmp(line, field, std::strlen(field)) == 0) value = std::atof(line + std::strlen(field) + 1);
  std::fclose(file);
  return value;
}
/// With the page tables, which a crowd of stacks needs many of.
inline double memory_kib() { return status_kib("VmRSS") + status_kib("VmPTE"); }

inline double cpu_seconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/// Strands wait in front of it until all are there, so that creating them is not measured with what they do.
template <class Rival>
class gate {
 public:
  explicit gate(long expected) : missing_(expected) {}
  void pass() {
    std::unique_lock hold(mutex_);
    if (--missing_ == 0) all_there_.notify_one();
    while (!open_) opened_.wait(hold);
  }
  void wait_for_all() {
    std::unique_lock hold(mutex_);
    while (missing_ != 0) all_there_.wait(hold);
  }
  void open() {
    const std::unique_lock hold(mutex_);
    open_ = true;
    opened_.notify_all();
  }

 private:
  typename Rival::mutex mutex_;
  typename Rival::condition all_there_, opened_;
  long missing_;
  bool open_ = false;
};

template <class Rival>
class questions {
 public:
  explicit questions(long divisor) : divisor_(divisor) {}

  /// False: no such question.
  bool ask(std::string_view name) {
    struct entry {
      std::string_view name;
      void (*ask)(questions&);
    };
    static constexpr entry all[] = {
        {"switch", call<&questions::ask_switch>},
        {"spawn_join", call<&questions::ask_spawn_join>},
        {"spawn_many", call<&questions::ask_spawn_many>},
        {"mutex", call<&questions::ask_mutex>},
        {"contended", call<&questions::ask_contended>},
        {"channel_one", call<&questions::ask_channel_one>},
        {"channel_two", call<&questions::ask_channel_two>},
        {"channel_apart", call<&questions::ask_channel_apart>},
        {"crowd", call<&questions::ask_crowd>},
        {"skynet", call<&questions::ask_skynet>},
        {"parked", call<&questions::ask_parked>},
        {"parked_million", call<&questions::ask_parked_million>},
        {"sleepers", call<&questions::ask_sleepers>},
    };
    for (const entry& e : all)
      if (e.name == name) return e.ask(*this), true;
    return false;
  }

 private:
  template <void (questions::*Ask)()>
  static void call(questions& q) {
    (q.*Ask)();
  }

  using strand = typename Rival::strand;
  template <class T>
  using channel = typename Rival::template channel<T>;

  [[nodiscard]] long scaled(long count) const { return std::max(count / divisor_, 1L); }
  [[nodiscard]] long repeated(long count) const { return scaled(count / Rival::slower); }
  static double each(std::int64_t begin, long count) { return static_cast<double>(now_ns() - begin) / static_cast<double>(count); }
  static double milliseconds_since(std::int64_t begin) { return static_cast<double>(now_ns() - begin) / 1e6; }
  static void join_all(std::vector<strand>& strands) {
    for (strand& s : strands) s.join();
  }

  /// From one to the other of two that yield.
  void ask_switch() {
    const long rounds = repeated(4'000'000);
    gate<Rival> start(2);
    const auto body = [&] {
      start.pass();
      for (long i = 0; i < rounds; ++i) Rival::yield();
    };
    std::vector<strand> both;
    for (int i = 0; i < 2; ++i) both.emplace_back(body);
    start.wait_for_all();
    const std::int64_t begin = now_ns();
    start.open();
    join_all(both);
    report("switch", each(begin, 2 * rounds), "ns");
  }

  /// One after another.
  void ask_spawn_join() {
    const long rounds = repeated(1'000'000);
    long ended = 0;
    const auto one = [&] {
      strand s([&ended] { ++ended; });
      s.join();
    };
    for (long i = 0; i < rounds / 10; ++i) one();
    const std::int64_t begin = now_ns();
    for (long i = 0; i < rounds; ++i) one();
    report("spawn_join", each(begin, rounds), "ns");
    keep(static_cast<std::uint64_t>(ended));
  }

  /// A crowd, then all are joined; the second time, when there are stacks to be had.
  void ask_spawn_many() {
    const long count = scaled(std::min(100'000L, Rival::most_alive));
    std::vector<strand> all;
    all.reserve(static_cast<std::size_t>(count));
    double result = 0;
    for (int round = 0; round < 2; ++round) {
      all.clear();
      const std::int64_t begin = now_ns();
      for (long i = 0; i < count; ++i) all.emplace_back([i] { keep(static_cast<std::uint64_t>(i)); });
      join_all(all);
      result = each(begin, count);
    }
    report("spawn_many", result, "ns");
  }

  /// Nobody else wants it.
  void ask_mutex() {
    const long rounds = scaled(20'000'000);
    typename Rival::mutex mutex;
    const std::int64_t begin = now_ns();
    for (long i = 0; i < rounds; ++i) {
      mutex.lock();
      keep(static_cast<std::uint64_t>(i));
      mutex.unlock();
    }
    report("mutex", each(begin, rounds), "ns");
  }

  /// A thousand want it.
  void ask_contended() {
    const long strands = 1'000, rounds = repeated(10'000);
    typename Rival::mutex mutex;
    long sum = 0;
    gate<Rival> start(strands);
    std::vector<strand> all;
    for (long s = 0; s < strands; ++s)
      all.emplace_back([&] {
        start.pass();
        for (long i = 0; i < rounds; ++i) {
          mutex.lock();
          ++sum;
          mutex.unlock();
        }
      });
    start.wait_for_all();
    const std::int64_t begin = now_ns();
    start.open();
    join_all(all);
    const double result = each(begin, strands * rounds);
    if (sum != strands * rounds) must(EINVAL, "count under the mutex");
    report("contended", result, "ns");
  }

  /// There by one channel, back by another; nothing fits into them.
  template <class Start>
  void round_trip(const char* name, Start start_at) {
    const long rounds = repeated(1'000'000);
    channel<long> there(0), back(0);
    gate<Rival> start(2);
    strand answering = start_at(0, [&] {
      start.pass();
      for (long i = 0; i < rounds; ++i) back.send(there.receive() + 1);
    });
    bool right = true;
    strand asking = start_at(1, [&] {
      start.pass();
      for (long i = 0; i < rounds; ++i) {
        there.send(i);
        right &= back.receive() == i + 1;
      }
    });
    start.wait_for_all();
    const std::int64_t begin = now_ns();
    start.open();
    asking.join();
    const double result = each(begin, rounds);
    answering.join();
    if (!right) must(EINVAL, "an answer");
    report(name, result, "ns");
  }
  static constexpr auto anywhere = [](int, auto f) { return strand(f); };
  void ask_channel_one() { round_trip("channel_one", anywhere); }
  void ask_channel_two() { round_trip("channel_two", anywhere); }
  /// The two never run on the same carrier.
  void ask_channel_apart() {
    if constexpr (requires { Rival::at(0, [] {}); }) round_trip("channel_apart", [](int place, auto f) { return Rival::at(place, f); });
  }

  /// Ten thousand at each end of one channel with sixteen places.
  void ask_crowd() {
    const long pairs = scaled(std::min(10'000L, Rival::most_alive / 2)), items = 40;
    channel<long> through(16);
    gate<Rival> start(2 * pairs);
    std::vector<long> sums(static_cast<std::size_t>(pairs));
    std::vector<strand> all;
    all.reserve(static_cast<std::size_t>(2 * pairs));
    for (long p = 0; p < pairs; ++p) {
      all.emplace_back([&] {
        start.pass();
        for (long i = 0; i < items; ++i) through.send(i);
      });
      all.emplace_back([&, p] {
        start.pass();
        for (long i = 0; i < items; ++i) sums[static_cast<std::size_t>(p)] += through.receive();
      });
    }
    start.wait_for_all();
    const std::int64_t begin = now_ns();
    start.open();
    join_all(all);
    const double result = each(begin, pairs * items);
    long sum = 0;
    for (const long s : sums) sum += s;
    if (sum != pairs * (items * (items - 1) / 2)) must(EINVAL, "sum of the items");
    report("crowd", result, "ns");
  }

  /// Each starts ten, down to a million leaves, and adds up what they say. See github.com/atemerev/skynet.
  static std::uint64_t skynet(std::uint64_t first, std::uint64_t leaves) {
    if (leaves == 1) return first;
    std::array<strand, 10> children;
    std::array<std::uint64_t, 10> sums{};
    for (std::size_t i = 0; i < children.size(); ++i)
      children[i] = strand([&sum = sums[i], from = first + i * (leaves / 10), leaves] { sum = skynet(from, leaves / 10); });
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < children.size(); ++i) {
      children[i].join();
      sum += sums[i];
    }
    return sum;
  }
  void ask_skynet() {
    std::uint64_t leaves = 1;
    while (leaves * 10 <= static_cast<std::uint64_t>(scaled(1'000'000))) leaves *= 10;
    if (static_cast<long>(leaves) > Rival::most_alive) return;
    const std::int64_t begin = now_ns();
    const std::uint64_t sum = skynet(0, leaves);
    const double result = milliseconds_since(begin);
    if (sum != leaves * (leaves - 1) / 2) must(EINVAL, "sum of the leaves");
    report("skynet", result, "ms");
  }

  /// What one costs that only waits. The process ends with them.
  void ask_parked() { park(scaled(std::min(100'000L, Rival::most_alive)), "parked", "parked_create"); }
  void ask_parked_million() {
    if (scaled(1'000'000) <= Rival::most_alive) park(scaled(1'000'000), "parked_million", "parked_million_create");
  }
  void park(long count, const char* memory_name, const char* time_name) {
    gate<Rival> start(count);
    std::vector<strand> all(static_cast<std::size_t>(count));
    const double before = memory_kib();
    const std::int64_t begin = now_ns();
    for (strand& s : all) s = strand([&] { start.pass(); });
    start.wait_for_all();
    const double took = each(begin, count);
    report(memory_name, (memory_kib() - before) / static_cast<double>(count), "KiB");
    report(time_name, took, "ns");
    std::_Exit(0);
  }

  static std::uint64_t next_random(std::uint64_t& seed) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
  }
  /// Each sleeps 1 to 100 ms, again and again. As many as can be had for 3 s of CPU on few CPUs: hence the CPU for each sleep, too.
  void ask_sleepers() {
    const long count = scaled(100'000);
    if (count > Rival::most_alive) return;
    const std::int64_t span = scaled(3'000'000'000);
    struct sleeper {
      std::uint64_t seed;
      long sleeps = 0;
      std::int64_t late = 0;
    };
    std::vector<sleeper> sleepers(static_cast<std::size_t>(count));
    gate<Rival> start(count);
    std::int64_t end = 0;
    std::vector<strand> all;
    all.reserve(sleepers.size());
    std::uint64_t seed = 1;
    for (sleeper& mine : sleepers) {
      mine.seed = seed += 0x9e3779b97f4a7c15;
      all.emplace_back([&] {
        start.pass();
        std::int64_t now = now_ns();
        do {
          const auto due = now + 1'000'000 + static_cast<std::int64_t>(next_random(mine.seed) % 99'000'000);
          Rival::sleep_for(std::chrono::nanoseconds(due - now));
          now = now_ns();
          mine.late += now - due;
          ++mine.sleeps;
        } while (now < end);
      });
    }
    start.wait_for_all();
    const double before = cpu_seconds();
    end = now_ns() + span;
    start.open();
    join_all(all);
    const double used = cpu_seconds() - before;
    long sleeps = 0;
    double late = 0;
    for (const sleeper& s : sleepers) {
      sleeps += s.sleeps;
      late += static_cast<double>(s.late);
    }
    report("sleepers", used, "s");
    report("sleepers_each", used * 1e9 / static_cast<double>(sleeps), "ns");
    report("sleepers_late", late / 1e6 / static_cast<double>(sleeps), "ms");
  }

  long divisor_;
};

template <class Rival>
int main_of(int argc, char** argv) {
  const std::string_view question = argc > 1 ? argv[1] : "";
  const long divisor = argc > 2 ? std::max(std::atol(argv[2]), 1L) : 1;
  if (question == "version") return std::puts(Rival::version()), 0;
  bool known = false;
  Rival::run([&] { known = questions<Rival>(divisor).ask(question); });
  if (known) return 0;
  std::fprintf(stderr, "usage: PROGRAM QUESTION [DIVISOR]: no question '%s'\n", argc > 1 ? argv[1] : "");
  return 2;
}

}  // namespace bench::library
