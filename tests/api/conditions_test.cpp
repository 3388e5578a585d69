// SPDX-License-Identifier: BSL-1.0
// condition_variable and condition_variable_any, by the wording of [thread.condition].
#include "support.hpp"

namespace api_test {
namespace {

/// condition_variable, and condition_variable_any with several locks, each with each kind of thread.
template <class Condition, class Mutex, class Lock, class Kind>
struct setting {
  using condition = Condition;
  using mutex = Mutex;
  using lock = Lock;
  using kind = Kind;
};
template <class Kind>
using plain = setting<weft::condition_variable, weft::mutex, std::unique_lock<weft::mutex>, Kind>;
template <class Kind>
using any_mutex = setting<weft::condition_variable_any, weft::mutex, std::unique_lock<weft::mutex>, Kind>;
template <class Kind>
using any_shared = setting<weft::condition_variable_any, weft::shared_mutex, std::shared_lock<weft::shared_mutex>, Kind>;
template <class Kind>
using any_std = setting<weft::condition_variable_any, std::recursive_mutex, std::unique_lock<std::recursive_mutex>, Kind>;

struct setting_names {
  template <class T>
  static std::string GetName(int i) {
    using M = typename T::mutex;
    const char* const what = std::is_same_v<typename T::condition, weft::condition_variable> ? "plain_"
                             : std::is_same_v<M, weft::mutex>                                ? "any_"
                             : std::is_same_v<M, weft::shared_mutex>                         ? "any_shared_"
                                                                                             : "any_std_";
    return what + kind_names::GetName<typename T::kind>(i);
  }
};

template <class S>
class Conditions : public testing::Test {};
// A fiber may not hold a std::mutex over a wait of its own, but it may wait with one.
using settings = testing::Types<plain<weft::thread>, plain<weft::fiber>, plain<std::thread>, any_mutex<weft::thread>, any_mutex<weft::fiber>,
                                any_mutex<std::thread>, any_shared<weft::thread>, any_shared<weft::fiber>, any_std<std::thread>>;
TYPED_TEST_SUITE(Conditions, settings, setting_names);

static_assert(!std::is_copy_constructible_v<weft::condition_variable> && !std::is_move_constructible_v<weft::condition_variable>);
static_assert(!std::is_copy_constructible_v<weft::condition_variable_any> && !std::is_move_constructible_v<weft::condition_variable_any>);
static_assert(std::is_same_v<weft::cv_status, std::cv_status>);

TYPED_TEST(Conditions, NotifyWithoutWaitersIsForgotten) {
  typename TypeParam::condition changed;
  typename TypeParam::mutex m;
  changed.notify_one();
  changed.notify_all();
  typename TypeParam::lock hold(m);
  EXPECT_EQ(changed.wait_for(hold, 1ms), std::cv_status::timeout);
}

TYPED_TEST(Conditions, WaitersFindTheLockTheirs) {
  typename TypeParam::condition changed;
  typename TypeParam::mutex m;
  bool ready = false;
  typename TypeParam::kind waiter([&] {
    typename TypeParam::lock hold(m);
    changed.wait(hold, [&] { return ready; });
    EXPECT_TRUE(hold.owns_lock());
    EXPECT_TRUE(ready);
  });
  let_others_get_there();
  {
    const std::lock_guard hold(m);
    ready = true;
  }
  changed.notify_one();
  waiter.join();
  EXPECT_TRUE(m.try_lock());
  m.unlock();
}

TYPED_TEST(Conditions, WaitWithoutPredicateReturnsWhenNotified) {
  typename TypeParam::condition changed;
  typename TypeParam::mutex m;
  int stage = 0;
  typename TypeParam::kind waiter([&] {
    typename TypeParam::lock hold(m);
    stage = 1;
    while (stage != 2) changed.wait(hold);
    stage = 3;
  });
  for (bool seen = false; !seen; weft::this_thread::yield()) {
    const std::lock_guard hold(m);
    if (stage == 1) stage = 2, seen = true;
  }
  changed.notify_one();
  waiter.join();
  EXPECT_EQ(stage, 3);
}

TYPED_TEST(Conditions, NotifyAllWakesAll) {
  typename TypeParam::condition changed;
  typename TypeParam::mutex m;
  bool open = false;
  std::atomic<int> waiting{0}, over{0};
  const crew<typename TypeParam::kind> waiters(8, [&] {
    typename TypeParam::lock hold(m);
    ++waiting;
    changed.wait(hold, [&] { return open; });
    ++over;
  });
  until([&] { return waiting == 8; });
  {
    const std::lock_guard hold(m);
    open = true;
  }
  changed.notify_all();
  until([&] { return over == 8; });
}

TYPED_TEST(Conditions, NotifyOneIsEnoughForEach) {
  typename TypeParam::condition changed;
  typename TypeParam::mutex m;
  std::atomic<int> tokens{0}, over{0};
  const crew<typename TypeParam::kind> waiters(8, [&] {
    typename TypeParam::lock hold(m);
    changed.wait(hold, [&] {
      int seen = tokens;
      while (seen > 0)
        if (tokens.compare_exchange_weak(seen, seen - 1)) return true;
      return false;
    });
    ++over;
  });
  for (int i = 0; i < 8; ++i) {
    {
      const std::lock_guard hold(m);
      ++tokens;
    }
    changed.notify_one();
    if (i % 3 == 0) weft::this_thread::yield();
  }
  until([&] { return over == 8; });
}

TYPED_TEST(Conditions, TimedWaitsTimeOutNotEarlier) {
  typename TypeParam::kind waiter([] {
    typename TypeParam::condition changed;
    typename TypeParam::mutex m;
    typename TypeParam::lock hold(m);
    EXPECT_GE(time_of([&] { EXPECT_EQ(changed.wait_for(hold, short_while), std::cv_status::timeout); }), short_while);
    EXPECT_TRUE(hold.owns_lock());
    EXPECT_GE(time_of([&] { EXPECT_EQ(changed.wait_until(hold, steady::now() + short_while), std::cv_status::timeout); }), short_while);
    EXPECT_GE(time_of([&] { EXPECT_FALSE(changed.wait_for(hold, short_while, [] { return false; })); }), short_while);
    EXPECT_GE(time_of([&] { EXPECT_FALSE(changed.wait_until(hold, steady::now() + short_while, [] { return false; })); }), short_while);
    const auto wall = std::chrono::system_clock::now() + short_while;
    EXPECT_EQ(changed.wait_until(hold, wall), std::cv_status::timeout);
    EXPECT_GE(std::chrono::system_clock::now(), wall);
    const auto slow = slow_clock::now() + short_while;
    EXPECT_FALSE(changed.wait_until(hold, slow, [] { return false; }));
    EXPECT_GE(slow_clock::now(), slow);
    EXPECT_EQ(changed.wait_for(hold, std::chrono::duration<double>(0.001)), std::cv_status::timeout);
  });
  waiter.join();
}

TYPED_TEST(Conditions, PastTimesDoNotWait) {
  typename TypeParam::condition changed;
  typename TypeParam::mutex m;
  typename TypeParam::lock hold(m);
  EXPECT_EQ(changed.wait_for(hold, -1h), std::cv_status::timeout);
  EXPECT_EQ(changed.wait_for(hold, std::chrono::hours::min()), std::cv_status::timeout);
  EXPECT_EQ(changed.wait_until(hold, steady::time_point::min()), std::cv_status::timeout);
  EXPECT_EQ(changed.wait_until(hold, std::chrono::system_clock::time_point()), std::cv_status::timeout);
  EXPECT_EQ(changed.wait_until(hold, slow_clock::now() - 1h), std::cv_status::timeout);
  EXPECT_TRUE(changed.wait_for(hold, -1h, [] { return true; })) << "the predicate counts, not the time";
  EXPECT_TRUE(changed.wait_until(hold, steady::now() - 1h, [] { return true; }));
}

TYPED_TEST(Conditions, PredicateIsAskedOnceMoreWhenTimeIsUp) {
  typename TypeParam::condition changed;
  typename TypeParam::mutex m;
  typename TypeParam::lock hold(m);
  int asked = 0;
  EXPECT_TRUE(changed.wait_for(hold, 1ms, [&] { return ++asked == 2; }));
  EXPECT_EQ(asked, 2);
}

TYPED_TEST(Conditions, TimedWaitsEndByNotification) {
  typename TypeParam::condition changed;
  typename TypeParam::mutex m;
  bool open = false;
  std::atomic<int> there{0};
  const crew<typename TypeParam::kind> waiters(6, [&] {
    typename TypeParam::lock hold(m);
    const auto is_open = [&] { return open; };
    switch (there++) {
      case 0: EXPECT_TRUE(changed.wait_for(hold, very_long, is_open)); break;
      case 1: EXPECT_TRUE(changed.wait_until(hold, steady::now() + very_long, is_open)); break;
      case 2: EXPECT_TRUE(changed.wait_until(hold, std::chrono::system_clock::now() + very_long, is_open)); break;
      case 3: EXPECT_TRUE(changed.wait_until(hold, steady::time_point::max(), is_open)); break;
      case 4: EXPECT_TRUE(changed.wait_for(hold, std::chrono::hours::max(), is_open)); break;
      default:
        while (!open) EXPECT_EQ(changed.wait_for(hold, very_long), std::cv_status::no_timeout);
    }
  });
  until([&] { return there == 6; });
  {
    const std::lock_guard hold(m);
    open = true;
  }
  changed.notify_all();
}

TYPED_TEST(Conditions, TimeAndNotificationRaceAndLoseNothing) {
  // A notification that comes when the time is up goes to another waiter, or is not needed: with a token for each there is none left over.
  typename TypeParam::condition changed;
  typename TypeParam::mutex m;
  std::atomic<int> tokens{0};
  std::atomic<int> taken{0};
  constexpr int each = 50;
  {
    const crew<typename TypeParam::kind> takers(4, [&] {
      for (int i = 0; i < each;) {
        typename TypeParam::lock hold(m);
        int seen = 0;
        if (!changed.wait_for(hold, std::chrono::microseconds(20 + i), [&] {
              seen = tokens;
              return seen > 0;
            }))
          continue;
        if (!tokens.compare_exchange_strong(seen, seen - 1)) continue;
        ++taken, ++i;
      }
    });
    for (int i = 0; i < 4 * each; ++i) {
      {
        const std::lock_guard hold(m);
        ++tokens;
      }
      changed.notify_one();
      if (i % 4 == 0) weft::this_thread::sleep_for(10us);
    }
  }
  EXPECT_EQ(taken, 4 * each);
  EXPECT_EQ(tokens, 0);
}

TYPED_TEST(Conditions, WhatThePredicateThrowsIsPassedOnWithTheLock) {
  typename TypeParam::condition changed;
  typename TypeParam::mutex m;
  typename TypeParam::lock hold(m);
  EXPECT_THROW(changed.wait(hold, []() -> bool { throw 1; }), int);
  EXPECT_THROW(changed.wait_for(hold, 1ms, []() -> bool { throw 1; }), int);
  EXPECT_TRUE(hold.owns_lock());
}

TYPED_TEST(Conditions, MayBeDestroyedWhenAllWereNotified) {
  for (int i = 0; i < 200; ++i) {
    auto changed = std::make_unique<typename TypeParam::condition>();
    typename TypeParam::mutex m;
    std::atomic<bool> ready{false};  // written under a shared lock, too
    std::atomic<int> in{0};
    const crew<typename TypeParam::kind> waiters(2, [&] {
      typename TypeParam::lock hold(m);
      ++in;
      while (!ready)
        if (changed->wait_for(hold, std::chrono::microseconds(i)) == std::cv_status::timeout) break;  // at the same time as it is destroyed
      ready = true;
    });
    until([&] { return in == 2; });
    const std::lock_guard hold(m);
    ready = true;
    changed->notify_all();
    changed.reset();
  }
}

TYPED_TEST(Conditions, PingPong) {
  typename TypeParam::condition changed;
  typename TypeParam::mutex m;
  std::atomic<int> turn{0};
  const crew<typename TypeParam::kind> players(2, [&, next = std::make_shared<std::atomic<int>>(0)] {
    const int me = (*next)++;
    for (int i = 0; i < 200; ++i) {
      typename TypeParam::lock hold(m);
      changed.wait(hold, [&] { return turn % 2 == me; });
      hold.unlock();
      const std::lock_guard alone(m);  // where waiters share the lock, no two may look and change at once
      ++turn;
      changed.notify_one();
    }
  });
}

TEST(ConditionVariable, AllKindsOnTheSame) {
  weft::condition_variable changed;
  weft::mutex m;
  int turn = 0;
  in_all_kinds(2, [&, next = std::make_shared<std::atomic<int>>(0)] {
    const int me = (*next)++;
    for (int i = 0; i < 30; ++i) {
      std::unique_lock hold(m);
      changed.wait(hold, [&] { return turn % 6 == me; });
      ++turn;
      changed.notify_all();
    }
  });
  EXPECT_EQ(turn, 180);
}

TEST(ConditionVariableAny, TakesWhateverLocks) {
  struct own_lock {
    weft::mutex m;
    int locked = 0, unlocked = 0;
    void lock() { m.lock(), ++locked; }
    void unlock() { ++unlocked, m.unlock(); }
  } lock;
  weft::condition_variable_any changed;
  lock.lock();
  EXPECT_EQ(changed.wait_for(lock, 1ms), std::cv_status::timeout);
  EXPECT_EQ(lock.locked, 2);
  EXPECT_EQ(lock.unlocked, 1);
  lock.unlock();
}

TEST(ConditionVariableAny, IsUsableAfterALockThatRefused) {
  weft::condition_variable_any changed;
  weft::mutex m;
  std::unique_lock unlocked(m, std::defer_lock);
  EXPECT_EQ(error_of([&] { changed.wait(unlocked); }), std::errc::operation_not_permitted);
  std::unique_lock hold(m);
  EXPECT_EQ(changed.wait_for(hold, 1ms), std::cv_status::timeout);
  changed.notify_all();
}

// -- stop tokens --

template <class Kind>
class StoppableWaits : public testing::Test {};
TYPED_TEST_SUITE(StoppableWaits, kinds, kind_names);

TYPED_TEST(StoppableWaits, StopEndsTheWait) {
  weft::condition_variable_any changed;
  weft::mutex m;
  std::stop_source source;
  std::atomic<int> there{0};
  const crew<TypeParam> waiters(3, [&] {
    std::unique_lock hold(m);
    const auto never = [] { return false; };
    switch (there++) {
      case 0: EXPECT_FALSE(changed.wait(hold, source.get_token(), never)); break;
      case 1: EXPECT_FALSE(changed.wait_for(hold, source.get_token(), very_long, never)); break;
      default: EXPECT_FALSE(changed.wait_until(hold, source.get_token(), std::chrono::system_clock::now() + very_long, never));
    }
    EXPECT_TRUE(hold.owns_lock());
    EXPECT_TRUE(source.stop_requested());
  });
  until([&] { return there == 3; });
  let_others_get_there();
  source.request_stop();
}

TYPED_TEST(StoppableWaits, NotificationEndsTheWait) {
  weft::condition_variable_any changed;
  weft::mutex m;
  const std::stop_source source;
  bool open = false;
  std::atomic<int> there{0};
  const crew<TypeParam> waiters(3, [&] {
    std::unique_lock hold(m);
    const auto is_open = [&] { return open; };
    switch (there++) {
      case 0: EXPECT_TRUE(changed.wait(hold, source.get_token(), is_open)); break;
      case 1: EXPECT_TRUE(changed.wait_for(hold, source.get_token(), very_long, is_open)); break;
      default: EXPECT_TRUE(changed.wait(hold, std::stop_token(), is_open));
    }
  });
  until([&] { return there == 3; });
  {
    const std::lock_guard hold(m);
    open = true;
  }
  changed.notify_all();
}

TYPED_TEST(StoppableWaits, StoppedBeforeOnlyAsks) {
  TypeParam waiter([] {
    weft::condition_variable_any changed;
    weft::mutex m;
    std::stop_source source;
    source.request_stop();
    std::unique_lock hold(m);
    EXPECT_FALSE(changed.wait(hold, source.get_token(), [] { return false; }));
    EXPECT_TRUE(changed.wait(hold, source.get_token(), [] { return true; }));
    EXPECT_FALSE(changed.wait_for(hold, source.get_token(), very_long, [] { return false; }));
    EXPECT_FALSE(changed.wait_until(hold, source.get_token(), steady::now() + very_long, [] { return false; }));
  });
  waiter.join();
}

TYPED_TEST(StoppableWaits, TimeOut) {
  TypeParam waiter([] {
    weft::condition_variable_any changed;
    weft::mutex m;
    const std::stop_source source;
    std::unique_lock hold(m);
    EXPECT_GE(time_of([&] { EXPECT_FALSE(changed.wait_for(hold, source.get_token(), short_while, [] { return false; })); }), short_while);
    EXPECT_FALSE(changed.wait_until(hold, source.get_token(), steady::now() - 1h, [] { return false; }));
    EXPECT_TRUE(changed.wait_until(hold, source.get_token(), steady::now() - 1h, [] { return true; }));
  });
  waiter.join();
}

TYPED_TEST(StoppableWaits, StopRacesWithTheBeginningOfTheWait) {
  for (int i = 0; i < 200; ++i) {
    weft::condition_variable_any changed;
    weft::mutex m;
    std::stop_source source;
    std::atomic<bool> there{false};
    TypeParam waiter([&] {
      std::unique_lock hold(m);
      there = true;
      EXPECT_FALSE(changed.wait(hold, source.get_token(), [] { return false; }));
    });
    while (i % 4 != 0 && !there) weft::this_thread::yield();
    if (i % 4 == 2) weft::this_thread::yield();
    source.request_stop();
    waiter.join();
  }
}

TYPED_TEST(StoppableWaits, StopRequestedWithTheLockHeld) {
  weft::condition_variable_any changed;
  weft::mutex m;
  std::stop_source source;
  TypeParam waiter([&] {
    std::unique_lock hold(m);
    EXPECT_FALSE(changed.wait(hold, source.get_token(), [] { return false; }));
  });
  let_others_get_there();
  {
    const std::lock_guard hold(m);
    source.request_stop();
  }
  waiter.join();
}

TEST(StoppableWaits, JthreadInAQueue) {
  weft::condition_variable_any changed;
  weft::mutex m;
  std::vector<int> queue;
  std::atomic<int> handled{0};
  {
    const weft::jthread worker([&](std::stop_token stop) {
      std::unique_lock hold(m);
      while (changed.wait(hold, stop, [&] { return !queue.empty(); })) {
        queue.pop_back();
        ++handled;
      }
    });
    for (int i = 0; i < 10; ++i) {
      {
        const std::lock_guard hold(m);
        queue.push_back(i);
      }
      changed.notify_one();
    }
    until([&] { return handled == 10; });
  }
  EXPECT_EQ(handled, 10);
}

// -- misuse --

TEST(ConditionsDeathTest, WaitWithALockThatIsNotHeld) {
  const auto die = [] {
    weft::condition_variable changed;
    weft::mutex m;
    std::unique_lock hold(m, std::defer_lock);
    changed.wait(hold);
  };
  EXPECT_DEATH(die(), "weft: a thread waits on a condition with a mutex that it does not hold");
}
TEST(ConditionsDeathTest, DestroyedWhileWaitedFor) {
  const auto die = [] {
    auto changed = std::make_unique<weft::condition_variable>();
    weft::mutex m;
    bool in = false;
    weft::thread waiter([&] {
      std::unique_lock hold(m);
      in = true;
      changed->wait(hold);
    });
    until([&] {
      const std::lock_guard hold(m);
      return in;
    });
    changed.reset();
  };
  EXPECT_DEATH(die(), "weft: destroyed while it is locked or waited for: a condition_variable");
}
struct cannot_be_locked_again {
  void lock() { throw 1; }
  void unlock() {}
};
TEST(ConditionsDeathTest, LockThatThrowsAfterAWait) {
  const auto die = [] {
    weft::condition_variable_any changed;
    cannot_be_locked_again lock;
    (void)changed.wait_for(lock, 1ms);
  };
  EXPECT_DEATH(die(), "terminate called");
}

}  // namespace
}  // namespace api_test
