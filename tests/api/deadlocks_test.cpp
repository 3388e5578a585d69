// SPDX-License-Identifier: BSL-1.0
// The reports of deadlocks, and that nobody is accused who could still be woken.
#include <unistd.h>

#include "support.hpp"
#include "weft/channel.hpp"
#include "weft/io.hpp"

namespace api_test {
namespace {

// A sanitizer has kernel threads of its own, so it never looks as if nothing could wake anybody; under 1:1 nobody looks.
#if defined(WEFT_TEST_SANITIZED)
#define SKIP_WHERE_NOBODY_LOOKS() GTEST_SKIP()
#else
#define SKIP_WHERE_NOBODY_LOOKS() if (one_to_one()) GTEST_SKIP()
#endif

void wait_for_ever() {
  weft::channel<int> never;
  weft::thread waiter({.name = "waiter"}, [&] { (void)never.receive(); });
  waiter.join();
}
TEST(DeadlockDeath, WhenNothingCanWakeAnybody) {
  SKIP_WHERE_NOBODY_LOOKS();
  EXPECT_EXIT(wait_for_ever(), testing::ExitedWithCode(2),
              "deadlock: all 2 threads wait.*\n.*\\(main\\) waits for the end of thread . \"waiter\".*\n.*\"waiter\" waits for a channel");
}

/// The rest of the program runs on, and ends it.
void make_a_cycle() {
  weft::mutex a, b;
  weft::latch both(2);
  const auto lock = [&](weft::mutex& first, weft::mutex& second) {
    const std::lock_guard hold(first);
    both.arrive_and_wait();
    const std::lock_guard hold_too(second);
  };
  weft::thread x({.name = "x"}, [&] { lock(a, b); });
  weft::thread y({.name = "y"}, [&] { lock(b, a); });
  weft::this_thread::sleep_for(200ms);
  _exit(7);
}
TEST(DeadlockDeath, ACycleOfMutexes) {
  SKIP_WHERE_NOBODY_LOOKS();
  EXPECT_EXIT(make_a_cycle(), testing::ExitedWithCode(7), "a cycle of 2 threads.*\n.*waits for mutex .*, held by thread . \"[xy]\"");
}

TEST(Deadlock, NobodyIsAccusedWhoCanBeWoken) {
  // By a kernel thread that the library does not know, by a timer, by an event, by one that is blocked in the kernel.
  weft::channel<int> c;
  std::thread unknown([&] {
    ::usleep(400'000);
    ASSERT_TRUE(c.send(1));
  });
  EXPECT_EQ(c.receive(), 1);
  unknown.join();
  weft::thread sleeper([&] {
    weft::this_thread::sleep_for(400ms);
    ASSERT_TRUE(c.send(2));
  });
  EXPECT_EQ(c.receive(), 2);
  sleeper.join();
  weft::thread blocked([&] {
    ::usleep(400'000);
    ASSERT_TRUE(c.send(3));
  });
  EXPECT_EQ(c.receive(), 3);
  blocked.join();
}

}  // namespace
}  // namespace api_test
