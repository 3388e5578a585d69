// SPDX-License-Identifier: BSL-1.0
// shared_mutex and shared_timed_mutex, by the wording of [thread.sharedmutex]. As exclusive locks they are in mutexes_test.cpp.
#include <mutex>

#include "support.hpp"

namespace api_test {
namespace {

template <class Kind>
class SharedMutexes : public testing::Test {};
TYPED_TEST_SUITE(SharedMutexes, kinds, kind_names);

TYPED_TEST(SharedMutexes, ReadersShare) {
  weft::shared_mutex m;
  weft::barrier all_inside(4);
  const crew<TypeParam> readers(4, [&] {
    const std::shared_lock hold(m);
    all_inside.arrive_and_wait();
  });
}

TYPED_TEST(SharedMutexes, ReadersOfAllKindsShare) {
  weft::shared_mutex m;
  weft::barrier all_inside(9);
  in_all_kinds(3, [&] {
    const weft::shared_lock hold(m);
    all_inside.arrive_and_wait();
  });
}

TYPED_TEST(SharedMutexes, WriterKeepsReadersAndWritersOut) {
  weft::shared_mutex m;
  m.lock();
  TypeParam other([&] {
    EXPECT_FALSE(m.try_lock_shared());
    EXPECT_FALSE(m.try_lock());
  });
  other.join();
  m.unlock();
}

TYPED_TEST(SharedMutexes, ReaderKeepsWritersOut) {
  weft::shared_mutex m;
  m.lock_shared();
  TypeParam other([&] {
    EXPECT_FALSE(m.try_lock());
    EXPECT_TRUE(m.try_lock_shared());
    m.unlock_shared();
  });
  other.join();
  m.unlock_shared();
  EXPECT_TRUE(m.try_lock());
  m.unlock();
}

TYPED_TEST(SharedMutexes, WriterWaitsForTheLastReader) {
  weft::shared_mutex m;
  std::atomic<int> readers{2};
  m.lock_shared();
  m.lock_shared();
  std::atomic<bool> there{false};
  TypeParam writer([&] {
    there = true;
    m.lock();
    EXPECT_EQ(readers, 0);
    m.unlock();
  });
  until([&] { return there.load(); });
  let_others_get_there();
  --readers;
  m.unlock_shared();
  let_others_get_there();
  --readers;
  m.unlock_shared();
  writer.join();
}

TYPED_TEST(SharedMutexes, ReadersDoNotStarveAWriter) {
  weft::shared_mutex m;
  std::atomic<bool> written{false};
  const crew<TypeParam> readers(4, [&] {
    while (!written) {
      const std::shared_lock hold(m);
      weft::this_thread::yield();
    }
  });
  TypeParam writer([&] {
    const std::lock_guard hold(m);
    written = true;
  });
  writer.join();
}

TYPED_TEST(SharedMutexes, SeeWhatWritersWrote) {
  weft::shared_mutex m;
  int a = 0, b = 0;
  const crew<TypeParam> all(4, [&, turn = std::make_shared<std::atomic<int>>(0)] {
    const bool writes = (*turn)++ % 2 == 0;
    for (int i = 0; i < 200; ++i) {
      if (writes) {
        const std::lock_guard hold(m);
        ++a;
        if (i % 16 == 0) weft::this_thread::yield();
        ++b;
      } else {
        const std::shared_lock hold(m);
        EXPECT_EQ(a, b);
      }
    }
  });
}

TYPED_TEST(SharedMutexes, TimedLocksTimeOut) {
  weft::shared_timed_mutex m;
  m.lock();
  TypeParam other([&] {
    EXPECT_GE(time_of([&] { EXPECT_FALSE(m.try_lock_shared_for(short_while)); }), short_while);
    EXPECT_GE(time_of([&] { EXPECT_FALSE(m.try_lock_for(short_while)); }), short_while);
    EXPECT_FALSE(m.try_lock_shared_until(std::chrono::system_clock::now() + 1ms));
    EXPECT_FALSE(m.try_lock_shared_until(steady::now() - 1h));
    EXPECT_FALSE(m.try_lock_shared_for(-1h));
    const std::shared_lock hold(m, 1ms);
    EXPECT_FALSE(hold.owns_lock());
  });
  other.join();
  m.unlock();
}

TYPED_TEST(SharedMutexes, TimedLocksGetThereInTime) {
  weft::shared_timed_mutex m;
  m.lock();
  std::atomic<int> there{0};
  const crew<TypeParam> readers(3, [&] {
    const int me = there++;
    EXPECT_TRUE(me == 0   ? m.try_lock_shared_for(very_long)
                : me == 1 ? m.try_lock_shared_until(std::chrono::system_clock::now() + very_long)
                          : m.try_lock_shared_until(steady::time_point::max()));
    m.unlock_shared();
  });
  until([&] { return there == 3; });
  let_others_get_there();
  m.unlock();
}

TYPED_TEST(SharedMutexes, WriterThatGivesUpLetsReadersIn) {
  weft::shared_timed_mutex m;
  m.lock_shared();
  std::atomic<bool> there{false};
  TypeParam writer([&] {
    there = true;
    EXPECT_FALSE(m.try_lock_for(2 * short_while));
  });
  until([&] { return there.load(); });
  let_others_get_there();
  TypeParam reader([&] {
    EXPECT_TRUE(m.try_lock_shared_for(very_long));
    m.unlock_shared();
  });
  reader.join();
  writer.join();
  m.unlock_shared();
}

TYPED_TEST(SharedMutexes, RacesOfTimeAndUnlockLoseNothing) {
  weft::shared_timed_mutex m;
  std::atomic<int> readers{0}, writers{0};
  {
    const crew<TypeParam> all(6, [&, turn = std::make_shared<std::atomic<int>>(0)] {
      const bool writes = (*turn)++ % 3 == 0;
      for (int i = 0; i < 100; ++i) {
        const auto span = std::chrono::microseconds(i % 40);
        if (writes) {
          if (!m.try_lock_for(span)) continue;
          EXPECT_EQ(++writers, 1);
          EXPECT_EQ(readers, 0);
          if (i % 8 == 0) weft::this_thread::sleep_for(20us);
          --writers;
          m.unlock();
        } else {
          if (!m.try_lock_shared_for(span)) continue;
          ++readers;
          EXPECT_EQ(writers, 0);
          if (i % 8 == 0) weft::this_thread::sleep_for(20us);
          --readers;
          m.unlock_shared();
        }
      }
    });
  }
  EXPECT_TRUE(m.try_lock());
  m.unlock();
}

TEST(SharedMutexesDeathTest, Misuse) {
  EXPECT_DEATH(
      {
        weft::shared_mutex m;
        m.lock();
        m.lock();
      },
      "weft: a thread locks a shared_mutex that it holds");
  EXPECT_DEATH(
      {
        weft::shared_mutex m;
        m.lock();
        m.lock_shared();
      },
      "weft: a thread locks for reading a shared_mutex that it holds for writing");
  EXPECT_DEATH(
      {
        weft::shared_mutex m;
        m.lock();
        weft::thread([&] { m.unlock(); }).join();
      },
      "weft: a shared_mutex is unlocked by one that does not hold it");
  EXPECT_DEATH(weft::shared_mutex().unlock(), "weft: a shared_mutex is unlocked");
  EXPECT_DEATH(weft::shared_mutex().unlock_shared(), "weft: a shared_mutex is unlocked for reading");
  EXPECT_DEATH(weft::shared_mutex().lock(), "weft: destroyed while");
  EXPECT_DEATH(weft::shared_mutex().lock_shared(), "weft: destroyed while");
}

}  // namespace
}  // namespace api_test
