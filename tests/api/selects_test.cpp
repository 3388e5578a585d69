// SPDX-License-Identifier: BSL-1.0
// select: exactly one case happens, each has its chance, and nothing is lost beside those that did not happen.
#include <map>
#include <random>

#include "support.hpp"
#include "weft/scope.hpp"
#include "weft/select.hpp"

namespace api_test {
namespace {

const auto nothing = [](auto&&...) {};

template <class Kind>
class Selects : public testing::Test {};
TYPED_TEST_SUITE(Selects, kinds, kind_names);

TYPED_TEST(Selects, SayWhichCaseHappened) {
  TypeParam user([] {
    weft::channel<int> a(1), b(1);
    EXPECT_EQ(weft::select(weft::on_receive(a, nothing), weft::on_receive(b, nothing), weft::otherwise(nothing)), 2u);
    ASSERT_TRUE(b.try_send(5));
    int got = 0;
    EXPECT_EQ(weft::select(weft::on_receive(a, nothing), weft::on_receive(b, [&](std::optional<int> v) { got = *v; })), 1u);
    EXPECT_EQ(got, 5);
    bool sent = false;
    EXPECT_EQ(weft::select(weft::on_send(a, 6, [&](bool yes) { sent = yes; }), weft::on_receive(b, nothing)), 0u);
    EXPECT_TRUE(sent);
    EXPECT_EQ(a.try_receive(), 6);
    bool late = false;
    EXPECT_GE(time_of([&] { (void)weft::select(weft::on_receive(a, nothing), weft::on_timeout(short_while, [&] { late = true; }), weft::on_timeout(very_long, nothing)); }), short_while);
    EXPECT_TRUE(late);
  });
  user.join();
}

TYPED_TEST(Selects, WaitForTheOtherSide) {
  weft::channel<int> in, out;
  TypeParam other([&] {
    let_others_get_there();
    EXPECT_TRUE(in.send(1));
    EXPECT_EQ(out.receive(), 2);
    in.close();
  });
  int received = 0;
  EXPECT_EQ(weft::select(weft::on_receive(in, [&](std::optional<int> v) { received = *v; })), 0u);
  EXPECT_EQ(received, 1);
  EXPECT_EQ(weft::select(weft::on_receive(in, nothing), weft::on_send(out, 2, nothing)), 1u);
  EXPECT_EQ(weft::select(weft::on_receive(in, [](std::optional<int> v) { EXPECT_FALSE(v.has_value()); })), 0u) << "closed and empty is a case";
  other.join();
}

TYPED_TEST(Selects, EndWhenStopIsRequested) {
  weft::channel<int> never;
  std::stop_source stop;
  TypeParam other([&] {
    let_others_get_there();
    stop.request_stop();
  });
  bool stopped = false;
  EXPECT_EQ(weft::select(weft::on_receive(never, nothing), weft::on_stop(stop.get_token(), [&] { stopped = true; })), 1u);
  EXPECT_TRUE(stopped);
  other.join();
}

TEST(Select, DoesNotServeItself) {
  weft::channel<int> c;
  EXPECT_EQ(weft::select(weft::on_send(c, 1, nothing), weft::on_receive(c, nothing), weft::on_timeout(short_while, nothing)), 2u);
}

TEST(Select, OfTwoSelectsMeetOnce) {
  weft::channel<int> a, b;
  std::atomic<int> sent{0}, received{0};
  constexpr int rounds = sanitized ? 200 : 5000;
  weft::thread one([&] {
    for (int i = 0; i < rounds; ++i)
      (void)weft::select(weft::on_send(a, 1, [&](bool) { ++sent; }), weft::on_receive(b, [&](auto) { ++received; }));
  });
  for (int i = 0; i < rounds; ++i)
    (void)weft::select(weft::on_send(b, 1, [&](bool) { ++sent; }), weft::on_receive(a, [&](auto) { ++received; }));
  one.join();
  EXPECT_EQ(sent, rounds);
  EXPECT_EQ(received, rounds);
}

TEST(Select, GivesEachReadyCaseItsChance) {
  weft::channel<int> a(weft::unbounded), b(weft::unbounded), c(weft::unbounded);
  for (int i = 0; i < 3000; ++i) ASSERT_TRUE(a.try_send(0) && b.try_send(0) && c.try_send(0));
  std::map<std::size_t, int> happened;
  for (int i = 0; i < 3000; ++i) ++happened[weft::select(weft::on_receive(a, nothing), weft::on_receive(b, nothing), weft::on_receive(c, nothing))];
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(happened[i], 1000, 200) << i;
}

TEST(SelectStress, NothingIsLost) {
  constexpr int senders = 4, each = sanitized ? 300 : 4000;
  weft::channel<int> plain, roomy(2), done;
  std::vector<std::atomic<int>> seen(2 * senders * each);
  const auto note = [&](std::optional<int> v) { ++seen[static_cast<std::size_t>(*v)]; };
  weft::scope all;
  for (int s = 0; s < 2 * senders; ++s)
    all.spawn([&, s] {
      weft::channel<int>& to = s % 2 == 0 ? plain : roomy;
      for (int i = 0; i < each; ++i) {
        // Half of the senders select, too: a case that gives up must take nothing with it.
        bool gone = s % 4 < 2 && to.send(s * each + i);
        while (!gone) (void)weft::select(weft::on_send(to, s * each + i, [&](bool yes) { gone = yes; }), weft::on_timeout(50us, nothing));
      }
      EXPECT_TRUE(done.send(1));
    });
  for (int r = 0; r < 3; ++r)
    all.spawn([&](std::stop_token stop) {
      while (weft::select(weft::on_receive(plain, note), weft::on_receive(roomy, note), weft::on_timeout(200us, nothing), weft::on_stop(stop, nothing)) != 3) {
      }
    });
  for (int s = 0; s < 2 * senders; ++s) EXPECT_TRUE(done.receive().has_value());
  all.request_stop();
  all.join();
  while (const auto rest = roomy.try_receive()) note(rest);
  for (const auto& count : seen) ASSERT_EQ(count, 1);
}

}  // namespace
}  // namespace api_test
