// SPDX-License-Identifier: BSL-1.0
// A forked child has one thread and may use the library again, whatever the others were doing.
#include <sys/wait.h>
#include <unistd.h>

#include "support.hpp"

namespace api_test {
namespace {

/// In the child. 0 if all is well.
int use_everything() {
  weft::thread([] {}).join();
  weft::fiber([] {}).join();
  weft::thread({.by = weft::carried::alone}, [] {}).join();
  weft::mutex m;
  weft::channel<int> c(0);
  weft::thread sender([&] {
    const std::lock_guard hold(m);
    c.send(1);
  });
  const int got = c.receive().value();
  sender.join();
  weft::runtime r({.parallelism = 1});
  return got == 1 && r.run([] { return 2; }) == 2 ? 0 : 1;
}

int child_of_fork() {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(50);  // a hang is to be seen as one
    ::_exit(use_everything());
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

template <class Kind>
class Forks : public testing::Test {};
TYPED_TEST_SUITE(Forks, kinds, kind_names);

TYPED_TEST(Forks, WhileOthersComeAndGo) {
  if (sanitized) GTEST_SKIP() << "sanitizers follow no fork with threads";
  std::atomic<bool> stop{false};
  weft::mutex m;
  const crew<std::thread> others(2, [&] {
    while (!stop) {
      weft::thread([&] { const std::lock_guard hold(m); }).join();
      weft::thread({.by = weft::carried::alone}, [] {}).join();
    }
  });
  for (int i = 0; i < 10; ++i) TypeParam([&] { EXPECT_EQ(child_of_fork(), 0); }).join();
  EXPECT_EQ(child_of_fork(), 0);
  stop = true;
}

}  // namespace
}  // namespace api_test
