// SPDX-License-Identifier: BSL-1.0
#include <gtest/gtest.h>
#include <sys/resource.h>

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  // The child runs the program anew: a forked one would have a runtime without its threads.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);  // the death tests' children need not be written down
  return RUN_ALL_TESTS();
}
