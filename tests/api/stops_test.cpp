// SPDX-License-Identifier: BSL-1.0
// Every wait with a stop token: what is free is had although stop was requested; a wait ends with the request; what comes first counts; and in races
// nothing is lost.
#include <functional>
#include <memory>
#include <random>
#include <utility>

#include "support.hpp"

namespace api_test {
namespace {

/// Something to wait for that is not there, and how to make it be.
struct thing {
  virtual ~thing() = default;
  virtual bool wait(const std::stop_token& stop) = 0;
  virtual bool wait_for(std::chrono::nanoseconds span, const std::stop_token& stop) = 0;
  virtual void happen() = 0;
};

template <class Mutex>
struct a_mutex : thing {
  a_mutex() { m.lock(); }
  ~a_mutex() override {
    if (held) m.unlock();
  }
  bool wait(const std::stop_token& stop) override { return m.lock(stop) && (m.unlock(), true); }
  bool wait_for(std::chrono::nanoseconds span, const std::stop_token& stop) override {
    if constexpr (requires { m.try_lock_for(span, stop); }) {
      EXPECT_FALSE(m.try_lock_until(weft::clock::now() + 1ms, stop));
      return m.try_lock_for(span, stop) && (m.unlock(), true);
    } else {
      return false;
    }
  }
  void happen() override {
    held = false;
    m.unlock();
  }
  Mutex m;
  bool held = true;
};
struct a_reader : a_mutex<weft::shared_timed_mutex> {
  bool wait(const std::stop_token& stop) override { return m.lock_shared(stop) && (m.unlock_shared(), true); }
  bool wait_for(std::chrono::nanoseconds span, const std::stop_token& stop) override {
    EXPECT_FALSE(m.try_lock_shared_until(steady::now() + 1ms, stop));
    return m.try_lock_shared_for(span, stop) && (m.unlock_shared(), true);
  }
};
struct a_semaphore : thing {
  bool wait(const std::stop_token& stop) override { return s.acquire(stop); }
  bool wait_for(std::chrono::nanoseconds span, const std::stop_token& stop) override {
    EXPECT_FALSE(s.try_acquire_until(slow_clock::now() + 1ms, stop));
    return s.try_acquire_for(span, stop);
  }
  void happen() override { s.release(); }
  weft::counting_semaphore<> s{0};
};
struct a_latch : thing {
  bool wait(const std::stop_token& stop) override { return l.wait(stop); }
  bool wait_for(std::chrono::nanoseconds span, const std::stop_token& stop) override {
    EXPECT_FALSE(l.wait_until(steady::now() + 1ms, stop));
    return l.wait_for(span, stop);
  }
  void happen() override { l.count_down(); }
  weft::latch l{1};
};
struct a_barrier : thing {
  bool wait(const std::stop_token& stop) override { return b.wait(token, stop); }
  bool wait_for(std::chrono::nanoseconds span, const std::stop_token& stop) override {
    EXPECT_FALSE(b.wait_until(token, steady::now() + 1ms, stop));
    return b.wait_for(token, span, stop);
  }
  void happen() override { (void)b.arrive(); }
  weft::barrier<> b{2};
  weft::barrier<>::arrival_token token = b.arrive();
};
struct a_condition : thing {
  bool wait(const std::stop_token& stop) override {
    std::unique_lock hold(m);
    return changed.wait(hold, stop, [this] { return holds; });
  }
  bool wait_for(std::chrono::nanoseconds span, const std::stop_token& stop) override {
    std::unique_lock hold(m);
    EXPECT_FALSE(changed.wait_until(hold, stop, slow_clock::now() + 1ms, [this] { return holds; }));
    EXPECT_TRUE(hold.owns_lock());
    return changed.wait_for(hold, stop, span, [this] { return holds; });
  }
  void happen() override {
    const std::lock_guard hold(m);
    holds = true;
    changed.notify_all();
  }
  weft::mutex m;
  weft::condition_variable changed;
  bool holds = false;
};
struct a_future : thing {
  bool wait(const std::stop_token& stop) override { return f.wait(stop); }
  bool wait_for(std::chrono::nanoseconds span, const std::stop_token& stop) override {
    EXPECT_EQ(f.wait_until(steady::now() + 1ms, stop), std::future_status::timeout);
    return f.wait_for(span, stop) == std::future_status::ready;
  }
  void happen() override { p.set_value(); }
  weft::promise<void> p;
  weft::shared_future<void> f = p.get_future().share();
};
struct an_end : thing {
  ~an_end() override {
    if (t.joinable()) go.release(), t.join();
  }
  bool wait(const std::stop_token& stop) override { return t.join(stop); }
  bool wait_for(std::chrono::nanoseconds span, const std::stop_token& stop) override {
    EXPECT_FALSE(t.join_until(steady::now() + 1ms, stop));
    return t.join_for(span, stop);
  }
  void happen() override { go.release(); }
  weft::binary_semaphore go{0};
  weft::fiber t{[this] { go.acquire(); }};
};

using maker = std::function<std::unique_ptr<thing>()>;
template <class T>
std::pair<const char*, maker> made(const char* name) {
  return {name, [] { return std::make_unique<T>(); }};
}
const std::pair<const char*, maker> things[] = {
    made<a_mutex<weft::mutex>>("mutex"),
    made<a_mutex<weft::timed_mutex>>("timed_mutex"),
    made<a_mutex<weft::shared_mutex>>("shared_mutex"),
    made<a_mutex<weft::shared_timed_mutex>>("shared_timed_mutex"),
    made<a_reader>("reader"),
    made<a_semaphore>("semaphore"),
    made<a_latch>("latch"),
    made<a_barrier>("barrier"),
    made<a_condition>("condition"),
    made<a_future>("future"),
    made<an_end>("end of a fiber"),
};

template <class Kind>
class Stops : public testing::Test {
 protected:
  static void in_one(const std::function<void()>& f) { Kind(f).join(); }
};
TYPED_TEST_SUITE(Stops, kinds, kind_names);

TYPED_TEST(Stops, RequestedBefore) {
  for (const auto& [name, make] : things) {
    const auto t = make();
    std::stop_source source;
    source.request_stop();
    this->in_one([&] { EXPECT_FALSE(t->wait(source.get_token())) << name; });
  }
}

TYPED_TEST(Stops, RequestedWhileItWaits) {
  for (const auto& [name, make] : things) {
    const auto t = make();
    std::stop_source source;
    TypeParam waiter([&] { EXPECT_FALSE(t->wait(source.get_token())) << name; });
    let_others_get_there();
    source.request_stop();
    waiter.join();
    // And from a kernel thread, and with a deadline that is far away.
    std::stop_source other;
    const auto u = make();
    TypeParam timed([&] { EXPECT_FALSE(u->wait_for(very_long, other.get_token())) << name; });
    let_others_get_there();
    std::thread([&] { other.request_stop(); }).join();
    timed.join();
  }
}

TYPED_TEST(Stops, HappensBeforeTheRequest) {
  for (const auto& [name, make] : things) {
    const auto t = make();
    std::stop_source source;
    TypeParam waiter([&] { EXPECT_TRUE(t->wait(source.get_token())) << name; });
    let_others_get_there();
    t->happen();
    waiter.join();
    source.request_stop();
  }
}

TYPED_TEST(Stops, TheDeadlineComesBefore) {
  for (const auto& [name, make] : things) {
    const auto t = make();
    std::stop_source source;
    this->in_one([&] { EXPECT_FALSE(t->wait_for(short_while, source.get_token())) << name; });
    EXPECT_FALSE(source.stop_requested());
  }
}

TYPED_TEST(Stops, WhatIsThereIsHadAllTheSame) {
  std::stop_source source;
  source.request_stop();
  const std::stop_token stop = source.get_token();
  this->in_one([&] {
    weft::mutex m;
    EXPECT_TRUE(m.lock(stop));
    m.unlock();
    weft::recursive_mutex r;
    EXPECT_TRUE(r.lock(stop));
    EXPECT_TRUE(r.lock(stop));
    r.unlock(), r.unlock();
    weft::counting_semaphore<> s(1);
    EXPECT_TRUE(s.acquire(stop));
    weft::latch open(0);
    EXPECT_TRUE(open.wait(stop));
    EXPECT_TRUE(weft::async(weft::launch::deferred, [] {}).wait(stop));
  });
}

TYPED_TEST(Stops, SleepsEnd) {
  std::stop_source source;
  TypeParam sleeper([&] { EXPECT_FALSE(weft::this_thread::sleep_for(very_long, source.get_token())); });
  TypeParam another([&] { EXPECT_FALSE(weft::this_thread::sleep_until(slow_clock::now() + very_long, source.get_token())); });
  let_others_get_there();
  source.request_stop();
  sleeper.join(), another.join();
  this->in_one([] {
    EXPECT_TRUE(weft::this_thread::sleep_for(1ms, std::stop_token()));
    EXPECT_TRUE(weft::this_thread::sleep_until(steady::now() + 1ms, std::stop_source().get_token()));
    EXPECT_TRUE(weft::this_thread::sleep_until(slow_clock::now() + 1ms, std::stop_source().get_token()));
  });
}

/// A stop that ends no wait leaves nothing behind that would end the next one.
TYPED_TEST(Stops, AnOldRequestEndsNoNewWait) {
  this->in_one([] {
    for (int i = 0; i < 200; ++i) {
      std::stop_source source;
      weft::counting_semaphore<> s(0);
      weft::thread asks([&] { source.request_stop(); });
      (void)s.try_acquire_for(20us, source.get_token());
      asks.join();
      const auto start = steady::now();
      EXPECT_FALSE(s.try_acquire_for(1ms));
      EXPECT_GE(steady::now() - start, 1ms);
    }
  });
}

/// Hand-overs, time-outs and stop requests race: all tokens and turns are accounted for. WEFT_HAND_OVERS makes it longer.
TEST(StopRaces, NothingIsLost) {
  const char* const asked = std::getenv("WEFT_HAND_OVERS");
  const long hand_overs = asked != nullptr ? std::atol(asked) : 20'000;
  weft::counting_semaphore<> tokens(0);
  weft::timed_mutex lock;
  weft::channel<long> values(2);
  std::atomic<long> taken{0}, had{0}, given_up{0};
  long inside = 0;
  std::atomic<bool> end{false};
  const auto taker = [&](unsigned seed) {
    std::minstd_rand dice(seed);
    while (!end) {
      std::stop_source source;
      weft::fiber asks([&, wait = dice() % 3] {
        for (unsigned i = 0; i < wait; ++i) weft::this_thread::yield();
        source.request_stop();
      });
      const auto span = std::chrono::microseconds(dice() % 50);
      const bool got = dice() % 2 == 0 ? tokens.acquire(source.get_token()) : tokens.try_acquire_for(span, source.get_token());
      if (got) {
        ++taken;
        // For each token there is a value, sooner or later.
        if (const auto value = values.receive()) had += *value;
      } else {
        ++given_up;
      }
      if (lock.try_lock_for(span, source.get_token())) {
        ++inside;
        lock.unlock();
      }
      asks.join();
    }
    while (tokens.try_acquire()) {
      ++taken;
      had += *values.receive();
    }
  };
  {
    std::vector<weft::thread> threads;
    std::vector<std::thread> kernel_threads;
    for (unsigned i = 1; i <= 4; ++i) threads.emplace_back(taker, i);
    for (unsigned i = 5; i <= 6; ++i) kernel_threads.emplace_back(taker, i);
    for (long i = 1; i <= hand_overs; ++i) {
      tokens.release();
      values.send(i);
    }
    end = true;
    for (weft::thread& t : threads) t.join();
    for (std::thread& t : kernel_threads) t.join();
  }
  EXPECT_EQ(taken, hand_overs);
  EXPECT_EQ(had, hand_overs * (hand_overs + 1) / 2);
  EXPECT_GT(given_up, 0);
  EXPECT_TRUE(lock.try_lock());
  lock.unlock();
}

}  // namespace
}  // namespace api_test
