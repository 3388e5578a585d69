// SPDX-License-Identifier: BSL-1.0
// What is a thread's own across its waits: thread_local variables and errno, and for every kind exceptions in flight.
// [basic.stc.thread], [except.throw], [errno].
#include <cerrno>
#include <exception>

#include "support.hpp"

namespace api_test {
namespace {

// -- thread_local: threads only; fibers have the carriers' (fiber.hpp), and under sanitizers threads, too --

[[maybe_unused]] thread_local int number = 7;
thread_local std::atomic<int>* told_at_destruction = nullptr;
struct tells_its_end {
  std::vector<int> memory = {1, 2, 3};
  ~tells_its_end() {
    if (told_at_destruction == nullptr) return;
    weft::this_thread::sleep_for(1ms);
    ++*told_at_destruction;
  }
};
thread_local tells_its_end with_destructor;

#if !defined(WEFT_TEST_SANITIZED)
TEST(ThreadLocal, IsEachThreadsOwnAcrossWaits) {
  const crew<weft::thread> all(50, [next = std::make_shared<std::atomic<int>>(0)] {
    EXPECT_EQ(number, 7);
    const int mine = number = (*next)++;
    const int* const where = &number;
    for (int i = 0; i < 5; ++i) {
      weft::this_thread::sleep_for(200us);
      EXPECT_EQ(number, mine);
      EXPECT_EQ(&number, where);
      weft::this_thread::yield();
    }
  });
}

TEST(ThreadLocal, IsDestroyedBeforeJoinReturns) {
  std::atomic<int> ended{0};
  for (const auto by : {weft::carried::by_default, weft::carried::alone})
    for (int i = 1; i <= 20; ++i) {
      weft::thread t({.by = by}, [&] {
        told_at_destruction = &ended;
        EXPECT_EQ(with_destructor.memory.size(), 3u);
      });
      t.join();
      EXPECT_EQ(ended.exchange(0), 1);
    }
}

TEST(ThreadLocal, IsNewWhereAnotherThreadStood) {
  for (int i = 0; i < 100; ++i) {
    weft::thread t([] {
      EXPECT_EQ(number, 7);
      EXPECT_TRUE(told_at_destruction == nullptr);
      EXPECT_EQ(with_destructor.memory.size(), 3u);
      number = 8;
      with_destructor.memory.clear();
    });
    t.join();
  }
}

TEST(ThreadLocal, ErrnoIsEachThreadsOwnAcrossWaits) {
  const crew<weft::thread> all(20, [next = std::make_shared<std::atomic<int>>(1)] {
    EXPECT_EQ(errno, 0);
    const int mine = (*next)++;
    for (int i = 0; i < 5; ++i) {
      errno = mine;
      weft::mutex m;
      std::unique_lock hold(m);
      weft::condition_variable changed;
      EXPECT_EQ(changed.wait_for(hold, 200us), std::cv_status::timeout);
      weft::this_thread::sleep_for(100us);
      EXPECT_EQ(errno, mine);
    }
  });
}
#endif

TEST(ThreadLocal, OfKernelThreadsIsDestroyedBeforeTheEndOfOneAlone) {
  std::atomic<int> ended{0};
  weft::thread t({.by = weft::carried::alone}, [&] {
    told_at_destruction = &ended;
    with_destructor.memory.push_back(4);
  });
  t.join();
  EXPECT_EQ(ended, 1);
}

// -- exceptions --

template <class Kind>
class Exceptions : public testing::Test {};
TYPED_TEST_SUITE(Exceptions, kinds, kind_names);

void wait_a_bit() {
  weft::this_thread::yield();
  weft::this_thread::sleep_for(100us);
}

TYPED_TEST(Exceptions, HandlerMayWait) {
  const crew<TypeParam> all(20, [next = std::make_shared<std::atomic<int>>(0)] {
    const int mine = (*next)++;
    for (int i = 0; i < 5; ++i) {
      try {
        throw mine * 100 + i;
      } catch (int& caught) {
        wait_a_bit();
        EXPECT_EQ(caught, mine * 100 + i);
        EXPECT_TRUE(std::current_exception() != nullptr);
        EXPECT_EQ(std::uncaught_exceptions(), 0);
      }
      EXPECT_TRUE(std::current_exception() == nullptr);
    }
  });
}

TYPED_TEST(Exceptions, HandlersNestAcrossWaitsAndRethrow) {
  const crew<TypeParam> all(20, [] {
    try {
      try {
        throw std::runtime_error("first");
      } catch (const std::runtime_error&) {
        wait_a_bit();
        try {
          throw 2;
        } catch (int second) {
          wait_a_bit();
          EXPECT_EQ(second, 2);
        }
        wait_a_bit();
        throw;
      }
    } catch (const std::runtime_error& again) {
      wait_a_bit();
      EXPECT_STREQ(again.what(), "first");
    }
  });
}

TYPED_TEST(Exceptions, UncaughtOnesAreCountedAcrossWaitsInDestructors) {
  const crew<TypeParam> all(10, [] {
    struct outer {
      ~outer() {
        EXPECT_EQ(std::uncaught_exceptions(), 1);
        wait_a_bit();
        EXPECT_EQ(std::uncaught_exceptions(), 1);
        try {
          struct inner {
            ~inner() {
              EXPECT_EQ(std::uncaught_exceptions(), 2);
              wait_a_bit();
              EXPECT_EQ(std::uncaught_exceptions(), 2);
            }
          } unwound_while_unwinding;
          throw 2;
        } catch (int caught) {
          wait_a_bit();
          EXPECT_EQ(caught, 2);
        }
        EXPECT_EQ(std::uncaught_exceptions(), 1);
      }
    };
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    try {
      const outer unwound;
      throw 1;
    } catch (int caught) {
      EXPECT_EQ(caught, 1);
      EXPECT_EQ(std::uncaught_exceptions(), 0);
    }
  });
}

TYPED_TEST(Exceptions, TravelInExceptionPointers) {
  std::exception_ptr carried;
  TypeParam thrower([&] {
    try {
      throw std::runtime_error("carried");
    } catch (...) {
      wait_a_bit();
      carried = std::current_exception();
    }
  });
  thrower.join();
  const crew<TypeParam> all(10, [&] {
    try {
      std::rethrow_exception(carried);
    } catch (const std::runtime_error& e) {
      wait_a_bit();
      EXPECT_STREQ(e.what(), "carried");
    }
  });
}

}  // namespace
}  // namespace api_test
