// SPDX-License-Identifier: BSL-1.0
// A program is ported by changing the namespace.
#include <gtest/gtest.h>

#include "port_result.hpp"

TEST(Port, BehavesTheSame) {
  const std::string as_std = port_with_std();
  EXPECT_GT(as_std.size(), 300u);
  EXPECT_EQ(port_with_weft(), as_std);
}
