// SPDX-License-Identifier: BSL-1.0
// promise, future, shared_future, packaged_task and async, by the wording of [futures].
#include <memory_resource>
#include <string>

#include "support.hpp"

namespace api_test {
namespace {

/// The code of the future_error that f throws. Fails if it throws none.
template <class F>
std::error_code future_error_of(F f) {
  try {
    f();
    ADD_FAILURE() << "nothing was thrown";
  } catch (const std::future_error& error) {
    return error.code();
  }
  return {};
}
const std::error_code no_state = make_error_code(std::future_errc::no_state), retrieved = make_error_code(std::future_errc::future_already_retrieved),
                      satisfied = make_error_code(std::future_errc::promise_already_satisfied),
                      broken = make_error_code(std::future_errc::broken_promise);
std::exception_ptr made(const char* what) { return std::make_exception_ptr(std::runtime_error(what)); }

template <class T, bool Copied = false>
constexpr bool is_as_in_std = std::is_copy_constructible_v<T> == Copied && std::is_copy_assignable_v<T> == Copied &&
                              std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T>;
static_assert(is_as_in_std<weft::future<int>> && is_as_in_std<weft::promise<int>> && is_as_in_std<weft::packaged_task<int()>>);
static_assert(is_as_in_std<weft::shared_future<int>, true> && std::is_nothrow_copy_constructible_v<weft::shared_future<int&>>);
static_assert(std::is_convertible_v<weft::future<int>, weft::shared_future<int>> && !std::is_convertible_v<weft::shared_future<int>, weft::future<int>>);
static_assert(std::is_same_v<decltype(std::declval<weft::future<int>>().get()), int> && std::is_same_v<decltype(std::declval<weft::future<int&>>().get()), int&>);
static_assert(std::is_void_v<decltype(std::declval<weft::future<void>>().get())> && std::is_void_v<decltype(std::declval<weft::shared_future<void>>().get())>);
static_assert(std::is_same_v<decltype(std::declval<weft::shared_future<int>>().get()), const int&>);
static_assert(std::is_same_v<decltype(std::declval<weft::shared_future<int&>>().get()), int&>);
static_assert(std::uses_allocator_v<weft::promise<int>, std::allocator<int>> && std::is_same_v<weft::future_status, std::future_status>);

template <class Kind>
class Futures : public testing::Test {};
TYPED_TEST_SUITE(Futures, kinds, kind_names);

// -- promise and future --

TYPED_TEST(Futures, ValueComesAcross) {
  weft::promise<std::string> p;
  auto f = p.get_future();
  EXPECT_TRUE(f.valid());
  EXPECT_EQ(f.wait_for(0s), std::future_status::timeout);
  TypeParam giver([&] { p.set_value("a value that is too long for the string itself"); });
  EXPECT_EQ(f.get(), "a value that is too long for the string itself");
  EXPECT_FALSE(f.valid());
  giver.join();
}

TYPED_TEST(Futures, TakerWaitsInItsThread) {
  weft::promise<int> p;
  TypeParam taker([f = p.get_future()]() mutable {
    f.wait();
    EXPECT_EQ(f.wait_for(0s), std::future_status::ready);
    EXPECT_EQ(f.get(), 5);
  });
  let_others_get_there();
  p.set_value(5);
  taker.join();
}

TYPED_TEST(Futures, ReferenceAndVoid) {
  int object = 1;
  weft::promise<int&> r;
  weft::promise<void> v;
  auto rf = r.get_future();
  auto vf = v.get_future();
  TypeParam giver([&] {
    r.set_value(object);
    v.set_value();
  });
  EXPECT_EQ(&rf.get(), &object);
  vf.get();
  EXPECT_FALSE(rf.valid() || vf.valid());
  giver.join();
}

TYPED_TEST(Futures, ExceptionComesAcross) {
  weft::promise<int> p;
  auto f = p.get_future();
  TypeParam giver([&] { p.set_exception(made("thrown")); });
  try {
    f.get();
    ADD_FAILURE();
  } catch (const std::runtime_error& e) {
    EXPECT_STREQ(e.what(), "thrown");
  }
  EXPECT_FALSE(f.valid());
  giver.join();
}

TYPED_TEST(Futures, BrokenPromise) {
  weft::future<int> a, b;
  weft::future<int&> c;
  weft::future<void> d;
  TypeParam breaker([&] {
    weft::promise<int> p, q;
    weft::promise<int&> r;
    weft::promise<void> s;
    a = p.get_future();
    b = q.get_future();
    c = r.get_future();
    d = s.get_future();
    q = weft::promise<int>();  // abandons, too
    EXPECT_EQ(b.wait_for(0s), std::future_status::ready);
    EXPECT_EQ(a.wait_for(0s), std::future_status::timeout);
  });
  breaker.join();
  EXPECT_EQ(future_error_of([&] { a.get(); }), broken);
  EXPECT_EQ(future_error_of([&] { b.get(); }), broken);
  EXPECT_EQ(future_error_of([&] { c.get(); }), broken);
  EXPECT_EQ(future_error_of([&] { d.get(); }), broken);
}

TEST(Futures, ErrorsOfPromises) {
  weft::promise<int> p;
  auto f = p.get_future();
  EXPECT_EQ(future_error_of([&] { (void)p.get_future(); }), retrieved);
  p.set_value(1);
  EXPECT_EQ(future_error_of([&] { p.set_value(2); }), satisfied);
  EXPECT_EQ(future_error_of([&] { p.set_exception(made("late")); }), satisfied);
  EXPECT_EQ(future_error_of([&] { p.set_value_at_thread_exit(2); }), satisfied);
  EXPECT_EQ(future_error_of([&] { p.set_exception_at_thread_exit(made("late")); }), satisfied);
  EXPECT_EQ(f.get(), 1);
  EXPECT_EQ(future_error_of([&] { (void)p.get_future(); }), retrieved);

  const weft::promise<int> taken(std::move(p));
  EXPECT_EQ(future_error_of([&] { (void)p.get_future(); }), no_state);
  EXPECT_EQ(future_error_of([&] { p.set_value(2); }), no_state);
  EXPECT_EQ(future_error_of([&] { p.set_exception(made("late")); }), no_state);
  EXPECT_EQ(future_error_of([&] { p.set_value_at_thread_exit(2); }), no_state);
  EXPECT_EQ(future_error_of([&] { p.set_exception_at_thread_exit(made("late")); }), no_state);

  weft::promise<int> late;
  late.set_exception(made("before the future is there"));
  EXPECT_THROW(late.get_future().get(), std::runtime_error);
}

TEST(Futures, WithoutState) {
  weft::future<int> f;
  weft::shared_future<int> s;
  EXPECT_FALSE(f.valid() || s.valid());
  EXPECT_EQ(future_error_of([&] { f.get(); }), no_state);
  EXPECT_EQ(future_error_of([&] { f.wait(); }), no_state);
  EXPECT_EQ(future_error_of([&] { (void)f.wait_for(0s); }), no_state);
  EXPECT_EQ(future_error_of([&] { (void)f.wait_until(steady::now()); }), no_state);
  EXPECT_EQ(future_error_of([&] { (void)s.get(); }), no_state);
  EXPECT_EQ(future_error_of([&] { s.wait(); }), no_state);
  EXPECT_FALSE(f.share().valid());
}

TEST(Futures, MovesAndSwaps) {
  weft::promise<int> p, q;
  auto f = p.get_future();
  swap(p, q);
  q.set_value(1);
  auto g = std::move(f);
  EXPECT_FALSE(f.valid());
  EXPECT_EQ(g.get(), 1);
  f = p.get_future();
  q.swap(p);
  p = std::move(q);
  p.set_value(2);
  EXPECT_EQ(f.get(), 2);
  const weft::future<int> unused = weft::promise<int>().get_future();
  EXPECT_EQ(unused.wait_for(0s), std::future_status::ready) << "broken";
}

TYPED_TEST(Futures, TimedWaits) {
  TypeParam waiter([] {
    weft::promise<int> p;
    const auto f = p.get_future();
    EXPECT_GE(time_of([&] { EXPECT_EQ(f.wait_for(short_while), std::future_status::timeout); }), short_while);
    EXPECT_GE(time_of([&] { EXPECT_EQ(f.wait_until(steady::now() + short_while), std::future_status::timeout); }), short_while);
    const auto wall = std::chrono::system_clock::now() + short_while;
    EXPECT_EQ(f.wait_until(wall), std::future_status::timeout);
    EXPECT_GE(std::chrono::system_clock::now(), wall);
    EXPECT_EQ(f.wait_until(slow_clock::now() + 1ms), std::future_status::timeout);
    EXPECT_EQ(f.wait_for(-1h), std::future_status::timeout);
    EXPECT_EQ(f.wait_until(steady::time_point::min()), std::future_status::timeout);
    p.set_value(1);
    EXPECT_EQ(f.wait_for(-1h), std::future_status::ready);
    EXPECT_EQ(f.wait_until(steady::time_point::min()), std::future_status::ready);
  });
  waiter.join();
  weft::promise<int> p;
  const auto f = p.get_future().share();
  std::atomic<int> there{0};
  const crew<TypeParam> waiters(3, [&] {
    const int me = there++;
    EXPECT_EQ(me == 0   ? f.wait_for(very_long)
              : me == 1 ? f.wait_until(std::chrono::system_clock::now() + very_long)
                        : f.wait_until(steady::time_point::max()),
              std::future_status::ready);
  });
  until([&] { return there == 3; });
  let_others_get_there();
  p.set_value(1);
}

TYPED_TEST(Futures, SharedByMany) {
  weft::promise<std::string> p;
  const weft::shared_future<std::string> f = p.get_future();
  std::atomic<const std::string*> where{nullptr};
  const crew<TypeParam> takers(8, [f, &where] {
    const std::string& value = f.get();
    EXPECT_EQ(value, "shared");
    const std::string* const seen = where.exchange(&value);
    EXPECT_TRUE(seen == nullptr || seen == &value) << "all get the same object";
    EXPECT_EQ(&f.get(), &value);
    EXPECT_TRUE(f.valid());
  });
  let_others_get_there();
  p.set_value("shared");
}

TEST(Futures, SharedOutlivesPromiseAndThrowsEachTime) {
  weft::shared_future<int> f;
  {
    weft::promise<int> p;
    auto one = p.get_future();
    f = one.share();
    EXPECT_FALSE(one.valid());
    p.set_exception(made("again and again"));
  }
  const auto g = f;
  EXPECT_THROW((void)f.get(), std::runtime_error);
  EXPECT_THROW((void)f.get(), std::runtime_error);
  EXPECT_THROW((void)g.get(), std::runtime_error);
  int object = 0;
  weft::promise<int&> r;
  const weft::shared_future<int&> rf = r.get_future().share();
  r.set_value(object);
  EXPECT_EQ(&rf.get(), &object);
  weft::promise<void> v;
  const auto vf = v.get_future().share();
  v.set_value();
  vf.get();
  vf.get();
}

TEST(Futures, ValueIsMadeOnceMovedOutAndDestroyed) {
  counted::book book;
  {
    weft::promise<counted> p;
    auto f = p.get_future();
    const counted original(book);
    p.set_value(original);
    EXPECT_EQ(book.copied, 1);
    EXPECT_EQ(book.moved, 0);
    const counted taken = f.get();
    EXPECT_EQ(book.moved, 1);
    weft::promise<counted> moved, unused;
    moved.set_value(counted(book));
    EXPECT_EQ(book.copied, 1);
    unused.set_value(counted(book));
    (void)unused.get_future();
  }
  EXPECT_EQ(book.alive(), 0);
}

TEST(Futures, MoveOnlyAndNotDefaultConstructible) {
  weft::promise<std::unique_ptr<int>> p;
  auto f = p.get_future();
  p.set_value(std::make_unique<int>(3));
  EXPECT_EQ(*f.get(), 3);
  weft::promise<std::reference_wrapper<int>> q;
  int n = 4;
  q.set_value(n);
  EXPECT_EQ(q.get_future().get(), 4);
}

TYPED_TEST(Futures, FailedCopyStoresNothing) {
  struct throws_when_copied {
    bool throws = true;
    throws_when_copied() = default;
    throws_when_copied(const throws_when_copied& from) : throws(from.throws) {
      weft::this_thread::yield();
      if (throws) throw std::runtime_error("copied");
    }
  };
  weft::promise<throws_when_copied> p;
  auto f = p.get_future();
  throws_when_copied value;
  EXPECT_THROW(p.set_value(value), std::runtime_error);
  EXPECT_EQ(f.wait_for(0s), std::future_status::timeout);
  std::atomic<int> failed{0}, stored{0}, late{0};
  {
    const crew<TypeParam> all(4, [&, next = std::make_shared<std::atomic<int>>(0)] {
      throws_when_copied mine;
      mine.throws = (*next)++ < 2;
      try {
        p.set_value(mine);
        ++stored;
      } catch (const std::runtime_error&) {
        ++failed;
      } catch (const std::future_error&) {
        ++late;
      }
    });
  }
  EXPECT_EQ(stored, 1) << "a failure of another one does not count";
  EXPECT_EQ(failed + late, 3);
  EXPECT_GE(late, 1);
  EXPECT_EQ(f.wait_for(0s), std::future_status::ready);
}

TYPED_TEST(Futures, OfManyProvidersOneSucceeds) {
  for (int i = 0; i < 50; ++i) {
    weft::promise<int> p;
    auto f = p.get_future();
    std::atomic<int> winner{-1}, losers{0};
    {
      const crew<TypeParam> all(4, [&, next = std::make_shared<std::atomic<int>>(0)] {
        const int me = (*next)++;
        try {
          p.set_value(me);
          winner = me;
        } catch (const std::future_error& e) {
          EXPECT_EQ(e.code(), satisfied);
          ++losers;
        }
      });
    }
    EXPECT_EQ(losers, 3);
    EXPECT_EQ(f.get(), winner);
  }
}

TYPED_TEST(Futures, PromiseMayBeDestroyedByWhoeverHasTheValue) {
  for (int i = 0; i < 200; ++i) {
    auto p = std::make_unique<weft::promise<int>>();
    auto f = p->get_future();
    TypeParam giver([same = p.get()] { same->set_value(1); });
    if (i % 2 == 0) weft::this_thread::yield();
    EXPECT_EQ(f.get(), 1);
    p.reset();
    giver.join();
  }
}

TEST(Futures, AllocatorMakesTheState) {
  class counting : public std::pmr::memory_resource {
   public:
    int allocated = 0, freed = 0;

   private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
      ++allocated;
      return std::pmr::new_delete_resource()->allocate(bytes, alignment);
    }
    void do_deallocate(void* p, std::size_t bytes, std::size_t alignment) override {
      ++freed;
      std::pmr::new_delete_resource()->deallocate(p, bytes, alignment);
    }
    bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
  } memory;
  {
    weft::promise<int> p(std::allocator_arg, std::pmr::polymorphic_allocator<int>(&memory));
    weft::promise<void> v(std::allocator_arg, std::pmr::polymorphic_allocator<>(&memory));
    weft::promise<int&> r(std::allocator_arg, std::allocator<int>());
    auto f = p.get_future();
    p.set_value(3);
    EXPECT_EQ(f.get(), 3);
    v.set_value();
    EXPECT_EQ(memory.allocated, 2) << "one allocation for each";
  }
  EXPECT_EQ(memory.freed, 2);
}

TEST(Futures, AlignedValues) {
  struct alignas(128) aligned {
    int n = 0;
  };
  weft::promise<aligned> p;
  const auto f = p.get_future().share();
  p.set_value({3});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&f.get()) % 128, 0u);
  EXPECT_EQ(f.get().n, 3);
}

