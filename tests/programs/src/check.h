// SPDX-License-Identifier: BSL-1.0
// The checks of the test programs: the first one that fails says where and ends the program, whatever other threads do.
// What a program prints to stdout must not depend on timing or on the number of CPUs: it is compared byte for byte with a
// native run. Such programs depend on nothing but libc, so that they can be run by hand.
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                              \
  do {                                                                                \
    if (!(condition)) {                                                               \
      fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);         \
      _Exit(1);                                                                       \
    }                                                                                 \
  } while (0)

#define CHECK_EQ(actual, expected)                                                                              \
  do {                                                                                                          \
    const long long actual_value_ = (long long)(actual), expected_value_ = (long long)(expected);               \
    if (actual_value_ != expected_value_) {                                                                     \
      fprintf(stderr, "%s:%d: failed: %s is %lld, not %lld\n", __FILE__, __LINE__, #actual, actual_value_,      \
              expected_value_);                                                                                 \
      _Exit(1);                                                                                                 \
    }                                                                                                           \
  } while (0)
