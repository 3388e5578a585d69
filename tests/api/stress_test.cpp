// SPDX-License-Identifier: BSL-1.0
// Every primitive under load, with all kinds of threads on the same objects, on few and on many carriers (CMakeLists.txt says how many).
// Bounded by counts, so a slow machine takes longer and nothing else. What is done when is chosen by a generator with a fixed seed per thread.
#include <random>

#include "support.hpp"

namespace api_test {
namespace {

constexpr int of_each_kind = 4, threads = 3 * of_each_kind;
#if defined(WEFT_TEST_SANITIZED)
constexpr int rounds = 100;
#else
constexpr int rounds = 1000;
#endif

/// f(dice, me) in threads of all kinds at once.
template <class F>
void hammer(F f) {
  std::atomic<int> next{0};
  in_all_kinds(of_each_kind, [&] {
    const int me = next++;
    std::minstd_rand dice(static_cast<unsigned>(me) + 1);
    f(dice, me);
  });
}
/// Once in a while: yields or sleeps a moment.
void perhaps_pause(std::minstd_rand& dice) {
  switch (dice() % 32) {
    case 0: weft::this_thread::yield(); break;
    case 1: weft::this_thread::sleep_for(std::chrono::microseconds(dice() % 50)); break;
    default: break;
  }
}

template <class M>
void hammer_mutex(bool recursive) {
  M m;
  long count = 0;
  hammer([&](auto& dice, int) {
    for (int i = 0; i < rounds; ++i) {
      const std::lock_guard hold(m);
      if (recursive) m.lock();
      ++count;
      perhaps_pause(dice);
      if (recursive) m.unlock();
    }
  });
  EXPECT_EQ(count, long{threads} * rounds);
}
TEST(Stress, Mutex) { hammer_mutex<weft::mutex>(false); }
TEST(Stress, RecursiveMutex) { hammer_mutex<weft::recursive_mutex>(true); }

TEST(Stress, TimedMutex) {
  weft::timed_mutex m;
  long count = 0;
  std::atomic<long> locked{0};
  hammer([&](auto& dice, int) {
    for (int i = 0; i < rounds; ++i) {
      if (dice() % 2 == 0) m.lock();
      else if (!m.try_lock_for(std::chrono::microseconds(dice() % 30))) continue;
      ++count, ++locked;
      perhaps_pause(dice);
      m.unlock();
    }
  });
  EXPECT_EQ(count, locked);
}

TEST(Stress, SharedMutex) {
  weft::shared_timed_mutex m;
  long a = 0, b = 0;
  hammer([&](auto& dice, int) {
    for (int i = 0; i < rounds; ++i) {
      if (dice() % 4 == 0) {
        if (dice() % 2 == 0) m.lock();
        else if (!m.try_lock_for(std::chrono::microseconds(dice() % 30))) continue;
        ++a;
        perhaps_pause(dice);
        ++b;
        m.unlock();
      } else {
        if (dice() % 2 == 0) m.lock_shared();
        else if (!m.try_lock_shared_for(std::chrono::microseconds(dice() % 30))) continue;
        EXPECT_EQ(a, b);
        perhaps_pause(dice);
        m.unlock_shared();
      }
    }
  });
  EXPECT_TRUE(m.try_lock());
  m.unlock();
}

template <class Condition>
void hammer_bounded_queue() {
  Condition not_empty, not_full;
  weft::mutex m;
  constexpr int room = 3;
  int inside = 0;
  std::atomic<long> put{0}, got{0};
  hammer([&](auto& dice, int me) {
    for (int i = 0; i < rounds; ++i) {
      std::unique_lock hold(m);
      if (me % 2 == 0) {
        not_full.wait(hold, [&] { return inside < room; });
        ++inside, ++put;
        dice() % 8 == 0 ? not_empty.notify_all() : not_empty.notify_one();
      } else {
        // Some waits end by their deadline at the very time of a notification.
        while (!not_empty.wait_for(hold, std::chrono::microseconds(dice() % 100), [&] { return inside > 0; })) {
        }
        --inside, ++got;
        hold.unlock();
        not_full.notify_one();
      }
      if (hold) hold.unlock();
      perhaps_pause(dice);
    }
  });
  EXPECT_EQ(inside, 0);
  EXPECT_EQ(put, got);
}
TEST(Stress, ConditionVariable) { hammer_bounded_queue<weft::condition_variable>(); }
TEST(Stress, ConditionVariableAny) { hammer_bounded_queue<weft::condition_variable_any>(); }

TEST(Stress, StopTokens) {
  for (int i = 0; i < rounds / 20; ++i) {
    weft::condition_variable_any changed;
    weft::mutex m;
    std::stop_source source;
    std::atomic<int> stopped{0};
    hammer([&](auto& dice, int me) {
      if (me == 0) {
        weft::this_thread::sleep_for(std::chrono::microseconds(dice() % 200));
        source.request_stop();
      } else {
        std::unique_lock hold(m);
        if (!changed.wait(hold, source.get_token(), [] { return false; })) ++stopped;
      }
    });
    EXPECT_EQ(stopped, threads - 1);
  }
}

TEST(Stress, Semaphore) {
  weft::counting_semaphore<> s(2);
  std::atomic<int> inside{0};
  hammer([&](auto& dice, int) {
    for (int i = 0; i < rounds; ++i) {
      if (dice() % 2 == 0) s.acquire();
      else if (!s.try_acquire_for(std::chrono::microseconds(dice() % 30))) continue;
      EXPECT_LE(++inside, 2);
      perhaps_pause(dice);
      --inside;
      s.release();
    }
  });
  EXPECT_TRUE(s.try_acquire());
  EXPECT_TRUE(s.try_acquire());
  EXPECT_FALSE(s.try_acquire());
}

TEST(Stress, LatchesOneAfterTheOther) {
  std::vector<std::unique_ptr<weft::latch>> all;
  for (int i = 0; i < rounds; ++i) all.push_back(std::make_unique<weft::latch>(threads));
  hammer([&](auto& dice, int) {
    for (auto& l : all) {
      if (dice() % 2 == 0) {
        l->count_down();
        l->wait();
      } else {
        l->arrive_and_wait();
      }
    }
  });
}

TEST(Stress, Barrier) {
  int phases = 0;
  const auto count = [&]() noexcept { ++phases; };
  weft::barrier b(threads, count);
  hammer([&](auto& dice, int me) {
    for (int i = 0; i < rounds / 2; ++i) {
      if (dice() % 2 == 0) {
        b.arrive_and_wait();
      } else {
        auto token = b.arrive();
        perhaps_pause(dice);
        b.wait(std::move(token));
      }
      if (me == 0) {
        EXPECT_GE(phases, i + 1);
      }
      b.arrive_and_wait();
    }
    b.arrive_and_drop();
  });
  EXPECT_EQ(phases, rounds / 2 * 2 + 1);
}

TEST(Stress, CallOnce) {
  std::vector<std::unique_ptr<weft::once_flag>> flags;
  for (int i = 0; i < rounds; ++i) flags.push_back(std::make_unique<weft::once_flag>());
  std::atomic<int> succeeded{0};
  hammer([&](auto& dice, int) {
    for (auto& flag : flags) try {
        weft::call_once(*flag, [&] {
          perhaps_pause(dice);
          if (dice() % 4 == 0) throw 1;
          ++succeeded;
        });
      } catch (int) {
      }
  });
  EXPECT_LE(succeeded, rounds);
  EXPECT_GT(succeeded, rounds / 2);
}

TEST(Stress, Promises) {
  // Each promise is kept by one and awaited by all others.
  std::vector<weft::promise<int>> promises(static_cast<std::size_t>(rounds));
  std::vector<weft::shared_future<int>> futures;
  for (auto& p : promises) futures.push_back(p.get_future().share());
  hammer([&, futures](auto& dice, int me) {
    for (int i = 0; i < rounds; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (i % threads == me) {
        perhaps_pause(dice);
        promises[at].set_value(i);
      } else if (dice() % 2 == 0) {
        EXPECT_EQ(futures[at].get(), i);
      } else {
        while (futures[at].wait_for(std::chrono::microseconds(dice() % 50)) != std::future_status::ready) {
        }
      }
    }
  });
}

TEST(Stress, Async) {
  hammer([&](auto& dice, int) {
    for (int i = 0; i < rounds / 10; ++i) {
      auto a = weft::async(std::launch::async, [i] { return i; });
      auto b = weft::async(std::launch::async, [i, pause = dice() % 20] {
        weft::this_thread::sleep_for(std::chrono::microseconds(pause));
        return i + 1;
      });
      EXPECT_EQ(a.get() + 1, b.get());
    }
  });
}

TEST(Stress, ThreadsComeAndGo) {
  std::atomic<long> ran{0};
  std::atomic<long> started{0};
  hammer([&](auto& dice, int) {
    for (int i = 0; i < rounds / 10; ++i) {
      std::vector<weft::thread> some;
      std::vector<weft::fiber> fibers;
      for (auto n = dice() % 4; n > 0; --n) some.emplace_back([&] { ++ran; }), ++started;
      for (auto n = dice() % 4; n > 0; --n) fibers.emplace_back([&] { ++ran; }), ++started;
      if (dice() % 16 == 0) some.emplace_back(weft::spawn_options{.by = weft::carried::alone}, [&] { ++ran; }), ++started;
      if (dice() % 16 == 0) std::thread([&] { weft::this_thread::yield(); }).join();
      for (auto& t : some) {
        if (dice() % 4 == 0) t.detach();
        else if (dice() % 4 != 0 || !t.join_for(std::chrono::microseconds(dice() % 50))) t.join();
      }
      for (auto& f : fibers) dice() % 4 == 0 ? f.detach() : f.join();
    }
  });
  until([&] { return ran == started; });
}

}  // namespace
}  // namespace api_test