// -- at thread exit --

TYPED_TEST(Futures, ReadyAtTheEndOfTheThread) {
  weft::promise<int> p;
  weft::promise<void> v;
  int object = 0;
  weft::promise<int&> r;
  weft::promise<int> e;
  auto f = p.get_future();
  auto vf = v.get_future();
  auto rf = r.get_future();
  auto ef = e.get_future();
  weft::latch stored(1), go(1);
  TypeParam giver([&] {
    p.set_value_at_thread_exit(3);
    v.set_value_at_thread_exit();
    r.set_value_at_thread_exit(object);
    e.set_exception_at_thread_exit(made("at exit"));
    EXPECT_EQ(future_error_of([&] { p.set_value(4); }), satisfied);
    stored.count_down();
    go.wait();
  });
  stored.wait();
  EXPECT_EQ(f.wait_for(1ms), std::future_status::timeout);
  EXPECT_EQ(future_error_of([&] { p.set_value(4); }), satisfied);
  go.count_down();
  EXPECT_EQ(f.get(), 3);
  vf.get();
  EXPECT_EQ(&rf.get(), &object);
  EXPECT_THROW(ef.get(), std::runtime_error);
  giver.join();
}

TYPED_TEST(Futures, AtExitKeepsTheResultOfAPromiseThatIsGone) {
  weft::future<int> f;
  {
    TypeParam giver([&] {
      weft::promise<int> p;
      f = p.get_future();
      p.set_value_at_thread_exit(3);
    });
    giver.join();
  }
  EXPECT_EQ(f.get(), 3);
  counted::book book;
  TypeParam nobody_asks([&] {
    weft::promise<counted> p;
    p.set_value_at_thread_exit(counted(book));
  });
  nobody_asks.join();
  EXPECT_EQ(book.alive(), 0);
}

