// SPDX-License-Identifier: BSL-1.0
// Runtimes beside the default one, options of threads, pinning.
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include "support.hpp"

namespace api_test {
namespace {

TEST(Runtimes, RunReturnsWhatTheFunctionReturns) {
  weft::runtime r({.parallelism = 2});
  EXPECT_EQ(r.run([](int a, int b) { return a + b; }, 2, 3), 5);
  EXPECT_EQ(*r.run([] { return std::make_unique<int>(7); }), 7);
  int place = 0;
  int& same = r.run([&]() -> int& { return place; });
  EXPECT_EQ(&same, &place);
  r.run([&] { place = 9; });
  EXPECT_EQ(place, 9);
}

TEST(Runtimes, RunRethrows) {
  weft::runtime r({.parallelism = 1});
  EXPECT_THROW(r.run([] { throw std::out_of_range("far"); }), std::out_of_range);
  EXPECT_THROW((void)r.run([]() -> int { throw 5; }), int);
}

TEST(Runtimes, ParallelismIsAsAskedOrTheDefaults) {
  EXPECT_EQ(weft::runtime({.parallelism = 3}).parallelism(), 3U);
  EXPECT_EQ(weft::runtime().parallelism(), weft::thread::hardware_concurrency());
}

TEST(Runtimes, OptionsThatCannotBe) {
  const auto error = [](const weft::runtime_options& o) { return error_of([&] { weft::runtime r(o); }); };
  EXPECT_EQ(error({.parallelism = 1025}), std::errc::invalid_argument);
  EXPECT_EQ(error({.slice = -1ms}), std::errc::invalid_argument);
  EXPECT_EQ(error({.parallelism = 2, .order = weft::scheduling::seeded}), std::errc::invalid_argument);
  if (one_to_one()) {
    EXPECT_EQ(error({.order = weft::scheduling::seeded}), std::errc::not_supported);
  }
}

TEST(Runtimes, TheirEndWaitsForTheirThreads) {
  std::atomic<int> ended{0};
  {
    weft::runtime r({.parallelism = 2});
    for (int i = 0; i < 50; ++i) {
      const weft::thread t({.in = &r, .detached = true}, [&] {
        // What a thread starts belongs where it does.
        const weft::thread child({.detached = true}, [&] {
          weft::this_thread::sleep_for(5ms);
          ++ended;
        });
        weft::this_thread::yield();
        ++ended;
      });
      EXPECT_FALSE(t.joinable());
    }
  }
  EXPECT_EQ(ended, 100);
}

TEST(Runtimes, OneAfterTheOtherAndSideBySide) {
  for (int round = 0; round < 30; ++round) {
    weft::runtime a({.parallelism = 1}), b({.parallelism = 2}), c({.parallelism = 1, .order = weft::scheduling::fifo});
    weft::channel<int> ab(0), bc(1), ca(4);
    weft::thread x({.in = &a}, [&] {
      for (int i = 0; i < 50; ++i) {
        ab.send(i);
        (void)ca.receive();
      }
    });
    weft::fiber y({.in = &b}, [&] {
      for (int i = 0; i < 50; ++i) bc.send(ab.receive().value() + 1);
    });
    weft::thread z({.in = &c}, [&] {
      for (int i = 0; i < 50; ++i) ca.send(bc.receive().value() * 2);
    });
    x.join(), y.join(), z.join();
  }
}

template <class Kind>
class AcrossRuntimes : public testing::Test {};
TYPED_TEST_SUITE(AcrossRuntimes, own_kinds, kind_names);

/// Locks, conditions, semaphores, joins: with kernel threads and others of two runtimes in between.
TYPED_TEST(AcrossRuntimes, ObjectsBelongToEverybody) {
  weft::runtime r({.parallelism = 2}), ordered({.parallelism = 2, .order = weft::scheduling::priority});
  weft::mutex m;
  weft::condition_variable changed;
  weft::counting_semaphore<> permits(2);
  int turn = 0, count = 0;
  const auto body = [&](int mine) {
    for (int i = 0; i < 200; ++i) {
      permits.acquire();
      permits.release();
      std::unique_lock hold(m);
      changed.wait(hold, [&] { return turn == mine; });
      turn = (turn + 1) % 4;
      ++count;
      hold.unlock();
      changed.notify_all();
    }
  };
  TypeParam one({.in = &r}, body, 0), two({.in = &ordered}, body, 1), three(body, 2);
  std::thread four(body, 3);
  one.join(), two.join(), three.join(), four.join();
  EXPECT_EQ(count, 800);
}

/// A computing runtime does not keep another from answering.
TEST(Runtimes, DoNotWaitForEachOther) {
  weft::runtime busy({.parallelism = 1}), quick({.parallelism = 1});
  std::atomic<bool> stop{false};
  weft::fiber loop({.in = &busy}, [&] {
    while (!stop) {
    }
  });
  EXPECT_EQ(quick.run([] { return 1; }), 1);
  stop = true;
  loop.join();
}

TEST(Runtimes, BlockingAndIo) {
  weft::runtime r({.parallelism = 1});
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  r.run([&] {
    weft::thread writer([&] {
      weft::blocking([] { ::usleep(2000); });
      weft::io::write(ends[1], "x", 1);
    });
    char c = 0;
    EXPECT_EQ(weft::io::read(ends[0], &c, 1), 1U);
    EXPECT_EQ(c, 'x');
    writer.join();
  });
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Runtimes, ThousandsOfThreads) {
  weft::runtime r({.parallelism = 2});
  std::atomic<int> n{0};
  std::vector<weft::thread> all;
  for (int i = 0; i < 3000; ++i)
    all.emplace_back(weft::spawn_options{.stack_size = 16384, .in = &r}, [&] {
      weft::this_thread::sleep_for(1ms);
      ++n;
    });
  for (weft::thread& t : all) t.join();
  EXPECT_EQ(n, 3000);
}

/// The parent's runtimes have no carriers in a child; the default one begins anew, and so do new ones.
TEST(Runtimes, InAForkedChild) {
  if (sanitized) GTEST_SKIP() << "sanitizers follow no fork with threads";
  auto r = std::make_unique<weft::runtime>(weft::runtime_options{.parallelism = 2});
  EXPECT_EQ(r->run([] { return 1; }), 1);
  const pid_t child = ::fork();
  if (child == 0) {
    int wrong = error_of([&] { r->run([] {}); }) == std::errc::invalid_argument ? 0 : 1;
    r.reset();
    weft::runtime fresh({.parallelism = 2});
    wrong += fresh.run([] { return 5; }) == 5 ? 0 : 2;
    weft::thread([] {}).join();
    ::_exit(wrong);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(SpawnOptions, ThatCannotBe) {
  const auto error = [](const weft::spawn_options& o) { return error_of([&] { weft::thread(o, [] {}).join(); }); };
  EXPECT_EQ(error({.weight = 0}), std::errc::invalid_argument);
  EXPECT_EQ(error({.deadline = -1ns}), std::errc::invalid_argument);
  EXPECT_EQ(error({.pinned_to = -2}), std::errc::invalid_argument);
  if (one_to_one()) return;
  EXPECT_EQ(error({.pinned_to = 1'000'000}), std::errc::invalid_argument);
  weft::runtime ordered({.parallelism = 2, .order = weft::scheduling::fair});
  EXPECT_EQ(error({.in = &ordered, .pinned_to = 0}), std::errc::invalid_argument);
}

TEST(SpawnOptions, DetachedHandlesAreNotJoinable) {
  weft::latch done(3);
  EXPECT_FALSE(weft::thread({.detached = true}, [&] { done.count_down(); }).joinable());
  EXPECT_FALSE(weft::fiber({.detached = true}, [&] { done.count_down(); }).joinable());
  EXPECT_FALSE(weft::thread({.by = weft::carried::alone, .detached = true}, [&] { done.count_down(); }).joinable());
  done.wait();
}

/// Those that are pinned to one place never run at the same time, whatever they do, and all of them get on.
TYPED_TEST(AcrossRuntimes, PinnedToOnePlaceTheyNeverRunAtOnce) {
  if (one_to_one()) GTEST_SKIP() << "the kernel places threads";
  weft::runtime r({.parallelism = 2});
  struct place {
    std::atomic<int> inside{0};
    std::atomic<int> turns{0};
    weft::mutex m;
    weft::channel<int> c{1};
  } places[2];
  weft::mutex shared;
  std::atomic<bool> overlap{false};
  std::vector<TypeParam> all;
  for (int i = 0; i < 16; ++i)
    all.emplace_back(weft::spawn_options{.in = &r, .pinned_to = i % 2}, [&, i] {
      place& p = places[i % 2];
      for (int turn = 0; turn < 300; ++turn) {
        // A preempted thread stays inside; a fiber is not preempted, and no call is made in between.
        if (std::is_same_v<TypeParam, weft::fiber>) {
          if (p.inside.fetch_add(1) != 0) overlap = true;
          p.inside.fetch_sub(1);
        }
        ++p.turns;
        switch (turn % 5) {
          case 0: weft::this_thread::yield(); break;
          case 1: { const std::lock_guard hold(shared); break; }
          case 2: { const std::lock_guard hold(p.m); weft::this_thread::yield(); break; }
          case 3: if (i % 4 < 2) { p.c.send(turn); } else { (void)p.c.receive(); } break;
          case 4: weft::this_thread::sleep_for(10us); break;
        }
      }
    });
  // Others in the same runtime take part.
  std::vector<weft::thread> others;
  for (int i = 0; i < 4; ++i)
    others.emplace_back(weft::spawn_options{.in = &r}, [&] {
      for (int turn = 0; turn < 300; ++turn) {
        const std::lock_guard hold(shared);
        weft::this_thread::yield();
      }
    });
  for (TypeParam& t : all) t.join();
  for (weft::thread& t : others) t.join();
  EXPECT_FALSE(overlap);
  EXPECT_EQ(places[0].turns, 2400);
  EXPECT_EQ(places[1].turns, 2400);
}

/// A place whose carrier is busy: who is pinned there waits, also while another carrier idles; others do not.
TEST(SpawnOptions, PinnedWaitsForItsPlace) {
  if (one_to_one()) GTEST_SKIP() << "the kernel places threads";
  weft::runtime r({.parallelism = 2});
  std::atomic<bool> stop{false}, started{false}, ran{false};
  weft::fiber busy({.in = &r, .pinned_to = 0}, [&] {
    started = true;
    while (!stop) {
    }
  });
  until([&] { return started.load(); });
  weft::fiber waits({.in = &r, .pinned_to = 0}, [&] { ran = true; });
  EXPECT_EQ(r.run([] { return 3; }), 3);
  weft::thread({.in = &r, .pinned_to = 1}, [] {}).join();
  EXPECT_FALSE(ran);
  stop = true;
  busy.join(), waits.join();
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace api_test
