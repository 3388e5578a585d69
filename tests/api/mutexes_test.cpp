// SPDX-License-Identifier: BSL-1.0
// mutex, timed_mutex, recursive_mutex, recursive_timed_mutex, by the wording of [thread.mutex]; and what else can lock them.
#include "support.hpp"

namespace api_test {
namespace {

/// A mutex type and the kind of thread that is the other one.
template <class Mutex, class Kind>
struct pairing {
  using mutex = Mutex;
  using kind = Kind;
};
struct pairing_names {
  template <class T>
  static std::string GetName(int i) {
    using M = typename T::mutex;
    const char* const mutex = std::is_same_v<M, weft::mutex>             ? "mutex"
                              : std::is_same_v<M, weft::timed_mutex>     ? "timed_mutex"
                              : std::is_same_v<M, weft::recursive_mutex> ? "recursive_mutex"
                              : std::is_same_v<M, weft::recursive_timed_mutex> ? "recursive_timed_mutex"
                              : std::is_same_v<M, weft::shared_mutex>    ? "shared_mutex"
                                                                         : "shared_timed_mutex";
    return mutex + ("_" + kind_names::GetName<typename T::kind>(i));
  }
};

template <class P>
class Mutexes : public testing::Test {};
using all_pairings =
    testing::Types<pairing<weft::mutex, weft::thread>, pairing<weft::mutex, weft::fiber>, pairing<weft::mutex, std::thread>,
                   pairing<weft::timed_mutex, weft::thread>, pairing<weft::timed_mutex, weft::fiber>, pairing<weft::timed_mutex, std::thread>,
                   pairing<weft::recursive_mutex, weft::thread>, pairing<weft::recursive_mutex, weft::fiber>, pairing<weft::recursive_mutex, std::thread>,
                   pairing<weft::recursive_timed_mutex, weft::thread>, pairing<weft::recursive_timed_mutex, weft::fiber>,
                   pairing<weft::recursive_timed_mutex, std::thread>, pairing<weft::shared_mutex, weft::thread>, pairing<weft::shared_mutex, weft::fiber>,
                   pairing<weft::shared_mutex, std::thread>, pairing<weft::shared_timed_mutex, weft::thread>>;
TYPED_TEST_SUITE(Mutexes, all_pairings, pairing_names);

template <class M>
constexpr bool is_as_std_mutex = std::is_nothrow_default_constructible_v<M> && !std::is_copy_constructible_v<M> && !std::is_move_constructible_v<M> &&
                                 !std::is_copy_assignable_v<M> && !std::is_move_assignable_v<M>;
static_assert(is_as_std_mutex<weft::mutex> && is_as_std_mutex<weft::timed_mutex> && is_as_std_mutex<weft::recursive_mutex> &&
              is_as_std_mutex<weft::recursive_timed_mutex>);

constinit weft::mutex made_at_compile_time;
TEST(Mutex, ConstantInitialised) {
  const std::lock_guard hold(made_at_compile_time);
}

TYPED_TEST(Mutexes, OthersCannotHaveWhatIsHeld) {
  typename TypeParam::mutex m;
  m.lock();
  typename TypeParam::kind other([&] {
    EXPECT_FALSE(m.try_lock());
  });
  other.join();
  m.unlock();
  typename TypeParam::kind later([&] {
    EXPECT_TRUE(m.try_lock());
    m.unlock();
  });
  later.join();
}

TYPED_TEST(Mutexes, LockWaitsForUnlockAndSeesWhatWasWritten) {
  typename TypeParam::mutex m;
  int written = 0;
  m.lock();
  std::atomic<bool> there{false};
  typename TypeParam::kind other([&] {
    there = true;
    m.lock();
    EXPECT_EQ(written, 1);
    written = 2;
    m.unlock();
  });
  until([&] { return there.load(); });
  let_others_get_there();
  written = 1;
  m.unlock();
  m.lock();
  EXPECT_TRUE(written == 1 || written == 2);
  m.unlock();
  other.join();
  EXPECT_EQ(written, 2);
}

TYPED_TEST(Mutexes, ExcludeEachOther) {
  typename TypeParam::mutex m;
  int count = 0;
  bool inside = false;
  {
    const crew<typename TypeParam::kind> all(4, [&] {
      for (int i = 0; i < 200; ++i) {
        const std::lock_guard hold(m);
        EXPECT_FALSE(std::exchange(inside, true));
        ++count;
        if (i % 16 == 0) weft::this_thread::yield();
        inside = false;
      }
    });
  }
  EXPECT_EQ(count, 800);
}

TYPED_TEST(Mutexes, MayBeDestroyedByTheNextHolder) {
  using M = typename TypeParam::mutex;
  for (int i = 0; i < 200; ++i) {
    auto m = std::make_unique<M>();
    m->lock();
    typename TypeParam::kind other([&m] {
      m->lock();
      m->unlock();
      m.reset();
    });
    if (i % 2 == 0) weft::this_thread::yield();
    m->unlock();
    other.join();
  }
}

template <class P>
class TimedMutexes : public testing::Test {};
using timed_pairings =
    testing::Types<pairing<weft::timed_mutex, weft::thread>, pairing<weft::timed_mutex, weft::fiber>, pairing<weft::timed_mutex, std::thread>,
                   pairing<weft::recursive_timed_mutex, weft::thread>, pairing<weft::recursive_timed_mutex, weft::fiber>,
                   pairing<weft::recursive_timed_mutex, std::thread>, pairing<weft::shared_timed_mutex, weft::thread>,
                   pairing<weft::shared_timed_mutex, weft::fiber>, pairing<weft::shared_timed_mutex, std::thread>>;
TYPED_TEST_SUITE(TimedMutexes, timed_pairings, pairing_names);

TYPED_TEST(TimedMutexes, TimeOutNotEarlier) {
  typename TypeParam::mutex m;
  const std::lock_guard hold(m);
  typename TypeParam::kind other([&] {
    EXPECT_GE(time_of([&] { EXPECT_FALSE(m.try_lock_for(short_while)); }), short_while);
    EXPECT_GE(time_of([&] { EXPECT_FALSE(m.try_lock_until(steady::now() + short_while)); }), short_while);
    const auto wall = std::chrono::system_clock::now() + short_while;
    EXPECT_FALSE(m.try_lock_until(wall));
    EXPECT_GE(std::chrono::system_clock::now(), wall);
    const auto slow = slow_clock::now() + short_while;
    EXPECT_FALSE(m.try_lock_until(slow));
    EXPECT_GE(slow_clock::now(), slow);
    EXPECT_FALSE(m.try_lock_for(std::chrono::duration<float, std::milli>(0.5f)));
  });
  other.join();
}

TYPED_TEST(TimedMutexes, PastTimesDoNotWait) {
  typename TypeParam::mutex m;
  {
    const std::lock_guard hold(m);
    typename TypeParam::kind other([&] {
      EXPECT_FALSE(m.try_lock_for(0s));
      EXPECT_FALSE(m.try_lock_for(-1h));
      EXPECT_FALSE(m.try_lock_for(std::chrono::hours::min()));
      EXPECT_FALSE(m.try_lock_until(steady::time_point::min()));
      EXPECT_FALSE(m.try_lock_until(std::chrono::system_clock::now() - 1h));
      EXPECT_FALSE(m.try_lock_until(std::chrono::system_clock::time_point::min()));
    });
    other.join();
  }
  EXPECT_TRUE(m.try_lock_for(-1s)) << "a free lock is taken whatever the time";
  m.unlock();
}

TYPED_TEST(TimedMutexes, GetTheLockInTime) {
  typename TypeParam::mutex m;
  m.lock();
  std::atomic<int> there{0};
  const crew<typename TypeParam::kind> others(3, [&] {
    const int me = there++;
    EXPECT_TRUE(me == 0   ? m.try_lock_for(very_long)
                : me == 1 ? m.try_lock_until(std::chrono::system_clock::now() + very_long)
                          : m.try_lock_for(std::chrono::hours::max()));
    m.unlock();
  });
  until([&] { return there == 3; });
  let_others_get_there();
  m.unlock();
}

TYPED_TEST(TimedMutexes, FarthestTimesWait) {
  typename TypeParam::mutex m;
  m.lock();
  std::atomic<int> there{0};
  const crew<typename TypeParam::kind> others(4, [&] {
    const int me = there++;
    EXPECT_TRUE(me == 0   ? m.try_lock_until(steady::time_point::max())
                : me == 1 ? m.try_lock_until(std::chrono::system_clock::time_point::max())
                : me == 2 ? m.try_lock_until(std::chrono::time_point<steady, std::chrono::hours>::max())
                          : m.try_lock_for(std::chrono::nanoseconds::max()));
    m.unlock();
  });
  until([&] { return there == 4; });
  let_others_get_there();
  m.unlock();
}

TYPED_TEST(TimedMutexes, RacesOfTimeAndUnlockLoseNothing) {
  typename TypeParam::mutex m;
  std::atomic<int> got{0};
  int inside = 0;
  in_all_kinds(2, [&] {
    for (int i = 0; i < 100; ++i)
      if (m.try_lock_for(std::chrono::microseconds(i % 50))) {
        ++got;
        EXPECT_EQ(++inside, 1);
        if (i % 8 == 0) weft::this_thread::sleep_for(20us);
        --inside;
        m.unlock();
      }
  });
  EXPECT_TRUE(m.try_lock());
  m.unlock();
  EXPECT_GT(got, 0);
}

// -- recursive --

template <class P>
class RecursiveMutexes : public testing::Test {};
using recursive_pairings = testing::Types<pairing<weft::recursive_mutex, weft::thread>, pairing<weft::recursive_mutex, weft::fiber>,
                                          pairing<weft::recursive_mutex, std::thread>, pairing<weft::recursive_timed_mutex, weft::thread>,
                                          pairing<weft::recursive_timed_mutex, weft::fiber>, pairing<weft::recursive_timed_mutex, std::thread>>;
TYPED_TEST_SUITE(RecursiveMutexes, recursive_pairings, pairing_names);

TYPED_TEST(RecursiveMutexes, AreFreeAfterAsManyUnlocks) {
  typename TypeParam::mutex m;
  constexpr int depth = 1000;
  for (int i = 0; i < depth; ++i) {
    if (i % 2 == 0) m.lock();
    else EXPECT_TRUE(m.try_lock());
  }
  for (int i = 0; i < depth; ++i) {
    if (i % 250 == 0) {
      typename TypeParam::kind other([&] { EXPECT_FALSE(m.try_lock()) << i; });
      other.join();
    }
    m.unlock();
  }
  typename TypeParam::kind other([&] {
    EXPECT_TRUE(m.try_lock());
    EXPECT_TRUE(m.try_lock());
    m.unlock();
    m.unlock();
  });
  other.join();
}

TYPED_TEST(RecursiveMutexes, BelongToTheirThreadAcrossWaits) {
  typename TypeParam::mutex m;
  int count = 0;
  {
    const crew<typename TypeParam::kind> all(4, [&] {
      for (int i = 0; i < 30; ++i) {
        const std::lock_guard outer(m);
        weft::this_thread::sleep_for(10us);  // a fiber comes back on another carrier
        const std::lock_guard inner(m);
        ++count;
      }
    });
  }
  EXPECT_EQ(count, 120);
}

TEST(RecursiveTimedMutex, TimedLocksNestToo) {
  weft::recursive_timed_mutex m;
  EXPECT_TRUE(m.try_lock_for(1ms));
  EXPECT_TRUE(m.try_lock_for(0ms));
  EXPECT_TRUE(m.try_lock_until(std::chrono::system_clock::now()));
  m.lock();
  for (int i = 0; i < 4; ++i) {
    weft::fiber other([&] { EXPECT_FALSE(m.try_lock_for(1ms)); });
    other.join();
    m.unlock();
  }
  EXPECT_TRUE(m.try_lock());
  m.unlock();
}

// -- with the standard's locks --

TEST(Locks, UniqueLockDoesAllItDoes) {
  weft::timed_mutex m;
  std::unique_lock<weft::timed_mutex> a(m, std::defer_lock);
  EXPECT_FALSE(a.owns_lock());
  EXPECT_EQ(error_of([&] { a.unlock(); }), std::errc::operation_not_permitted);
  EXPECT_TRUE(a.try_lock());
  EXPECT_EQ(error_of([&] { a.lock(); }), std::errc::resource_deadlock_would_occur);
  EXPECT_EQ(error_of([&] { (void)a.try_lock_for(1s); }), std::errc::resource_deadlock_would_occur);
  weft::thread other([&] {
    const std::unique_lock b(m, std::try_to_lock);
    EXPECT_FALSE(b.owns_lock());
    const std::unique_lock c(m, 1ms);
    EXPECT_FALSE(c.owns_lock());
    const std::unique_lock d(m, steady::now() + 1ms);
    EXPECT_FALSE(d.owns_lock());
  });
  other.join();
  std::unique_lock moved(std::move(a));
  EXPECT_TRUE(moved);
  EXPECT_EQ(moved.release(), &m);
  const weft::unique_lock<weft::timed_mutex> adopted(m, weft::adopt_lock);
}

TEST(Locks, SeveralAtOnceWithoutDeadlock) {
  weft::mutex a;
  weft::recursive_timed_mutex b;
  std::mutex c;
  int count = 0;
  in_all_kinds(2, [&, turn = std::make_shared<std::atomic<int>>(0)] {
    const int me = (*turn)++;
    for (int i = 0; i < 50; ++i) {
      if (me % 3 == 0) {
        const std::scoped_lock all(a, b, c);
        ++count;
      } else if (me % 3 == 1) {
        weft::lock(c, b, a);
        ++count;
        a.unlock();
        b.unlock();
        c.unlock();
      } else {
        const weft::scoped_lock all(b, c, a);
        ++count;
      }
    }
  });
  EXPECT_EQ(count, 300);
  b.lock();
  EXPECT_EQ(weft::try_lock(a, b), -1);
  a.unlock();
  weft::thread([&] {
    EXPECT_EQ(weft::try_lock(a, b), 1);
    EXPECT_TRUE(a.try_lock()) << "it was let go of again";
    a.unlock();
  }).join();
  b.unlock();
  b.unlock();
}

TEST(Locks, AreReleasedByExceptions) {
  weft::mutex m;
  EXPECT_THROW(
      {
        const std::lock_guard hold(m);
        throw 1;
      },
      int);
  EXPECT_TRUE(m.try_lock());
  m.unlock();
}

// -- misuse --

template <class M>
void unlock_by_a_stranger() {
  M m;
  m.lock();
  weft::thread([&] { m.unlock(); }).join();
}
TEST(MutexesDeathTest, LockedTwice) {
  EXPECT_DEATH(
      {
        weft::mutex m;
        m.lock();
        m.lock();
      },
      "weft: a thread locks a mutex that it holds");
  EXPECT_DEATH(
      {
        weft::timed_mutex m;
        weft::fiber([&] {
          m.lock();
          m.lock();
        }).join();
      },
      "weft: a thread locks a mutex that it holds");
}
TEST(MutexesDeathTest, UnlockedByAStranger) {
  EXPECT_DEATH(unlock_by_a_stranger<weft::mutex>(), "weft: a mutex is unlocked by one that does not hold it");
  EXPECT_DEATH(unlock_by_a_stranger<weft::timed_mutex>(), "weft: a mutex is unlocked");
  EXPECT_DEATH(unlock_by_a_stranger<weft::recursive_mutex>(), "weft: a mutex is unlocked");
  EXPECT_DEATH(unlock_by_a_stranger<weft::recursive_timed_mutex>(), "weft: a mutex is unlocked");
}
TEST(MutexesDeathTest, UnlockedWhenFree) {
  EXPECT_DEATH(weft::mutex().unlock(), "weft: a mutex is unlocked");
  EXPECT_DEATH(weft::recursive_mutex().unlock(), "weft: a mutex is unlocked");
}
TEST(MutexesDeathTest, RecursiveUnlockedByAStrangerWhenDeep) {
  const auto die = [] {
    weft::recursive_mutex m;
    m.lock();
    m.lock();
    weft::thread([&] { m.unlock(); }).join();
  };
  EXPECT_DEATH(die(), "weft: a mutex is unlocked");
}
TEST(MutexesDeathTest, DestroyedWhileLocked) {
  EXPECT_DEATH(weft::mutex().lock(), "weft: destroyed while it is locked or waited for: a mutex");
  EXPECT_DEATH(weft::timed_mutex().lock(), "weft: destroyed while .* a timed_mutex");
  EXPECT_DEATH(weft::recursive_mutex().lock(), "weft: destroyed while");
}

}  // namespace
}  // namespace api_test