struct sets_flag {
  std::atomic<bool>* flag = nullptr;
  ~sets_flag() {
    if (flag == nullptr) return;
    weft::this_thread::sleep_for(2ms);
    *flag = true;
  }
};
thread_local sets_flag late_flag;
TYPED_TEST(Futures, AtExitComesAfterThreadLocalVariables) {
  if (std::is_same_v<TypeParam, weft::fiber> || (sanitized && std::is_same_v<TypeParam, weft::thread>)) GTEST_SKIP() << "it has none of its own";
  std::atomic<bool> destroyed{false};
  weft::promise<void> p;
  auto f = p.get_future();
  TypeParam giver([&] {
    p.set_value_at_thread_exit();
    late_flag.flag = &destroyed;
  });
  f.wait();
  EXPECT_TRUE(destroyed);
  giver.join();
}

// -- packaged_task --

int twice(int n) { return 2 * n; }
struct functor {
  int operator()(int a, const std::string& b) const { return a + static_cast<int>(b.size()); }
};
static_assert(std::is_same_v<decltype(weft::packaged_task(twice)), weft::packaged_task<int(int)>>);
static_assert(std::is_same_v<decltype(weft::packaged_task(functor())), weft::packaged_task<int(int, const std::string&)>>);
static_assert(std::is_same_v<decltype(weft::packaged_task([](int&) mutable noexcept {})), weft::packaged_task<void(int&)>>);
static_assert(!std::is_constructible_v<weft::packaged_task<int()>, int> && !std::is_convertible_v<int (*)(int), weft::packaged_task<int(int)>>);

