// SPDX-License-Identifier: BSL-1.0
// thread, fiber, jthread and this_thread, by the wording of [thread.thread.class], [thread.jthread.class] and [thread.thread.this].
#include <array>
#include <functional>
#include <set>
#include <sstream>
#include <unordered_set>

#include "support.hpp"

namespace api_test {
namespace {

template <class T>
class Threads : public testing::Test {};
TYPED_TEST_SUITE(Threads, own_kinds, kind_names);

template <class T>
constexpr bool is_as_std_thread = !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T> && std::is_nothrow_move_constructible_v<T> &&
                                  std::is_nothrow_move_assignable_v<T> && std::is_nothrow_default_constructible_v<T> &&
                                  std::is_nothrow_swappable_v<T> && !std::is_convertible_v<void (*)(), T> &&
                                  std::is_constructible_v<T, void (*)()> && !std::is_constructible_v<T, T&> && !std::is_constructible_v<T, const T&>;
static_assert(is_as_std_thread<weft::thread> && is_as_std_thread<weft::fiber> && is_as_std_thread<weft::jthread>);
static_assert(std::is_trivially_copyable_v<weft::thread::id> && std::three_way_comparable<weft::thread::id>);

TYPED_TEST(Threads, DefaultIsNoThread) {
  TypeParam none;
  EXPECT_FALSE(none.joinable());
  EXPECT_EQ(none.get_id(), typename TypeParam::id());
  EXPECT_EQ(error_of([&] { none.join(); }), std::errc::invalid_argument);
  EXPECT_EQ(error_of([&] { none.detach(); }), std::errc::invalid_argument);
}

TYPED_TEST(Threads, JoinSeesEverything) {
  int result = 0;
  TypeParam t([&] { result = 42; });
  EXPECT_TRUE(t.joinable());
  EXPECT_NE(t.get_id(), typename TypeParam::id());
  t.join();
  EXPECT_EQ(result, 42);
  EXPECT_FALSE(t.joinable());
  EXPECT_EQ(t.get_id(), typename TypeParam::id());
  EXPECT_EQ(error_of([&] { t.join(); }), std::errc::invalid_argument);
}

TYPED_TEST(Threads, JoinWaitsForALateEnd) {
  std::atomic<bool> over{false};
  TypeParam t([&] {
    weft::this_thread::sleep_for(short_while);
    over = true;
  });
  t.join();
  EXPECT_TRUE(over);
}

TYPED_TEST(Threads, CanBeJoinedLongAfterItsEnd) {
  std::atomic<bool> over{false};
  TypeParam t([&] { over = true; });
  until([&] { return over.load(); });
  let_others_get_there();
  EXPECT_TRUE(t.joinable());
  t.join();
}

TYPED_TEST(Threads, JoiningOneselfThrows) {
  TypeParam t;
  weft::latch ready(1), tried(1);
  std::error_code seen;
  t = TypeParam([&] {
    ready.wait();
    seen = error_of([&] { t.join(); });
    tried.count_down();
  });
  ready.count_down();
  tried.wait();
  EXPECT_TRUE(t.joinable());
  t.join();
  EXPECT_EQ(seen, std::errc::resource_deadlock_would_occur);
}

TYPED_TEST(Threads, IsJoinedByAnyKind) {
  TypeParam a([] { let_others_get_there(); }), b([] { let_others_get_there(); }), c([] { let_others_get_there(); });
  std::thread by_kernel_thread([&] { a.join(); });
  weft::thread by_thread([&] { b.join(); });
  weft::fiber by_fiber([&] { c.join(); });
  by_kernel_thread.join();
  by_thread.join();
  by_fiber.join();
  EXPECT_FALSE(a.joinable() || b.joinable() || c.joinable());
}

TYPED_TEST(Threads, IsStartedByAnyKind) {
  std::atomic<int> count{0};
  in_all_kinds(4, [&] {
    TypeParam t([&] { ++count; });
    t.join();
  });
  EXPECT_EQ(count, 12);
}

TYPED_TEST(Threads, JoinForTellsWhetherItEnded) {
  weft::latch gate(1);
  TypeParam t([&] { gate.wait(); });
  EXPECT_GE(time_of([&] { EXPECT_FALSE(t.join_for(short_while)); }), short_while);
  EXPECT_FALSE(t.join_until(steady::now() + 1ms));
  EXPECT_FALSE(t.join_until(std::chrono::system_clock::now() - 1h));
  EXPECT_TRUE(t.joinable());
  gate.count_down();
  EXPECT_TRUE(t.join_until(slow_clock::now() + very_long));
  EXPECT_FALSE(t.joinable());
}

TYPED_TEST(Threads, DetachedRunsOnAndGivesItsMemoryBack) {
  std::atomic<int> over{0};
  for (int i = 0; i < 100; ++i) {
    TypeParam t([&, i] {
      if (i % 2 == 0) weft::this_thread::yield();
      ++over;
    });
    t.detach();
    EXPECT_FALSE(t.joinable());
  }
  until([&] { return over == 100; });
}

TYPED_TEST(Threads, DetachedAfterItsEnd) {
  std::atomic<bool> over{false};
  TypeParam t([&] { over = true; });
  until([&] { return over.load(); });
  let_others_get_there();
  t.detach();
}

TYPED_TEST(Threads, MoveHandsTheThreadOn) {
  TypeParam a([] {});
  const auto id = a.get_id();
  TypeParam b(std::move(a));
  EXPECT_FALSE(a.joinable());
  EXPECT_EQ(b.get_id(), id);
  a = std::move(b);
  EXPECT_FALSE(b.joinable());
  EXPECT_EQ(a.get_id(), id);
  a.join();
}

TYPED_TEST(Threads, SwapExchanges) {
  TypeParam a([] {}), b;
  const auto id = a.get_id();
  a.swap(b);
  EXPECT_FALSE(a.joinable());
  EXPECT_EQ(b.get_id(), id);
  swap(a, b);
  EXPECT_EQ(a.get_id(), id);
  std::swap(a, b);
  EXPECT_EQ(b.get_id(), id);
  b.join();
}

// -- what is invoked, with which copies --

TYPED_TEST(Threads, ArgumentsAreCopiedOnceAndDestroyedOnce) {
  counted::book lvalue, rvalue, callable;
  {
    counted l(lvalue);
    struct functor {
      counted c;
      void operator()(const counted&, counted&&) const {}
    };
    const functor f{counted(callable)};
    TypeParam t(f, l, counted(rvalue));
    t.join();
    EXPECT_EQ(lvalue.alive(), 1) << "destroyed by the thread, before join returns";
    EXPECT_EQ(rvalue.alive(), 0);
    EXPECT_EQ(callable.alive(), 1);
  }
  EXPECT_EQ(lvalue.copied, 1);
  EXPECT_EQ(rvalue.copied, 0);
  EXPECT_EQ(callable.copied, 1);
  EXPECT_EQ(lvalue.alive() + rvalue.alive() + callable.alive(), 0);
}

TYPED_TEST(Threads, ArgumentsDecay) {
  char text[] = "abc";
  const int constant = 7;
  bool as_wanted = false;
  TypeParam t(
      [&as_wanted](auto&& pointer, auto&& number, auto&& function) {
        as_wanted = std::is_same_v<decltype(pointer), char*&&> && std::is_same_v<decltype(number), int&&> &&
                    std::is_same_v<decltype(function), int (*&&)(int)>;
      },
      text, constant, *+[](int i) { return i; });
  t.join();
  EXPECT_TRUE(as_wanted);
}

TYPED_TEST(Threads, CopiesAreMadeByTheCreator) {
  struct tells_who {
    tells_who() = default;
    tells_who(const tells_who&) : copied_by(weft::this_thread::get_id()) {}
    tells_who(tells_who&&) = default;
    weft::thread::id copied_by;
  };
  weft::thread::id seen;
  const tells_who original;
  TypeParam t([&](const tells_who& copy) { seen = copy.copied_by; }, original);
  t.join();
  EXPECT_EQ(seen, weft::this_thread::get_id());
}

TYPED_TEST(Threads, WhatCopyingThrowsReachesTheCreator) {
  struct throws_when_copied {
    throws_when_copied() = default;
    throws_when_copied(const throws_when_copied&) { throw std::runtime_error("copied"); }
  };
  counted::book book;
  const throws_when_copied bad;
  bool ran = false;
  for (int i = 0; i < 10; ++i)
    EXPECT_THROW(TypeParam([&](const counted&, const throws_when_copied&) { ran = true; }, counted(book), bad), std::runtime_error);
  EXPECT_FALSE(ran);
  EXPECT_EQ(book.alive(), 0);
}

TYPED_TEST(Threads, MoveOnlyArguments) {
  int seen = 0;
  TypeParam t([&](std::unique_ptr<int> p) { seen = *p; }, std::make_unique<int>(5));
  t.join();
  TypeParam u([&seen, p = std::make_unique<int>(6)] { seen += *p; });
  u.join();
  EXPECT_EQ(seen, 11);
}

TYPED_TEST(Threads, MembersAreInvokedOnObjectsPointersAndWrappers) {
  struct object {
    int sum = 0;
    void add(int n) { sum += n; }
    void take(std::unique_ptr<int> p) { sum += *p; }
  };
  object o;
  TypeParam(&object::add, &o, 1).join();
  TypeParam(&object::add, std::ref(o), 2).join();
  EXPECT_EQ(o.sum, 3);
  TypeParam(&object::add, o, 4).join();
  EXPECT_EQ(o.sum, 3) << "a copy was added to";
  const auto shared = std::make_shared<object>();
  TypeParam(&object::add, shared, 8).join();
  EXPECT_EQ(shared->sum, 8);
  TypeParam(&object::add, std::make_unique<object>(), 8).join();
  TypeParam(&object::take, &o, std::make_unique<int>(16)).join();
  EXPECT_EQ(o.sum, 19);
  TypeParam(&object::sum, &o).join();
}

TYPED_TEST(Threads, ReferenceWrapperPassesTheObject) {
  int n = 1;
  TypeParam t([](int& to) { to = 2; }, std::ref(n));
  t.join();
  EXPECT_EQ(n, 2);
}

TYPED_TEST(Threads, InvokesRvalues) {
  struct functor {
    int* how;
    void operator()() & { *how = 1; }
    void operator()() const& { *how = 2; }
    void operator()() && { *how = 3; }
  };
  int how = 0;
  functor f{&how};
  TypeParam t(f);
  t.join();
  EXPECT_EQ(how, 3);
}

int plain(int* out, int value) { return *out = value; }
TYPED_TEST(Threads, TakesFunctionsAndIgnoresResults) {
  int out = 0;
  TypeParam(plain, &out, 3).join();
  EXPECT_EQ(out, 3);
  TypeParam(&plain, &out, 4).join();
  EXPECT_EQ(out, 4);
}

TYPED_TEST(Threads, CallableMayBeBigAndAligned) {
  struct alignas(128) aligned {
    char byte = 1;
  };
  struct big {
    std::array<char, 700'000> bytes{};
  };
  bool well_aligned = false;
  TypeParam t([&, a = aligned()] { well_aligned = reinterpret_cast<std::uintptr_t>(&a) % 128 == 0; });
  t.join();
  EXPECT_TRUE(well_aligned);
  auto large = std::make_unique<big>();
  large->bytes.back() = 9;
  char seen = 0;
  TypeParam u([&seen](const big& b) { seen = b.bytes.back(); }, *large);
  u.join();
  EXPECT_EQ(seen, 9);
}

// -- ids --

TYPED_TEST(Threads, IdIsTheOneItSeesItself) {
  weft::thread::id inside, after_wait;
  TypeParam t([&] {
    inside = weft::this_thread::get_id();
    weft::this_thread::sleep_for(1ms);
    after_wait = weft::this_thread::get_id();
  });
  const auto outside = t.get_id();
  t.join();
  EXPECT_EQ(inside, outside);
  EXPECT_EQ(after_wait, outside);
  EXPECT_NE(inside, weft::this_thread::get_id());
}

TYPED_TEST(Threads, IdsAreDistinctOrderedHashedAndPrinted) {
  weft::latch gate(1);
  std::vector<TypeParam> all;
  std::set<weft::thread::id> ordered{weft::this_thread::get_id(), {}};
  std::unordered_set<weft::thread::id> hashed{weft::this_thread::get_id(), {}};
  std::set<std::string> printed;
  for (int i = 0; i < 50; ++i) {
    all.emplace_back([&] { gate.wait(); });
    ordered.insert(all.back().get_id());
    hashed.insert(all.back().get_id());
    std::ostringstream text;
    text << all.back().get_id();
    printed.insert(text.str());
  }
  EXPECT_EQ(ordered.size(), 52u);
  EXPECT_EQ(hashed.size(), 52u);
  EXPECT_EQ(printed.size(), 50u);
  gate.count_down();
  for (auto& t : all) t.join();
  EXPECT_TRUE(weft::thread::id() < *std::next(ordered.begin()));
}

TEST(ThreadIds, EveryKindHasOne) {
  weft::mutex lock;
  std::set<weft::thread::id> seen;
  weft::barrier together(12);
  in_all_kinds(4, [&] {
    const auto id = weft::this_thread::get_id();
    together.arrive_and_wait();
    EXPECT_EQ(id, weft::this_thread::get_id());
    const std::lock_guard hold(lock);
    seen.insert(id);
  });
  EXPECT_EQ(seen.size(), 12u);
  EXPECT_EQ(seen.count({}), 0u);
}

// -- many, deep, slow --

TYPED_TEST(Threads, ThousandAreAliveAtOnce) {
  constexpr int n = sanitized ? 200 : 1000;
  weft::latch all_here(n), gate(1);
  crew<TypeParam> crowd(n, [&] {
    all_here.count_down();
    gate.wait();
  });
  all_here.wait();
  gate.count_down();
}

template <class Kind>
int fibonacci(int n) {
  if (n < 2) return n;
  int a = 0, b = 0;
  Kind left([&] { a = fibonacci<Kind>(n - 1); });
  Kind right([&] { b = fibonacci<Kind>(n - 2); });
  left.join();
  right.join();
  return a + b;
}
TYPED_TEST(Threads, StartThreadsThatStartThreads) { EXPECT_EQ(fibonacci<TypeParam>(11), 89); }

TYPED_TEST(Threads, YieldLetsOthersRun) {
  std::atomic<int> turn{0};
  const crew<TypeParam> pair(2, [&, me = std::make_shared<std::atomic<int>>(0)] {
    const int mine = (*me)++;
    for (int i = 0; i < 50; ++i) {
      while (turn % 2 != mine) weft::this_thread::yield();
      ++turn;
    }
  });
}

TYPED_TEST(Threads, SleepersSleepAtTheSameTime) {
  EXPECT_LT(time_of([] { const crew<TypeParam> sleepers(100, [] { weft::this_thread::sleep_for(40ms); }); }), 2s);
}

TYPED_TEST(Threads, SleepsAtLeastSoLong) {
  TypeParam t([] {
    using namespace weft::this_thread;
    EXPECT_GE(time_of([] { sleep_for(short_while); }), short_while);
    EXPECT_GE(time_of([] { sleep_for(std::chrono::duration<double>(0.0105)); }), 10500us);
    const auto when = steady::now() + short_while;
    sleep_until(when);
    EXPECT_GE(steady::now(), when);
    const auto wall = std::chrono::system_clock::now() + short_while;
    sleep_until(wall);
    EXPECT_GE(std::chrono::system_clock::now(), wall);
    const auto slow = slow_clock::now() + short_while;
    sleep_until(slow);
    EXPECT_GE(slow_clock::now(), slow);
  });
  t.join();
}

TYPED_TEST(Threads, DoesNotSleepForNothing) {
  TypeParam t([] {
    using namespace weft::this_thread;
    EXPECT_LT(time_of([] {
                sleep_for(0s);
                sleep_for(-1h);
                sleep_until(steady::now() - 1h);
                sleep_until(steady::time_point());
                sleep_until(steady::time_point::min());
                sleep_until(std::chrono::system_clock::now() - 1h);
                sleep_until(slow_clock::now() - 1h);
              }),
              very_long);
  });
  t.join();
}

TYPED_TEST(Threads, NamesSizesAndCarriersCanBeAskedFor) {
  int ran = 0;
  for (const auto by : {weft::carried::by_default, weft::carried::shared, weft::carried::alone}) {
    TypeParam t({.name = "a name that is longer than what is kept of it", .stack_size = 512 * 1024, .by = by}, [&](int n) { ran += n; }, 1);
    t.join();
  }
  EXPECT_EQ(ran, 3);
  const weft::spawn_options small{.stack_size = 1};
  TypeParam(small, [&] { ++ran; }).join();
  EXPECT_EQ(ran, 4);
}

TYPED_TEST(Threads, NoMemoryIsAnException) {
  if (one_to_one()) GTEST_SKIP() << "libc chooses the stack";
  counted::book book;
  const weft::spawn_options huge{.stack_size = std::size_t{1} << 50};
  EXPECT_EQ(error_of([&] { TypeParam(huge, [](const counted&) {}, counted(book)).join(); }), std::errc::resource_unavailable_try_again);
  EXPECT_EQ(book.alive(), 0);
}

TEST(Threads, DoNotStarveBesideOneThatComputes) {
  if (sanitized) GTEST_SKIP() << "threads are not preempted under sanitizers";
  std::atomic<bool> stop{false};
  std::atomic<int> begun{0};
  const crew<weft::thread> busy(4, [&] {
    ++begun;
    while (!stop.load(std::memory_order_relaxed)) {
    }
  });
  weft::thread last([&] {
    until([&] { return begun == 4; });
    stop = true;
  });
  last.join();
}

TEST(Threads, AloneHasAKernelThreadOfItsOwn) {
  // It blocks without an announcement, and as many others as there are carriers go on.
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  std::vector<weft::thread> blocked;
  for (int i = 0; i < 4; ++i)
    blocked.emplace_back(weft::spawn_options{.by = weft::carried::alone}, [&] {
      char byte = 0;
      EXPECT_EQ(read(fds[0], &byte, 1), 1);
    });
  weft::thread other([&] { EXPECT_EQ(write(fds[1], "abcd", 4), 4); });
  other.join();
  for (auto& t : blocked) t.join();
  close(fds[0]);
  close(fds[1]);
}

TEST(Threads, BlockingCallsGiveTheirPlaceAway) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  const crew<weft::fiber> readers(4, [&] {
    char byte = 0;
    EXPECT_EQ(weft::blocking([&] { return read(fds[0], &byte, 1); }), 1);
  });
  weft::fiber writer([&] { EXPECT_EQ(write(fds[1], "abcd", 4), 4); });
  writer.join();
}

TEST(Threads, HardwareConcurrency) {
  EXPECT_GE(weft::thread::hardware_concurrency(), 1u);
  EXPECT_EQ(weft::thread::hardware_concurrency(), weft::jthread::hardware_concurrency());
}

TEST(Threads, EndWithTheProcess) {
  // Detached ones that still wait or compute do not keep the process, nor break its end.
  const auto leave = [] {
    weft::thread([] { weft::this_thread::sleep_for(1h); }).detach();
    weft::fiber([] { weft::this_thread::sleep_for(1h); }).detach();
    if (!sanitized)
      weft::thread([] {
        for (volatile int forever = 1; forever != 0;) {
        }
      }).detach();
    let_others_get_there();
    std::exit(7);
  };
  EXPECT_EXIT(leave(), testing::ExitedWithCode(7), "");
}

// -- ends of the program --

TEST(ThreadsDeathTest, DestroyedWhileJoinable) {
  EXPECT_DEATH(weft::thread([] {}), "terminate called");
  EXPECT_DEATH(weft::fiber([] {}), "terminate called");
}
TEST(ThreadsDeathTest, AssignedToWhileJoinable) {
  const auto assign = [](auto a) { a = decltype(a)(); };
  EXPECT_DEATH(assign(weft::thread([] {})), "terminate called");
  EXPECT_DEATH(assign(weft::fiber([] {})), "terminate called");
}
TEST(ThreadsDeathTest, ExceptionLeavesTheFunction) {
  EXPECT_DEATH(weft::thread([] { throw std::runtime_error("out of a thread"); }).join(), "out of a thread");
  EXPECT_DEATH(weft::fiber([] { throw std::runtime_error("out of a fiber"); }).join(), "out of a fiber");
  EXPECT_DEATH(weft::thread(weft::spawn_options{.by = weft::carried::alone}, [] { throw std::runtime_error("out of one alone"); }).join(),
               "out of one alone");
  EXPECT_DEATH(weft::jthread([] { throw 1; }).join(), "terminate called after throwing an instance of 'int'");
}
TEST(ThreadsDeathTest, TerminateHandlerSeesTheException) {
  const auto die = [] {
    std::set_terminate([] {
      try {
        std::rethrow_exception(std::current_exception());
      } catch (const std::exception& e) {
        std::fprintf(stderr, "the handler got: %s\n", e.what());
      }
      std::abort();
    });
    weft::thread([] {
      weft::this_thread::sleep_for(1ms);
      throw std::runtime_error("this one");
    }).join();
  };
  EXPECT_DEATH(die(), "the handler got: this one");
}
TEST(ThreadsDeathTest, JthreadIsDestroyedByItself) {
  const auto die = [] {
    std::unique_ptr<weft::jthread> self;
    weft::latch ready(1);
    self = std::make_unique<weft::jthread>([&] {
      ready.wait();
      self.reset();
    });
    ready.count_down();
    weft::this_thread::sleep_for(very_long);
  };
  EXPECT_DEATH(die(), "terminate called");
}

// -- jthread --

TEST(Jthread, DefaultHasNoStopState) {
  weft::jthread none;
  EXPECT_FALSE(none.joinable());
  EXPECT_FALSE(none.get_stop_source().stop_possible());
  EXPECT_FALSE(none.get_stop_token().stop_possible());
  EXPECT_FALSE(none.request_stop());
  EXPECT_EQ(error_of([&] { none.join(); }), std::errc::invalid_argument);
}
TEST(Jthread, DestructorAsksToStopAndJoins) {
  std::atomic<bool> stopped{false};
  {
    weft::jthread t([&](std::stop_token stop) {
      while (!stop.stop_requested()) weft::this_thread::yield();
      stopped = true;
    });
  }
  EXPECT_TRUE(stopped);
}
TEST(Jthread, TokenComesFirstIfItIsTaken) {
  int sum = 0;
  weft::jthread with([&](std::stop_token token, int a, std::unique_ptr<int> b) { sum = token.stop_possible() ? a + *b : -1; }, 1,
                     std::make_unique<int>(2));
  with.join();
  EXPECT_EQ(sum, 3);
  weft::jthread without([&](int a) { sum = a; }, 4);
  without.join();
  EXPECT_EQ(sum, 4);
  EXPECT_TRUE(without.get_stop_token().stop_possible());
}
TEST(Jthread, RequestStopOnce) {
  weft::jthread t([](std::stop_token stop) {
    while (!stop.stop_requested()) weft::this_thread::yield();
  });
  EXPECT_FALSE(t.get_stop_token().stop_requested());
  int called = 0;
  const std::stop_callback callback(t.get_stop_token(), [&] { ++called; });
  EXPECT_TRUE(t.request_stop());
  EXPECT_FALSE(t.request_stop());
  EXPECT_EQ(called, 1);
  EXPECT_TRUE(t.get_stop_source().stop_requested());
}
TEST(Jthread, MoveAssignmentStopsAndJoinsTheOldOne) {
  std::atomic<bool> first_over{false};
  weft::jthread t([&](std::stop_token stop) {
    while (!stop.stop_requested()) weft::this_thread::yield();
    first_over = true;
  });
  t = weft::jthread([] {});
  EXPECT_TRUE(first_over);
  EXPECT_TRUE(t.joinable());
  weft::jthread& same = t;
  t = std::move(same);
  EXPECT_TRUE(t.joinable()) << "nothing happens when it is moved to itself";
  EXPECT_FALSE(t.get_stop_token().stop_requested());
  const weft::jthread u = std::move(t);
  EXPECT_FALSE(t.joinable());
  EXPECT_FALSE(t.get_stop_token().stop_possible());
  EXPECT_TRUE(u.joinable());
}
TEST(Jthread, SwapExchangesThreadAndStopState) {
  weft::jthread a([](std::stop_token stop) {
    while (!stop.stop_requested()) weft::this_thread::yield();
  });
  weft::jthread b;
  const auto id = a.get_id();
  swap(a, b);
  EXPECT_EQ(b.get_id(), id);
  EXPECT_FALSE(a.get_stop_token().stop_possible());
  a.swap(b);
  EXPECT_TRUE(a.get_stop_token().stop_possible());
}
TEST(Jthread, DetachedIsLeftAlone) {
  auto stop_seen = std::make_shared<std::atomic<bool>>(false);
  std::stop_source source;
  std::atomic<bool> over{false};
  {
    weft::jthread t([&, stop_seen](std::stop_token stop) {
      until([&] { return over.load(); });
      *stop_seen = stop.stop_requested();
      over = false;
    });
    t.detach();
  }
  over = true;
  until([&] { return !over; });
  EXPECT_FALSE(*stop_seen);
}

}  // namespace
}  // namespace api_test
