// SPDX-License-Identifier: BSL-1.0
// Who runs next: the library's orders, priorities that are inherited, and an order of one's own.
#include <algorithm>
#include <string>
#include <utility>

#include "support.hpp"

namespace api_test {
namespace {

using weft::scheduling;

class Orders : public testing::Test {
 protected:
  void SetUp() override {
    if (one_to_one()) GTEST_SKIP() << "the kernel schedules";
  }

  /// Starts those of `options` while none of them can run, and returns the order in which they do then.
  static std::string order_of(weft::runtime& r, std::vector<std::pair<char, weft::spawn_options>> all) {
    std::string order;
    std::vector<weft::fiber> fibers;
    r.run([&] {
      weft::this_thread::set_priority(31);
      weft::this_thread::set_deadline(weft::clock::time_point());
      for (auto& [name, options] : all) fibers.emplace_back(options, [&order, name] { order += name; });
    });
    for (weft::fiber& f : fibers) f.join();
    return order;
  }
};

TEST_F(Orders, FifoIsTheOrderOfBecomingReady) {
  weft::runtime r({.parallelism = 1, .order = scheduling::fifo});
  EXPECT_EQ(order_of(r, {{'a', {}}, {'b', {.priority = 5}}, {'c', {}}}), "abc");
}

TEST_F(Orders, PriorityRunsTheMostUrgentFirstAndEqualsByTurns) {
  weft::runtime r({.parallelism = 1, .order = scheduling::priority});
  EXPECT_EQ(order_of(r, {{'a', {.priority = -3}}, {'b', {.priority = 7}}, {'c', {}}, {'d', {.priority = 7}}, {'e', {.priority = 30}}}), "ebdca");
  EXPECT_EQ(order_of(r, {{'a', {.priority = -1000}}, {'b', {.priority = 30}}, {'c', {.priority = -32}}}), "bac");
}

TEST_F(Orders, DeadlineRunsTheNextOneFirst) {
  weft::runtime r({.parallelism = 1, .order = scheduling::deadline});
  EXPECT_EQ(order_of(r, {{'n', {}}, {'c', {.deadline = 3h}}, {'a', {.deadline = 1h}}, {'b', {.deadline = 2h}}, {'m', {}}}), "abcnm");
}

TEST_F(Orders, SetPriorityGivesWayAtOnce) {
  weft::runtime r({.parallelism = 1, .order = scheduling::priority});
  std::string order;
  r.run([&] {
    weft::this_thread::set_priority(20);
    weft::fiber other({.priority = 10}, [&] { order += 'o'; });
    order += 'm';
    weft::this_thread::set_priority(15);
    order += 'm';
    weft::this_thread::set_priority(5);
    order += 'l';
    other.join();
  });
  EXPECT_EQ(order, "mmol");
}

TEST_F(Orders, TheWokenDisplaceTheLessUrgent) {
  weft::runtime r({.parallelism = 1, .order = scheduling::priority});
  std::string order;
  r.run([&] {
    weft::binary_semaphore go{0};
    weft::this_thread::set_priority(31);
    weft::thread urgent({.priority = 9}, [&] {
      go.acquire();
      order += 'u';
    });
    weft::thread slow({.priority = 1}, [&] {
      order += 's';
      go.release();
      order += 'S';
    });
    urgent.join(), slow.join();
  });
  EXPECT_EQ(order, "suS");
}

/// From outside, while a thread computes: not at the end of its slice, which would never come.
TEST_F(Orders, TheWokenDisplaceThoseThatCompute) {
  if (sanitized) GTEST_SKIP() << "nobody is preempted there";
  weft::runtime r({.parallelism = 1, .slice = 1h, .order = scheduling::priority});
  std::atomic<bool> stop{false}, computes{false};
  weft::thread slow({.in = &r, .priority = 1}, [&] {
    computes = true;
    while (!stop) {
    }
  });
  until([&] { return computes.load(); });
  weft::thread({.in = &r, .priority = 2}, [&] { stop = true; }).join();
  slow.join();
}

/// low holds what high waits for; mid must not come between them.
TEST_F(Orders, HoldersInheritFromWaiters) {
  weft::runtime r({.parallelism = 1, .order = scheduling::priority});
  std::string order;
  weft::mutex m;
  weft::binary_semaphore held{0};
  r.run([&] {
    weft::this_thread::set_priority(31);
    weft::fiber low({.priority = 1}, [&] {
      m.lock();
      held.release();
      weft::this_thread::yield();  // nobody urgent waits: the one that made all this goes on
      order += 'l';
      m.unlock();
      order += 'L';
    });
    held.acquire();
    weft::fiber high({.priority = 20}, [&] {
      const std::lock_guard hold(m);
      order += 'H';
    });
    weft::fiber mid({.priority = 10}, [&] { order += 'M'; });
    low.join(), high.join(), mid.join();
  });
  EXPECT_EQ(order, "lHML");
}

/// Through two mutexes, and back when the wait is given up.
TEST_F(Orders, InheritanceGoesAlongTheChainAndEndsWithTheWait) {
  weft::runtime r({.parallelism = 1, .order = scheduling::priority});
  std::string order;
  weft::timed_mutex a, b;
  weft::binary_semaphore first{0}, second{0}, release{0};
  r.run([&] {
    weft::this_thread::set_priority(31);
    weft::fiber low({.priority = 1}, [&] {
      a.lock();
      first.release();
      release.acquire();
      order += 'l';
      a.unlock();
    });
    first.acquire();
    weft::fiber middle({.priority = 2}, [&] {
      b.lock();
      second.release();
      a.lock();
      order += 'm';
      a.unlock();
      b.unlock();
    });
    second.acquire();
    weft::fiber high({.priority = 20}, [&] {
      EXPECT_FALSE(b.try_lock_for(5ms));
      order += 'x';
      b.lock();
      order += 'H';
      b.unlock();
    });
    weft::this_thread::sleep_for(30ms);  // high has given up once, and waits again
    weft::fiber other({.priority = 10}, [&] { order += 'O'; });
    release.release();
    low.join(), middle.join(), high.join(), other.join();
  });
  EXPECT_EQ(order, "xlmHO");
}

TEST_F(Orders, LocksGoToTheMostUrgentWaiter) {
  weft::runtime r({.parallelism = 1, .order = scheduling::priority});
  std::string order;
  weft::mutex m;
  r.run([&] {
    m.lock();
    std::vector<weft::fiber> all;
    for (const int p : {1, 9, 5})
      all.emplace_back(weft::spawn_options{.priority = p}, [&, p] {
        const std::lock_guard hold(m);
        order += static_cast<char>('0' + p);
      });
    weft::this_thread::sleep_for(1ms);
    weft::this_thread::set_priority(31);
    m.unlock();
    for (weft::fiber& f : all) f.join();
  });
  EXPECT_EQ(order, "951");
}

/// CPU time in proportion to the weights: as many rounds of the same work.
TEST_F(Orders, FairSharesFollowTheWeights) {
  if (sanitized) GTEST_SKIP() << "nobody is preempted there";
  weft::runtime r({.parallelism = 1, .slice = 1ms, .order = scheduling::fair});
  std::atomic<bool> stop{false};
  std::atomic<long> rounds[2] = {0, 0};
  const auto count = [&](int i) {
    while (!stop) {
      rounds[i].fetch_add(1, std::memory_order_relaxed);
    }
  };
  r.run([&] {
    weft::thread heavy({.weight = 300}, count, 0), light({.weight = 100}, count, 1);
    while (rounds[0] + rounds[1] < 20'000'000) weft::this_thread::sleep_for(20ms);
    stop = true;
    heavy.join(), light.join();
  });
  const double ratio = static_cast<double>(rounds[0]) / static_cast<double>(rounds[1]);
  EXPECT_GT(ratio, 2.0);
  EXPECT_LT(ratio, 4.5);
}

/// A slice's end lets equals on.
TEST_F(Orders, EqualsTakeTurnsWhenTheirSlicesEnd) {
  if (sanitized) GTEST_SKIP() << "nobody is preempted there";
  for (const scheduling order : {scheduling::priority, scheduling::fair, scheduling::deadline}) {
    weft::runtime r({.parallelism = 1, .slice = 1ms, .order = order});
    std::atomic<int> turn{0};
    const auto ping = [&](int mine) {
      for (int i = 0; i < 5; ++i) {
        while (turn % 2 != mine) {
        }
        ++turn;
      }
    };
    weft::thread a({.in = &r}, ping, 0), b({.in = &r}, ping, 1);
    a.join(), b.join();
    EXPECT_EQ(turn, 10);
  }
}

/// Under load on two carriers, everybody gets there, whatever the order.
TEST_F(Orders, NobodyIsLost) {
  for (const scheduling order : {scheduling::fifo, scheduling::priority, scheduling::fair, scheduling::deadline}) {
    weft::runtime r({.parallelism = 2, .order = order});
    weft::mutex m;
    weft::channel<int> c(2);
    long sum = 0;
    std::vector<weft::thread> all;
    for (int i = 0; i < 40; ++i)
      all.emplace_back(weft::spawn_options{.in = &r, .priority = i % 5, .weight = static_cast<unsigned>(i + 1), .deadline = i * 1ms}, [&, i] {
        for (int turn = 0; turn < 100; ++turn) {
          if (i % 2 == 0) {
            c.send(turn);
          } else {
            (void)c.receive();
          }
          const std::lock_guard hold(m);
          sum += 1;
          if (turn % 7 == 0) weft::this_thread::yield();
          if (turn % 31 == 0) weft::this_thread::sleep_for(50us);
        }
      });
    for (weft::thread& t : all) t.join();
    EXPECT_EQ(sum, 4000);
  }
}

/// The seam: last come, first served.
struct newest_first final : weft::policy {
  void push(weft::schedulable& t, why reason) noexcept override {
    reasons += reason == why::started;
    t.next = top;
    top = &t;
  }
  weft::schedulable* pop() noexcept override { return top != nullptr ? std::exchange(top, top->next) : nullptr; }
  weft::schedulable* top = nullptr;
  int reasons = 0;
};

TEST_F(Orders, OneOfOnesOwn) {
  newest_first order;
  weft::runtime r({.parallelism = 1, .own_policy = &order});
  EXPECT_EQ(order_of(r, {{'a', {}}, {'b', {}}, {'c', {}}}), "cba");
  EXPECT_EQ(order.reasons, 4);
}

}  // namespace
}  // namespace api_test