TYPED_TEST(Futures, TaskRunsInItsThread) {
  weft::packaged_task<int(int)> task(twice);
  auto f = task.get_future();
  TypeParam runner(std::move(task), 21);
  EXPECT_FALSE(task.valid());
  EXPECT_EQ(f.get(), 42);
  runner.join();
}

TYPED_TEST(Futures, TaskThatThrowsAndTaskThatIsDropped) {
  weft::packaged_task<void()> throws([] { throw std::runtime_error("task"); });
  auto f = throws.get_future();
  TypeParam runner(std::move(throws));
  EXPECT_THROW(f.get(), std::runtime_error);
  runner.join();
  weft::future<int> dropped;
  {
    weft::packaged_task<int(int)> task(twice);
    dropped = task.get_future();
  }
  EXPECT_EQ(future_error_of([&] { dropped.get(); }), broken);
}

TEST(Futures, ErrorsOfTasks) {
  weft::packaged_task<int(int)> none;
  EXPECT_FALSE(none.valid());
  EXPECT_EQ(future_error_of([&] { (void)none.get_future(); }), no_state);
  EXPECT_EQ(future_error_of([&] { none(1); }), no_state);
  EXPECT_EQ(future_error_of([&] { none.make_ready_at_thread_exit(1); }), no_state);
  EXPECT_EQ(future_error_of([&] { none.reset(); }), no_state);
  weft::packaged_task<int(int)> task(twice);
  EXPECT_TRUE(task.valid());
  auto f = task.get_future();
  EXPECT_EQ(future_error_of([&] { (void)task.get_future(); }), retrieved);
  task(1);
  EXPECT_EQ(future_error_of([&] { task(2); }), satisfied);
  EXPECT_EQ(future_error_of([&] { task.make_ready_at_thread_exit(2); }), satisfied);
  EXPECT_EQ(f.get(), 2);
}

