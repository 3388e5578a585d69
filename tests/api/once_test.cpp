// SPDX-License-Identifier: BSL-1.0
// once_flag and call_once, by the wording of [thread.once].
#include "support.hpp"

namespace api_test {
namespace {

template <class Kind>
class Once : public testing::Test {};
TYPED_TEST_SUITE(Once, kinds, kind_names);

static_assert(!std::is_copy_constructible_v<weft::once_flag> && std::is_nothrow_default_constructible_v<weft::once_flag>);
constinit weft::once_flag made_at_compile_time;

TEST(Once, FlagIsConstantInitialised) {
  int n = 0;
  weft::call_once(made_at_compile_time, [&] { ++n; });
  EXPECT_EQ(n, 1);
}

TYPED_TEST(Once, OneCallsOthersWaitAndSee) {
  weft::once_flag flag;
  int calls = 0;
  const crew<TypeParam> all(8, [&] {
    weft::call_once(flag, [&] {
      weft::this_thread::sleep_for(1ms);
      ++calls;
    });
    EXPECT_EQ(calls, 1);
  });
}

TYPED_TEST(Once, WhatIsThrownReachesItsCallerAndTheNextTries) {
  weft::once_flag flag;
  std::atomic<int> tried{0}, threw{0}, succeeded{0};
  {
    const crew<TypeParam> all(8, [&] {
      try {
        weft::call_once(flag, [&] {
          weft::this_thread::yield();
          if (++tried <= 3) throw std::runtime_error("not yet");
          ++succeeded;
        });
      } catch (const std::runtime_error&) {
        ++threw;
      }
    });
  }
  EXPECT_EQ(threw, 3);
  EXPECT_EQ(tried, 4);
  EXPECT_EQ(succeeded, 1);
}

TYPED_TEST(Once, ArgumentsAreForwarded) {
  weft::once_flag flag, member;
  struct object {
    int value = 0;
    void set(int v) { value = v; }
  } o;
  TypeParam t([&] {
    int seen = 0;
    weft::call_once(flag, [](std::unique_ptr<int> p, int& out) { out = *p; }, std::make_unique<int>(3), seen);
    EXPECT_EQ(seen, 3);
    auto kept = std::make_unique<int>(4);
    weft::call_once(flag, [](std::unique_ptr<int>&& p) { p.reset(); }, std::move(kept));
    EXPECT_TRUE(kept != nullptr) << "not called again";
    weft::call_once(member, &object::set, o, 5);
    EXPECT_EQ(o.value, 5);
  });
  t.join();
}

TYPED_TEST(Once, FlagsNest) {
  weft::once_flag outer, inner;
  std::atomic<int> calls{0};
  {
    const crew<TypeParam> all(4, [&] {
      weft::call_once(outer, [&] {
        ++calls;
        weft::call_once(inner, [&] { ++calls; });
      });
    });
  }
  EXPECT_EQ(calls, 2);
}

TEST(Once, AllKindsOnTheSame) {
  for (int i = 0; i < 20; ++i) {
    weft::once_flag flag;
    std::atomic<int> calls{0};
    in_all_kinds(2, [&] { weft::call_once(flag, [&] { ++calls; }); });
    EXPECT_EQ(calls, 1);
  }
}

}  // namespace
}  // namespace api_test
