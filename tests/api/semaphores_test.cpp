// SPDX-License-Identifier: BSL-1.0
// counting_semaphore and binary_semaphore, by the wording of [thread.sema].
#include "support.hpp"

namespace api_test {
namespace {

template <class Kind>
class Semaphores : public testing::Test {};
TYPED_TEST_SUITE(Semaphores, kinds, kind_names);

static_assert(weft::binary_semaphore::max() >= 1 && weft::counting_semaphore<5>::max() >= 5 && weft::counting_semaphore<>::max() >= 1'000'000);
static_assert(std::is_same_v<weft::binary_semaphore, weft::counting_semaphore<1>>);
static_assert(!std::is_copy_constructible_v<weft::binary_semaphore> && !std::is_convertible_v<int, weft::binary_semaphore>);

TYPED_TEST(Semaphores, HaveAsManyTokensAsTheyBeginWith) {
  TypeParam user([] {
    weft::counting_semaphore<3> s(3);
    s.acquire();
    EXPECT_TRUE(s.try_acquire());
    EXPECT_TRUE(s.try_acquire_for(-1s));
    EXPECT_FALSE(s.try_acquire());
    s.release(2);
    EXPECT_TRUE(s.try_acquire_until(steady::now() - 1h));
    EXPECT_TRUE(s.try_acquire());
    EXPECT_FALSE(s.try_acquire());
    s.release(0);
    EXPECT_FALSE(s.try_acquire());
  });
  user.join();
}

TYPED_TEST(Semaphores, AcquireWaitsForRelease) {
  weft::binary_semaphore s(0);
  int written = 0;
  TypeParam other([&] {
    s.acquire();
    EXPECT_EQ(written, 1);
  });
  let_others_get_there();
  written = 1;
  s.release();
  other.join();
}

TYPED_TEST(Semaphores, ReleaseOfSeveralWakesSeveral) {
  weft::counting_semaphore<> s(0);
  {
    const crew<TypeParam> waiters(5, [&] { s.acquire(); });
    let_others_get_there();
    s.release(2);
    s.release(4);
  }
  EXPECT_TRUE(s.try_acquire());
  EXPECT_FALSE(s.try_acquire());
}

TYPED_TEST(Semaphores, TimeOutNotEarlier) {
  TypeParam user([] {
    weft::binary_semaphore s(0);
    EXPECT_GE(time_of([&] { EXPECT_FALSE(s.try_acquire_for(short_while)); }), short_while);
    EXPECT_GE(time_of([&] { EXPECT_FALSE(s.try_acquire_until(steady::now() + short_while)); }), short_while);
    const auto wall = std::chrono::system_clock::now() + short_while;
    EXPECT_FALSE(s.try_acquire_until(wall));
    EXPECT_GE(std::chrono::system_clock::now(), wall);
    EXPECT_FALSE(s.try_acquire_until(slow_clock::now() + 1ms));
    EXPECT_FALSE(s.try_acquire_for(-1h));
    EXPECT_FALSE(s.try_acquire_until(steady::time_point::min()));
    EXPECT_FALSE(s.try_acquire_until(std::chrono::system_clock::time_point::min()));
  });
  user.join();
}

TYPED_TEST(Semaphores, TimedAcquiresGetThereInTime) {
  weft::counting_semaphore<8> s(0);
  std::atomic<int> there{0};
  const crew<TypeParam> waiters(3, [&] {
    const int me = there++;
    EXPECT_TRUE(me == 0   ? s.try_acquire_for(very_long)
                : me == 1 ? s.try_acquire_until(std::chrono::system_clock::now() + very_long)
                          : s.try_acquire_until(steady::time_point::max()));
  });
  until([&] { return there == 3; });
  let_others_get_there();
  s.release(3);
}

TYPED_TEST(Semaphores, TokensAreNeitherLostNorInvented) {
  weft::counting_semaphore<> s(0);
  std::atomic<int> taken{0};
  {
    const crew<TypeParam> takers(4, [&, turn = std::make_shared<std::atomic<int>>(0)] {
      const bool timed = (*turn)++ % 2 == 0;
      for (int i = 0; i < 100; ++i) {
        if (timed)
          while (!s.try_acquire_for(std::chrono::microseconds(i))) {
          }
        else
          s.acquire();
        ++taken;
      }
    });
    for (int i = 0; i < 200; ++i) {
      s.release(2);
      if (i % 8 == 0) weft::this_thread::sleep_for(10us);
    }
  }
  EXPECT_EQ(taken, 400);
  EXPECT_FALSE(s.try_acquire());
}

TYPED_TEST(Semaphores, MayBeDestroyedByWhoTookTheToken) {
  for (int i = 0; i < 200; ++i) {
    auto s = std::make_unique<weft::binary_semaphore>(0);
    TypeParam other([&] {
      s->acquire();
      s.reset();
    });
    if (i % 2 == 0) weft::this_thread::yield();
    s->release();
    other.join();
  }
}

TEST(Semaphores, BoundHowManyAreInside) {
  weft::counting_semaphore<3> room(3);
  std::atomic<int> inside{0};
  in_all_kinds(4, [&] {
    for (int i = 0; i < 20; ++i) {
      room.acquire();
      EXPECT_LE(++inside, 3);
      weft::this_thread::yield();
      --inside;
      room.release();
    }
  });
}

TEST(SemaphoresDeathTest, ReleasedBeyondTheGreatestValue) {
  const auto die = [] {
    weft::counting_semaphore<> s(weft::counting_semaphore<>::max());
    s.release();
  };
  EXPECT_DEATH(die(), "weft: a semaphore is released beyond its greatest value");
}

}  // namespace
}  // namespace api_test