TEST(Futures, TaskIsResetForANewResult) {
  int calls = 0;
  weft::packaged_task<int()> task([&calls, kept = std::make_unique<int>(10)] { return ++calls + *kept; });
  auto first = task.get_future();
  task.reset();
  EXPECT_EQ(future_error_of([&] { first.get(); }), broken);
  auto second = task.get_future();
  task();
  task.reset();
  EXPECT_EQ(second.get(), 11);
  auto third = task.get_future();
  task();
  EXPECT_EQ(third.get(), 12);
}

TEST(Futures, TasksMoveAndSwap) {
  weft::packaged_task<int(int)> a(twice), b;
  auto f = a.get_future();
  swap(a, b);
  EXPECT_FALSE(a.valid());
  a = std::move(b);
  a.swap(b);
  b(4);
  EXPECT_EQ(f.get(), 8);
}

TEST(Futures, TasksTakeArgumentsAsTheyAre) {
  int n = 1;
  weft::packaged_task<int&(int&)> by_reference([](int& i) -> int& { return ++i; });
  auto rf = by_reference.get_future();
  by_reference(n);
  EXPECT_EQ(&rf.get(), &n);
  EXPECT_EQ(n, 2);
  weft::packaged_task<int(std::unique_ptr<int>)> by_move([](std::unique_ptr<int> p) { return *p; });
  auto mf = by_move.get_future();
  by_move(std::make_unique<int>(3));
  EXPECT_EQ(mf.get(), 3);
  struct object {
    long value = 4;
    long get(int more) const { return value + more; }
  };
  weft::packaged_task<long(const object&, int)> member(&object::get);
  auto of = member.get_future();
  member(object(), 1);
  EXPECT_EQ(of.get(), 5);
  weft::packaged_task<void()> ignores([] { return 3; });
  ignores();
  ignores.get_future().get();
  weft::packaged_task<std::string()> converts([] { return "converted"; });
  converts();
  EXPECT_EQ(converts.get_future().get(), "converted");
}

