// SPDX-License-Identifier: BSL-1.0
// Runs that a seed decides, in a time of their own.
#include <set>
#include <stdexcept>
#include <string>

#include "support.hpp"

namespace api_test {
namespace {

class Seeds : public testing::Test {
 protected:
  void SetUp() override {
    if (one_to_one()) GTEST_SKIP() << "the kernel schedules";
    ::unsetenv("WEFT_SEED");
  }

  /// What happens with that seed: who comes when in a small crowd that uses most of the library.
  static std::string story(std::uint64_t seed) {
    std::string told;
    weft::runtime r({.order = weft::scheduling::seeded, .seed = seed});
    r.run([&] {
      weft::mutex m;
      weft::channel<char> c(2);
      weft::counting_semaphore<> permits(1);
      weft::latch all(3);
      std::vector<weft::thread> crowd;
      for (const char name : {'a', 'b', 'c'})
        crowd.emplace_back([&, name] {
          for (int i = 0; i < 5; ++i) {
            { const std::lock_guard hold(m); told += name; }
            permits.acquire();
            told += static_cast<char>(name - 'a' + 'A');
            permits.release();
            c.send(name);
          }
          all.count_down();
        });
      weft::fiber reader([&] {
        for (int i = 0; i < 15; ++i) told += c.receive().value();
      });
      all.wait();
      for (weft::thread& t : crowd) t.join();
      reader.join();
      told += std::to_string((weft::clock::now().time_since_epoch() / 1ns) % 1000);
    });
    return told;
  }
};

TEST_F(Seeds, TheSameSeedTellsTheSameStory) {
  std::set<std::string> stories;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const std::string first = story(seed);
    EXPECT_EQ(first, story(seed)) << "seed " << seed;
    stories.insert(first);
  }
  EXPECT_GT(stories.size(), 45U);
}

TEST_F(Seeds, SleepingTakesNoTime) {
  const auto real = time_of([] {
    weft::with_seeds(5, [] {
      const auto start = weft::clock::now();
      weft::thread other([] { weft::this_thread::sleep_for(50h); });
      weft::this_thread::sleep_until(weft::clock::now() + 100h);
      other.join();
      EXPECT_GE(weft::clock::now() - start, 100h);
      EXPECT_LT(weft::clock::now() - start, 101h);
      weft::timed_mutex m;
      m.lock();
      weft::thread([&] { EXPECT_FALSE(m.try_lock_until(steady::now() + 10h)); }).join();
      m.unlock();
      weft::this_thread::sleep_until(std::chrono::system_clock::now() + 10h);
      weft::condition_variable never;
      weft::mutex lock;
      std::unique_lock hold(lock);
      EXPECT_EQ(never.wait_for(hold, 10h), weft::cv_status::timeout);
    });
  });
  EXPECT_LT(real, 20s);
}

/// Sleepers wake in the order of their times.
TEST_F(Seeds, TimeKeepsItsOrder) {
  weft::with_seeds(20, [] {
    std::string order;
    std::vector<weft::thread> all;
    for (const int hours : {3, 1, 2})
      all.emplace_back([&, hours] {
        weft::this_thread::sleep_for(std::chrono::hours(hours));
        order += static_cast<char>('0' + hours);
      });
    for (weft::thread& t : all) t.join();
    EXPECT_EQ(order, "123");
  });
}

struct account {
  int balance() {
    const std::lock_guard hold(m);
    return euros;
  }
  void take(int n) {
    const std::lock_guard hold(m);
    euros -= n;
  }
  void withdraw(int n) {
    if (balance() >= n) take(n);
  }
  weft::mutex m;
  int euros = 100;
};

/// A race is found, and with the seed that was printed found again, every time.
TEST_F(Seeds, ARaceIsFoundAndReplayed) {
  int runs = 0;
  const auto body = [&] {
    ++runs;
    account a;
    weft::thread one([&] { a.withdraw(80); }), two([&] { a.withdraw(80); });
    one.join(), two.join();
    if (a.balance() < 0) throw std::runtime_error("overdrawn");
  };
  testing::internal::CaptureStderr();
  EXPECT_THROW(weft::with_seeds(1000, body), std::runtime_error);
  const std::string said = testing::internal::GetCapturedStderr();
  const std::string before = "weft: failed with seed ";
  ASSERT_EQ(said.substr(0, before.size()), before);
  const std::string seed = said.substr(before.size(), said.find(';') - before.size());
  ::setenv("WEFT_SEED", seed.c_str(), 1);
  for (int i = 0; i < 20; ++i) {
    runs = 0;
    testing::internal::CaptureStderr();
    EXPECT_THROW(weft::with_seeds(1000, body), std::runtime_error);
    (void)testing::internal::GetCapturedStderr();
    EXPECT_EQ(runs, 1);
  }
  ::unsetenv("WEFT_SEED");
}

TEST_F(Seeds, RunsThatDoNotFailAreAllRun) {
  int runs = 0;
  weft::with_seeds(100, [&] { ++runs; });
  EXPECT_EQ(runs, 100);
  weft::with_seeds(0, [&] { ++runs; });
  EXPECT_EQ(runs, 100);
}

TEST_F(Seeds, WhatIsNoSeed) {
  for (const char* seed : {"x", "", "12x", "-1", "99999999999999999999999"}) {
    ::setenv("WEFT_SEED", seed, 1);
    EXPECT_THROW(weft::with_seeds(1, [] {}), std::invalid_argument) << seed;
  }
  ::unsetenv("WEFT_SEED");
}

using SeedsDeathTest = Seeds;
TEST_F(SeedsDeathTest, ADeadlockNamesItsSeed) {
  if (sanitized) GTEST_SKIP() << "their own kernel threads might wake somebody";
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        weft::runtime r({.order = weft::scheduling::seeded, .seed = 77});
        r.run([] {
          weft::binary_semaphore never{0};
          never.acquire();
        });
      },
      testing::ExitedWithCode(2), "weft: deadlock: .*\n.*with seed 77");
}

}  // namespace
}  // namespace api_test
