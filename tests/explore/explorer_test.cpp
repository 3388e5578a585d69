// SPDX-License-Identifier: BSL-1.0
//
// Is the explorer itself to be trusted? Classic small programs whose answer is known: the wrong ones must be found wrong, the right ones
// must pass, and a printed token must replay the same schedule.
#include "explore/explored_atomic.hpp"
#include "explore/explorer.hpp"

#include <cstdlib>
#include <functional>
#include <gtest/gtest.h>
#include <memory>
#include <vector>

namespace {

using namespace weft::engine::explore;
using std::memory_order_acquire;
using std::memory_order_relaxed;
using std::memory_order_release;
using std::memory_order_seq_cst;

using body = std::function<void(scenario&)>;

report random_search(const body& b) { return search({.name = "random", .runs = 4000}, b); }
report full_search(const body& b) { return search({.name = "full", .search = how::exhaustive, .runs = 200000}, b); }

/// Each thread stores its flag and looks at the other's. Not both may miss.
body store_buffering(std::memory_order store_order, bool with_fence) {
    struct state {
        atomic<int> x{0}, y{0};
        int seen_y = -1, seen_x = -1;
    };
    return [=](scenario& s) {
        auto st = std::make_shared<state>();
        s.thread("left", [=] {
            st->x.store(1, store_order);
            if (with_fence) atomic_thread_fence(memory_order_seq_cst);
            st->seen_y = st->y.load(memory_order_acquire);
        });
        s.thread("right", [=] {
            st->y.store(1, store_order);
            if (with_fence) atomic_thread_fence(memory_order_seq_cst);
            st->seen_x = st->x.load(memory_order_acquire);
        });
        s.finally([=] { check(st->seen_x + st->seen_y > 0, "one of the two sees the other"); });
    };
}

TEST(store_buffering, relaxed_stores_fail) {
    EXPECT_TRUE(random_search(store_buffering(memory_order_relaxed, false)).failed);
    EXPECT_TRUE(full_search(store_buffering(memory_order_release, false)).failed);
}

TEST(store_buffering, seq_cst_stores_pass) {
    const report full = full_search(store_buffering(memory_order_seq_cst, false));
    EXPECT_FALSE(full.failed) << full.text;
    EXPECT_TRUE(full.complete);
    const report random = random_search(store_buffering(memory_order_seq_cst, false));
    EXPECT_FALSE(random.failed) << random.text;
}

TEST(store_buffering, fences_pass) {
    const report full = full_search(store_buffering(memory_order_relaxed, true));
    EXPECT_FALSE(full.failed) << full.text;
    EXPECT_TRUE(full.complete);
}

/// Stores of one thread reach memory in order (TSO), so a flag stored after its data is enough.
TEST(message_passing, stores_stay_in_order) {
    struct state {
        atomic<int> data{0}, flag{0};
    };
    const body b = [](scenario& s) {
        auto st = std::make_shared<state>();
        s.thread("writer", [=] {
            st->data.store(42, memory_order_relaxed);
            st->flag.store(1, memory_order_release);
        });
        s.thread("reader", [=] {
            if (st->flag.load(memory_order_acquire) == 1) check(st->data.load(memory_order_relaxed) == 42, "data came before its flag");
        });
    };
    const report full = full_search(b);
    EXPECT_FALSE(full.failed) << full.text;
    EXPECT_TRUE(full.complete);
}

/// The sleeper announces itself and then looks once more, or it looks first and sleeps on a wake-up that has already passed.
body sleeper_and_waker(bool looks_again) {
    struct state {
        atomic<int> work{0}, asleep{0};
        atomic<std::uint32_t> bell{0};
    };
    return [=](scenario& s) {
        auto st = std::make_shared<state>();
        s.thread("sleeper", [=] {
            if (st->work.load() != 0) return;
            st->asleep.store(1);
            if (looks_again && st->work.load() != 0) return;
            while (st->bell.load() == 0) futex_wait(st->bell, 0);
        });
        s.thread("waker", [=] {
            st->work.store(1);
            if (st->asleep.load() == 0) return;
            st->bell.store(1);
            futex_wake(st->bell, 1);
        });
    };
}

TEST(lost_wake_up, is_found) {
    const report random = random_search(sleeper_and_waker(false));
    EXPECT_TRUE(random.failed);
    EXPECT_NE(random.reason.find("deadlock"), std::string::npos) << random.reason;
    EXPECT_TRUE(full_search(sleeper_and_waker(false)).failed);
}

TEST(lost_wake_up, looking_again_cures_it) {
    const report random = random_search(sleeper_and_waker(true));
    EXPECT_FALSE(random.failed) << random.text;
    const report full = full_search(sleeper_and_waker(true));
    EXPECT_FALSE(full.failed) << full.text;
    EXPECT_TRUE(full.complete);
}

/// A stack of three nodes with compare-and-swap on the top; with a tag in the upper half of the word, reuse is noticed.
body popping_stack(bool tagged) {
    struct state {
        atomic<std::uint64_t> top{1};
        std::uint32_t next[4] = {0, 2, 3, 0};
        int taken[4] = {};
    };
    const auto pop = [tagged](state& st) -> std::uint32_t {
        std::uint64_t old = st.top.load();
        for (;;) {
            const auto node = static_cast<std::uint32_t>(old);
            if (node == 0) return 0;
            const std::uint64_t tag = tagged ? (old >> 32U) + 1 : 0;
            if (st.top.compare_exchange_weak(old, tag << 32U | st.next[node])) return node;
        }
    };
    const auto push = [tagged](state& st, std::uint32_t node) {
        std::uint64_t old = st.top.load();
        for (;;) {
            st.next[node] = static_cast<std::uint32_t>(old);
            const std::uint64_t tag = tagged ? (old >> 32U) + 1 : 0;
            if (st.top.compare_exchange_weak(old, tag << 32U | node)) return;
        }
    };
    return [=](scenario& s) {
        auto st = std::make_shared<state>();
        s.thread("slow", [=] { ++st->taken[pop(*st)]; });
        s.thread("busy", [=] {
            const std::uint32_t a = pop(*st);
            ++st->taken[pop(*st)];
            if (a != 0) push(*st, a);
        });
        s.finally([=] {
            while (const std::uint32_t node = pop(*st)) ++st->taken[node];
            for (int node = 1; node < 4; ++node) check(st->taken[node] == 1, "each node is taken once");
        });
    };
}

TEST(aba, is_found) {
    EXPECT_TRUE(random_search(popping_stack(false)).failed);
    EXPECT_TRUE(full_search(popping_stack(false)).failed);
}

TEST(aba, tags_cure_it) {
    const report random = random_search(popping_stack(true));
    EXPECT_FALSE(random.failed) << random.text;
    const report full = full_search(popping_stack(true));
    EXPECT_FALSE(full.failed) << full.text;
}

/// The three-state futex mutex (Drepper). The broken one forgets that somebody else may sleep, too.
body futex_mutex(bool broken) {
    struct state {
        atomic<std::uint32_t> word{0};
        int inside = 0, count = 0;
    };
    return [=](scenario& s) {
        auto st = std::make_shared<state>();
        for (const char* who : {"a", "b", "c"}) {
            s.thread(who, [=] {
                std::uint32_t seen = 0;
                if (!st->word.compare_exchange_strong(seen, 1)) {
                    const std::uint32_t mark = broken ? 1 : 2;
                    if (seen != 2) seen = st->word.exchange(2);
                    while (seen != 0) {
                        futex_wait(st->word, 2);
                        seen = st->word.exchange(mark);
                    }
                }
                check(++st->inside == 1, "alone inside");
                step("inside");
                ++st->count;
                --st->inside;
                if (st->word.exchange(0) == 2) futex_wake(st->word, 1);
            });
        }
        s.finally([=] { check(st->count == 3, "all were inside"); });
    };
}

TEST(mutex, three_states_pass) {
    const report random = random_search(futex_mutex(false));
    EXPECT_FALSE(random.failed) << random.text;
    const report full = full_search(futex_mutex(false));
    EXPECT_FALSE(full.failed) << full.text;
}

TEST(mutex, a_forgotten_sleeper_is_found) { EXPECT_TRUE(random_search(futex_mutex(true)).failed); }

/// A spinning thread must not keep the others away for ever, in no search.
TEST(spinning, ends) {
    const body b = [](scenario& s) {
        auto flag = std::make_shared<atomic<int>>(0);
        s.thread("spinner", [=] {
            while (flag->load(memory_order_acquire) == 0) spin_hint();
        });
        s.thread("setter", [=] { flag->store(1, memory_order_release); });
    };
    const report random = random_search(b);
    EXPECT_FALSE(random.failed) << random.text;
    const report full = full_search(b);
    EXPECT_FALSE(full.failed) << full.text;
    EXPECT_TRUE(full.complete);
}

TEST(clock, deadlines_come_in_order_and_only_when_waited_for) {
    const body b = [](scenario& s) {
        auto order = std::make_shared<std::vector<int>>();
        for (const int ms : {3, 1, 2}) {
            s.thread("sleeper", [=] {
                sleep_until(std::chrono::milliseconds(ms));
                check(now() >= std::chrono::milliseconds(ms), "slept until its deadline");
                order->push_back(ms);
            });
        }
        s.finally([=] { check(order->size() == 3, "all woke"); });
    };
    const report full = full_search(b);
    EXPECT_FALSE(full.failed) << full.text;
}

/// A timeout races with a wake-up: both ends must be seen in some schedule.
TEST(clock, timeout_and_wake_race) {
    int timeouts = 0;
    int wakes = 0;
    const report found = random_search([&](scenario& s) {
        auto word = std::make_shared<atomic<std::uint32_t>>(0U);
        s.thread("waiter", [word, &timeouts, &wakes] {
            const int result = futex_wait(*word, 0, 1000);
            timeouts += result == -ETIMEDOUT;
            wakes += result == 0;
        });
        s.thread("waker", [word] {
            word->store(1);
            futex_wake(*word, 1);
        });
    });
    EXPECT_FALSE(found.failed) << found.text;
    EXPECT_GT(timeouts, 0);
    EXPECT_GT(wakes, 0);
}

TEST(memory, a_store_to_a_dead_object_is_found) {
    const report found = random_search([](scenario& s) {
        auto word = std::make_shared<std::unique_ptr<atomic<int>>>(std::make_unique<atomic<int>>(0));
        auto done = std::make_shared<int>(0);
        s.thread("writer", [=] {
            (*word)->store(1, memory_order_release);
            *done = 1;
        });
        s.thread("owner", [=] {
            block_until([=] { return *done == 1; });
            word->reset();
        });
    });
    EXPECT_TRUE(found.failed);
    EXPECT_NE(found.reason.find("died"), std::string::npos) << found.reason;
}

TEST(replay, token_runs_the_same_schedule) {
    for (const auto& find : {random_search, full_search}) {
        const report first = find(store_buffering(memory_order_relaxed, false));
        ASSERT_TRUE(first.failed);
        ASSERT_EQ(setenv("EXPLORE_SEED", first.token.c_str(), 1), 0);
        const report again = find(store_buffering(memory_order_relaxed, false));
        unsetenv("EXPLORE_SEED");
        EXPECT_TRUE(again.failed);
        EXPECT_EQ(again.schedules, 1U);
        EXPECT_EQ(again.reason, first.reason);
        EXPECT_EQ(again.text.substr(again.text.find('\n', again.text.find("replay"))),
                  first.text.substr(first.text.find('\n', first.text.find("replay"))));
    }
}

}  // namespace