TYPED_TEST(Futures, TaskReadyAtTheEndOfTheThread) {
  weft::packaged_task<int(int)> task(twice);
  auto f = task.get_future();
  weft::latch ran(1), go(1);
  TypeParam runner([&] {
    task.make_ready_at_thread_exit(3);
    EXPECT_EQ(future_error_of([&] { task(1); }), satisfied);
    ran.count_down();
    go.wait();
  });
  ran.wait();
  EXPECT_EQ(f.wait_for(1ms), std::future_status::timeout);
  go.count_down();
  EXPECT_EQ(f.get(), 6);
  runner.join();
}

TEST(Futures, TaskIsDestroyedOnce) {
  counted::book book;
  {
    const counted original(book);
    weft::packaged_task<void()> task([original] {});
    task();
    task.reset();
    weft::packaged_task<void()> other(std::move(task));
  }
  EXPECT_EQ(book.alive(), 0);
}

// -- async --

TYPED_TEST(Futures, AsyncRunsElsewhere) {
  TypeParam caller([] {
    const auto me = weft::this_thread::get_id();
    auto f = weft::async(std::launch::async, [] { return weft::this_thread::get_id(); });
    EXPECT_NE(f.get(), me);
    auto g = weft::async([](int a, int b) { return a + b; }, 1, 2);
    EXPECT_EQ(g.get(), 3);
    auto h = weft::async(weft::launch::async, [](std::unique_ptr<int> p) -> int { throw *p; }, std::make_unique<int>(5));
    EXPECT_THROW(h.get(), int);
  });
  caller.join();
}

TYPED_TEST(Futures, AsyncFutureWaitsInItsDestructor) {
  TypeParam caller([] {
    std::atomic<bool> over{false};
    const auto run = [&] {
      weft::this_thread::sleep_for(short_while);
      over = true;
    };
    { const auto f = weft::async(std::launch::async, run); }
    EXPECT_TRUE(over.exchange(false));
    auto f = weft::async(std::launch::async, run);
    f = weft::future<void>();
    EXPECT_TRUE(over.exchange(false)) << "when it is assigned to";
    {
      const auto shared = weft::async(std::launch::async, run).share();
      auto copy = std::make_unique<weft::shared_future<void>>(shared);
      copy.reset();
      EXPECT_FALSE(over) << "only the last one waits";
    }
    EXPECT_TRUE(over);
  });
  caller.join();
}

TEST(Futures, OtherFuturesDoNotWaitInTheirDestructors) {
  weft::promise<void> p;
  { const auto f = p.get_future(); }
  { const auto f = weft::async(std::launch::deferred, [] { ADD_FAILURE() << "nobody waited for it"; }); }
}

