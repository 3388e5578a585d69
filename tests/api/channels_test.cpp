// SPDX-License-Identifier: BSL-1.0
// channel: who gets what, in which order, when it is full, empty or closed; and that nothing is lost when deadlines and stop requests race.
#include <memory>
#include <numeric>
#include <random>
#include <string>

#include "support.hpp"
#include "weft/channel.hpp"
#include "weft/scope.hpp"

namespace api_test {
namespace {

template <class Kind>
class Channels : public testing::Test {};
TYPED_TEST_SUITE(Channels, kinds, kind_names);

TYPED_TEST(Channels, KeepTheOrder) {
  for (const std::size_t capacity : {std::size_t{0}, std::size_t{1}, std::size_t{7}, weft::unbounded}) {
    weft::channel<int> numbers(capacity);
    TypeParam sender([&] {
      for (int i = 0; i < 1000; ++i) EXPECT_TRUE(numbers.send(i));
      numbers.close();
    });
    int expected = 0;
    for (const int n : numbers) EXPECT_EQ(n, expected++);
    EXPECT_EQ(expected, 1000);
    sender.join();
  }
}

TYPED_TEST(Channels, HoldAsMuchAsTheirCapacity) {
  TypeParam user([] {
    weft::channel<int> none, two(2), any(weft::unbounded);
    EXPECT_EQ(none.capacity(), 0u);
    EXPECT_FALSE(none.try_send(1));
    EXPECT_TRUE(two.try_send(1) && two.try_send(2));
    EXPECT_FALSE(two.try_send(3));
    EXPECT_FALSE(two.send_for(3, 1ms));
    EXPECT_EQ(two.size(), 2u);
    EXPECT_EQ(two.try_receive(), 1);
    EXPECT_TRUE(two.try_send(3));
    EXPECT_EQ(two.receive(), 2);
    EXPECT_EQ(two.receive(), 3);
    EXPECT_EQ(two.try_receive(), std::nullopt);
    for (int i = 0; i < 10'000; ++i) EXPECT_TRUE(any.try_send(i));
    EXPECT_EQ(any.size(), 10'000u);
  });
  user.join();
}

TYPED_TEST(Channels, CloseEndsEveryWait) {
  weft::channel<int> empty, full(1);
  ASSERT_TRUE(full.try_send(1));
  {
    const crew<TypeParam> receivers(3, [&] { EXPECT_EQ(empty.receive(), std::nullopt); });
    const crew<TypeParam> senders(3, [&] { EXPECT_FALSE(full.send(2)); });
    let_others_get_there();
    empty.close();
    full.close();
    full.close();  // nothing new
  }
  EXPECT_TRUE(empty.is_closed());
  EXPECT_FALSE(empty.send(1));
  EXPECT_FALSE(full.try_send(3));
  EXPECT_EQ(full.receive(), 1);  // what was in it before
  EXPECT_EQ(full.receive(), std::nullopt);
  EXPECT_TRUE(full.begin() == full.end());
}

TYPED_TEST(Channels, DeadlinesAndStopRequestsEndWaits) {
  weft::channel<std::string> c;
  TypeParam user([&] {
    EXPECT_GE(time_of([&] { EXPECT_EQ(c.receive_for(short_while), std::nullopt); }), short_while);
    EXPECT_GE(time_of([&] { EXPECT_FALSE(c.send_until("late", slow_clock::now() + short_while)); }), short_while / 2);
    std::stop_source stop;
    weft::thread other([&] {
      let_others_get_there();
      stop.request_stop();
    });
    EXPECT_EQ(c.receive(stop.get_token()), std::nullopt);
    EXPECT_FALSE(c.send("stopped", stop.get_token()));
    other.join();
  });
  user.join();
  EXPECT_EQ(c.try_receive(), std::nullopt);
}

TEST(Channel, MovesWhatCannotBeCopied) {
  weft::channel<std::unique_ptr<int>> c(1);
  EXPECT_TRUE(c.send(std::make_unique<int>(7)));
  auto kept = std::make_unique<int>(8);
  EXPECT_FALSE(c.try_send(std::move(kept)));
  ASSERT_NE(kept, nullptr) << "a refused value is still the caller's";
  EXPECT_EQ(**c.receive(), 7);
}

TEST(Channel, DestroysEachValueOnce) {
  counted::book book;
  {
    weft::channel<counted> c(4);
    weft::thread receiver([&] {
      for (int i = 0; i < 50; ++i) EXPECT_TRUE(c.receive().has_value());
    });
    for (int i = 0; i < 53; ++i) EXPECT_TRUE(c.send(counted(book)));
    receiver.join();
    EXPECT_EQ(c.size(), 3u);
  }
  EXPECT_EQ(book.alive(), 0);
  EXPECT_EQ(book.copied, 0);
}

struct throws_on_move {
  explicit throws_on_move(int* budget) : moves_left(budget) {}
  throws_on_move(throws_on_move&& from) : moves_left(from.moves_left) {
    if ((*moves_left)-- == 0) throw std::runtime_error("no more moves");
  }
  int* moves_left;
};
TEST(Channel, AMoveThatThrowsThrowsWhereItWasMoved) {
  int budget = 0;
  weft::channel<throws_on_move> c;
  weft::thread receiver([&] {
    const auto got = c.receive();  // the first value never arrives; it goes on waiting
    EXPECT_FALSE(got.has_value());
  });
  let_others_get_there();
  EXPECT_THROW(c.send(throws_on_move(&budget)), std::runtime_error);
  c.close();
  receiver.join();
}

TEST(Channel, FirstComeFirstServed) {
  weft::channel<int> c;
  std::vector<int> order;
  std::vector<weft::thread> receivers;
  for (int i = 0; i < 5; ++i) {
    receivers.emplace_back([&, i] {
      (void)c.receive();
      order.push_back(i);
    });
    weft::this_thread::sleep_for(2ms);
  }
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(c.send(0));
    weft::this_thread::sleep_for(2ms);
  }
  for (auto& r : receivers) r.join();
  if (one_to_one()) return;  // kernel threads run when the kernel likes
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

#if !defined(WEFT_TEST_SANITIZED)
TEST(ChannelDeath, DestroyedWithWaiters) {
  EXPECT_DEATH(
      {
        auto c = std::make_unique<weft::channel<int>>();
        weft::thread waiter([&] { (void)c->receive(); });
        weft::this_thread::sleep_for(50ms);
        c.reset();
      },
      "destroyed while it is locked or waited for: a channel");
}
#endif

/// Values with their numbers, so that a lost or doubled one is seen; waits of all lengths, many of which end by their deadline or a stop request.
TEST(ChannelStress, NothingIsLostWhenDeadlinesAndStopsRace) {
  for (const std::size_t capacity : {std::size_t{0}, std::size_t{3}}) {
    constexpr int senders = 6, each = sanitized ? 300 : 3000;
    weft::channel<int> c(capacity);
    std::vector<std::atomic<int>> seen(senders * each);
    std::atomic<int> next_sender{0};
    {
      weft::scope receivers;
      for (int r = 0; r < 6; ++r)
        receivers.spawn([&, r] {
          std::minstd_rand dice(static_cast<unsigned>(r) + 99);
          for (;;) {
            std::optional<int> got;
            if (dice() % 3 == 0) {
              std::stop_source stop;
              weft::jthread stopper([&] { stop.request_stop(); });
              got = c.receive(stop.get_token());
            } else {
              got = c.receive_for(std::chrono::microseconds(dice() % 100));
            }
            if (got) ++seen[static_cast<std::size_t>(*got)];
            else if (c.is_closed() && c.size() == 0) return;
          }
        });
      weft::scope sending;
      const auto send_all = [&] {
        const int me = next_sender++;
        std::minstd_rand dice(static_cast<unsigned>(me) + 1);
        for (int i = 0; i < each; ++i)
          while (!c.send_for(me * each + i, std::chrono::microseconds(dice() % 200))) {
          }
      };
      for (int s = 0; s < senders / 2; ++s) sending.spawn(send_all);
      for (int s = 0; s < senders / 2; ++s) sending.spawn_fiber(send_all);
      sending.join();
      c.close();
      receivers.join();
    }
    for (const auto& count : seen) ASSERT_EQ(count, 1);
  }
}

}  // namespace
}  // namespace api_test
