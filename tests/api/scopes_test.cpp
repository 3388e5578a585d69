// SPDX-License-Identifier: BSL-1.0
// scope: waits for its children, hands on the first exception, stops the rest; deadlines and stop requests flow down; nothing leaks.
#include <stdexcept>
#include <string>

#include "support.hpp"
#include "weft/channel.hpp"
#include "weft/scope.hpp"

namespace api_test {
namespace {

/// Waits until it is asked to stop.
void be_stopped(const std::stop_token& stop) {
  weft::channel<int> never;
  (void)never.receive(stop);
  EXPECT_TRUE(stop.stop_requested());
}

template <class Kind>
class Scopes : public testing::Test {};
TYPED_TEST_SUITE(Scopes, kinds, kind_names);

TYPED_TEST(Scopes, WaitForTheirChildren) {
  TypeParam user([] {
    std::atomic<int> ended{0};
    {
      weft::scope all;
      for (int i = 0; i < 20; ++i) {
        all.spawn([&](int wait) {
          weft::this_thread::sleep_for(std::chrono::microseconds(wait));
          ++ended;
        }, i * 100);
        all.spawn_fiber([&] { ++ended; });
      }
      EXPECT_GE(all.size(), 0u);
    }
    EXPECT_EQ(ended, 40);
  });
  user.join();
}

TYPED_TEST(Scopes, HandOnTheFirstExceptionAndStopTheRest) {
  TypeParam user([] {
    weft::scope all;
    for (int i = 0; i < 5; ++i) all.spawn(be_stopped);
    all.spawn([] { throw std::runtime_error("first"); });
    EXPECT_THROW(all.join(), std::runtime_error);
    EXPECT_EQ(all.size(), 0u);
  });
  user.join();
}

TEST(Scope, RethrowsAtItsEnd) {
  EXPECT_THROW(
      {
        weft::scope all;
        all.spawn([] { throw 7; });
      },
      int);
}

TEST(Scope, LeftByAnExceptionStopsAndWaits) {
  std::atomic<bool> ended{false};
  try {
    weft::scope all;
    all.spawn([&](std::stop_token stop) {
      be_stopped(stop);
      ended = true;
      throw std::runtime_error("lost: another exception is under way");
    });
    throw std::logic_error("the body's");
  } catch (const std::logic_error&) {
    EXPECT_TRUE(ended);
  }
}

TEST(Scope, ResultsAreThereAfterTheJoin) {
  weft::scope all;
  auto sum = all.submit([](int a, int b) { return a + b; }, 3, 4);
  auto text = all.submit([](std::stop_token) { return std::string("text"); });
  auto failed = all.submit([]() -> int { throw 1; });
  EXPECT_THROW(all.join(), int);
  EXPECT_EQ(sum.get(), 7);
  EXPECT_EQ(text.get(), "text");
  EXPECT_FALSE(failed.has_value());
  EXPECT_THROW(failed.get(), std::bad_optional_access);
}

TEST(Scope, StopRequestsFlowDown) {
  std::stop_source above;
  weft::scope outer(above.get_token());
  outer.spawn([&] {
    weft::scope inner(outer);
    for (int i = 0; i < 3; ++i) inner.spawn(be_stopped);
  });
  let_others_get_there();
  above.request_stop();
  outer.join();
}

TEST(Scope, DeadlinesFlowDown) {
  const auto soon = steady::now() + short_while;
  EXPECT_GE(time_of([&] {
    weft::scope outer(soon);
    outer.spawn([&] {
      weft::scope inner(outer, steady::now() + very_long);
      EXPECT_EQ(inner.get_deadline(), soon);
      inner.spawn(be_stopped);
    });
  }), short_while / 2);
  weft::scope in_time(steady::now() + very_long);
  in_time.spawn([](std::stop_token stop) { EXPECT_FALSE(stop.stop_requested()); });
  EXPECT_LT(time_of([&] { in_time.join(); }), very_long / 2) << "the deadline is not waited for";
}

TEST(Scope, ChildrenMaySpawnChildren) {
  std::atomic<int> ended{0};
  weft::scope all;
  std::function<void(int)> grow = [&](int depth) {
    if (depth > 0)
      for (int i = 0; i < 2; ++i) all.spawn(grow, depth - 1);
    ++ended;
  };
  all.spawn(grow, 6);
  all.join();
  EXPECT_EQ(ended, 127);
}

TEST(Scope, WhatChildrenWereCalledWithIsDestroyedOnce) {
  counted::book book;
  {
    weft::scope all;
    for (int i = 0; i < 20; ++i) all.spawn([c = counted(book)](const counted&) {}, counted(book));
  }
  EXPECT_EQ(book.alive(), 0);
}

}  // namespace
}  // namespace api_test