TYPED_TEST(Futures, DeferredRunsInWhoeverWaitsFirst) {
  TypeParam caller([] {
    const auto me = weft::this_thread::get_id();
    auto f = weft::async(std::launch::deferred, [] { return weft::this_thread::get_id(); });
    EXPECT_EQ(f.wait_for(0s), std::future_status::deferred);
    EXPECT_EQ(f.wait_until(steady::now() + 1h), std::future_status::deferred);
    EXPECT_EQ(f.get(), me);
    auto g = weft::async(std::launch::deferred, [](int n) -> int { throw n; }, 5);
    g.wait();
    EXPECT_EQ(g.wait_for(0s), std::future_status::ready);
    EXPECT_THROW(g.get(), int);
  });
  caller.join();
}

TYPED_TEST(Futures, DeferredRunsOnceForManyWhoWait) {
  std::atomic<int> runs{0};
  const auto f = weft::async(std::launch::deferred, [&] {
                   weft::this_thread::sleep_for(2ms);
                   return ++runs;
                 }).share();
  const crew<TypeParam> all(6, [f] {
    f.wait();
    EXPECT_EQ(f.get(), 1);
  });
}

TEST(Futures, AsyncCopiesItsArgumentsOnceAndDestroysThemOnce) {
  for (const auto policy : {std::launch::async, std::launch::deferred}) {
    counted::book lvalue, rvalue, callable;
    {
      const counted l(lvalue);
      struct functor_with_book {
        counted c;
        void operator()(counted&&, const counted&) const {}
      };
      const functor_with_book f{counted(callable)};
      auto result = weft::async(policy, f, l, counted(rvalue));
      result.get();
      EXPECT_EQ(lvalue.alive(), 1);
      EXPECT_EQ(rvalue.alive(), 0);
      EXPECT_EQ(callable.alive(), 1);
      const auto dropped = weft::async(policy, f, l, counted(rvalue));
    }
    EXPECT_EQ(lvalue.copied, 2);
    EXPECT_EQ(rvalue.copied, 0);
    EXPECT_EQ(lvalue.alive() + rvalue.alive() + callable.alive(), 0);
  }
}

TEST(Futures, AsyncInvokesMembersReferencesAndRvalues) {
  struct object {
    int value = 1;
    int add(int n) { return value += n; }
    int operator()() & { return 1; }
    int operator()() && { return 2; }
  } o;
  EXPECT_EQ(weft::async(&object::add, &o, 2).get(), 3);
  EXPECT_EQ(weft::async(std::launch::deferred, &object::add, std::ref(o), 2).get(), 5);
  EXPECT_EQ(&weft::async(&object::value, &o).get(), &o.value);
  EXPECT_EQ(weft::async(o).get(), 2);
  EXPECT_EQ(&weft::async([&]() -> object& { return o; }).get(), &o);
  EXPECT_EQ(*weft::async([] { return std::make_unique<int>(7); }).get(), 7);
  EXPECT_EQ(weft::async(twice, 4).get(), 8);
}

TEST(Futures, AsyncThreadHasEndedWhenItsFutureIsReady) {
  if (sanitized) GTEST_SKIP() << "threads have no thread_local variables of their own";
  for (int i = 0; i < 20; ++i) {
    std::atomic<bool> destroyed{false};
    auto f = weft::async(std::launch::async, [&] { late_flag.flag = &destroyed; });
    if (i % 2 == 0) f.wait();
    else EXPECT_EQ(f.wait_for(very_long), std::future_status::ready);
    EXPECT_TRUE(destroyed);
  }
}

TEST(Futures, ThousandAsyncCalls) {
  constexpr int n = sanitized ? 200 : 1000;
  std::vector<weft::future<int>> all;
  for (int i = 0; i < n; ++i) all.push_back(weft::async(std::launch::async, twice, i));
  int sum = 0;
  for (auto& f : all) sum += f.get();
  EXPECT_EQ(sum, n * (n - 1));
}

TEST(Futures, AllKindsOnTheSame) {
  weft::promise<int> p;
  const auto f = p.get_future().share();
  std::atomic<int> sum{0};
  weft::fiber giver([&] {
    weft::this_thread::sleep_for(1ms);
    p.set_value(2);
  });
  in_all_kinds(4, [f, &sum] { sum += f.get(); });
  EXPECT_EQ(sum, 24);
  giver.join();
}

}  // namespace
}  // namespace api_test
