// SPDX-License-Identifier: BSL-1.0
// latch and barrier, by the wording of [thread.coord].
#include "support.hpp"

namespace api_test {
namespace {

template <class Kind>
class Latches : public testing::Test {};
TYPED_TEST_SUITE(Latches, kinds, kind_names);

static_assert(!std::is_copy_constructible_v<weft::latch> && weft::latch::max() >= 1'000'000 && !std::is_convertible_v<int, weft::latch>);

TYPED_TEST(Latches, OpenAtZero) {
  weft::latch l(3);
  EXPECT_FALSE(l.try_wait());
  l.count_down(0);
  l.count_down();
  EXPECT_FALSE(l.try_wait());
  l.count_down(2);
  EXPECT_TRUE(l.try_wait());
  l.wait();
  TypeParam other([&] {
    l.wait();
    EXPECT_TRUE(l.try_wait());
  });
  other.join();
  const weft::latch open(0);
  EXPECT_TRUE(open.try_wait());
  open.wait();
}

TYPED_TEST(Latches, WaitersSeeWhatWasWrittenBefore) {
  weft::latch done(4), seen(1);
  int written[4] = {};
  std::atomic<int> next{0};
  const crew<TypeParam> writers(4, [&] {
    const int me = next++;
    written[me] = me + 1;
    done.count_down();
    seen.wait();
  });
  const crew<TypeParam> readers(2, [&] {
    done.wait();
    EXPECT_EQ(written[0] + written[1] + written[2] + written[3], 10);
  });
  done.wait();
  seen.count_down();
}

TYPED_TEST(Latches, ArriveAndWait) {
  weft::latch l(6);
  std::atomic<int> arrived{0};
  const crew<TypeParam> all(5, [&, turn = std::make_shared<std::atomic<int>>(0)] {
    const int n = (*turn)++ == 0 ? 2 : 1;
    arrived += n;
    l.arrive_and_wait(n);
    EXPECT_EQ(arrived, 6);
  });
}

TYPED_TEST(Latches, MayBeDestroyedByItsOnlyWaiter) {
  for (int i = 0; i < 200; ++i) {
    auto l = std::make_unique<weft::latch>(1);
    weft::latch& same = *l;
    TypeParam other([&] { same.count_down(); });
    if (i % 3 == 0) weft::this_thread::yield();
    if (i % 2 == 0) l->wait();
    else until([&] { return l->try_wait(); });
    l.reset();
    other.join();
  }
}

TEST(Latches, AllKindsOnTheSame) {
  weft::latch l(12);
  in_all_kinds(4, [&] { l.arrive_and_wait(); });
  EXPECT_TRUE(l.try_wait());
}

template <class Kind>
class Barriers : public testing::Test {};
TYPED_TEST_SUITE(Barriers, kinds, kind_names);

static_assert(!std::is_copy_constructible_v<weft::barrier<>> && weft::barrier<>::max() >= 1'000'000);
static_assert(std::is_move_constructible_v<weft::barrier<>::arrival_token> && !std::is_copy_constructible_v<weft::barrier<>::arrival_token>);

TYPED_TEST(Barriers, HoldEachPhaseTogether) {
  constexpr int n = 4, phases = 50;
  std::atomic<int> arrived[phases] = {};
  weft::barrier b(n);
  const crew<TypeParam> all(n, [&] {
    for (int phase = 0; phase < phases; ++phase) {
      ++arrived[phase];
      b.arrive_and_wait();
      EXPECT_EQ(arrived[phase], n);
    }
  });
}

TYPED_TEST(Barriers, CompletionRunsOnceInEachPhaseBeforeAnybodyGoesOn) {
  constexpr int n = 4, phases = 50;
  int completed = 0;  // no race: the barrier orders
  auto completion = [&]() noexcept { ++completed; };
  weft::barrier b(n, completion);
  const crew<TypeParam> all(n, [&] {
    for (int phase = 0; phase < phases; ++phase) {
      b.arrive_and_wait();
      EXPECT_EQ(completed, 2 * phase + 1);
      b.arrive_and_wait();
    }
  });
}

TYPED_TEST(Barriers, CompletionMayWaitAndMoveOnly) {
  struct waits {
    std::unique_ptr<std::atomic<int>> count;
    void operator()() noexcept {
      weft::this_thread::sleep_for(1ms);
      ++*count;
    }
  };
  auto count = std::make_unique<std::atomic<int>>(0);
  auto& seen = *count;
  weft::barrier b(2, waits{std::move(count)});
  const crew<TypeParam> all(2, [&] {
    b.arrive_and_wait();
    EXPECT_EQ(seen, 1);
  });
}

TYPED_TEST(Barriers, ArriveDoesNotWaitAndWaitFindsThePhaseOver) {
  weft::barrier b(2);
  auto first = b.arrive();
  TypeParam other([&] {
    auto token = b.arrive();  // ends the phase
    b.wait(std::move(token));
    (void)b.arrive();
  });
  b.wait(std::move(first));
  auto both = b.arrive();
  b.wait(std::move(both));
  other.join();
  auto token = b.arrive(2);
  b.wait(std::move(token));
}

TYPED_TEST(Barriers, DroppingLeavesTheOthers) {
  constexpr int n = 5;
  std::atomic<int> phases_of_last{0};
  weft::barrier b(n);
  const crew<TypeParam> all(n, [&, turn = std::make_shared<std::atomic<int>>(0)] {
    const int stays_for = (*turn)++;
    for (int phase = 0; phase < stays_for; ++phase) {
      b.arrive_and_wait();
      if (stays_for == n - 1) ++phases_of_last;
    }
    b.arrive_and_drop();
  });
  until([&] { return phases_of_last == n - 1; });
}

TYPED_TEST(Barriers, CompletionSeesAndShowsWhatWasWritten) {
  constexpr int n = 3;
  int parts[n] = {}, sum = 0;
  const auto add = [&]() noexcept {
    sum = 0;
    for (const int part : parts) sum += part;
  };
  weft::barrier b(n, add);
  const crew<TypeParam> all(n, [&, turn = std::make_shared<std::atomic<int>>(0)] {
    const int me = (*turn)++;
    for (int i = 1; i <= 20; ++i) {
      parts[me] = i;
      b.arrive_and_wait();
      EXPECT_EQ(sum, n * i);
      b.arrive_and_wait();
    }
  });
}

TEST(Barriers, AllKindsOnTheSame) {
  std::atomic<int> phase_ends{0};
  const auto end = [&]() noexcept { ++phase_ends; };
  weft::barrier b(6, end);
  in_all_kinds(2, [&] {
    for (int i = 0; i < 20; ++i) b.arrive_and_wait();
  });
  EXPECT_EQ(phase_ends, 20);
}

}  // namespace
}  // namespace api_test
