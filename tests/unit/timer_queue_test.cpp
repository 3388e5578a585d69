// SPDX-License-Identifier: BSL-1.0
//
// time/timer_queue.hpp against std::multimap: the same operations on both, the same answers. And a million timers, in every order that is
// bad for some heap.
#include "time/timer_queue.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <iterator>
#include <map>
#include <numeric>
#include <random>
#include <vector>

namespace {

using weft::engine::nanoseconds_at;
using weft::engine::timer_node;
using weft::engine::timer_queue;

/// The queue and its model; every operation is checked right away.
class twins {
public:
    explicit twins(std::size_t nodes) : nodes_(nodes) {}

    void arm(std::size_t i, nanoseconds_at deadline) {
        if (nodes_[i].armed()) disarm(i);
        queue_.arm(nodes_[i], deadline);
        model_.emplace(deadline, &nodes_[i]);
        EXPECT_TRUE(nodes_[i].armed());
        agree();
    }
    void disarm(std::size_t i) {
        if (nodes_[i].armed()) {
            const auto [first, last] = model_.equal_range(nodes_[i].deadline);
            const auto found = std::find_if(first, last, [&](const auto& entry) { return entry.second == &nodes_[i]; });
            ASSERT_NE(found, last);
            model_.erase(found);
        }
        queue_.disarm(nodes_[i]);
        EXPECT_FALSE(nodes_[i].armed());
        agree();
    }
    void pop_due(nanoseconds_at now) {
        while (timer_node* due = queue_.pop_due(now)) {
            ASSERT_FALSE(model_.empty());
            EXPECT_EQ(due->deadline, model_.begin()->first);
            EXPECT_LE(due->deadline, now);
            EXPECT_FALSE(due->armed());
            const auto [first, last] = model_.equal_range(due->deadline);
            const auto found = std::find_if(first, last, [&](const auto& entry) { return entry.second == due; });
            ASSERT_NE(found, last) << "popped twice, or never armed";
            model_.erase(found);
            agree();
        }
        EXPECT_TRUE(model_.empty() || model_.begin()->first > now) << "a due timer was left";
    }
    [[nodiscard]] std::size_t armed() const { return model_.size(); }

private:
    void agree() const {
        ASSERT_EQ(queue_.empty(), model_.empty());
        ASSERT_EQ(queue_.next(), model_.empty() ? weft::engine::never : model_.begin()->first);
    }
    std::vector<timer_node> nodes_;
    timer_queue queue_;
    std::multimap<nanoseconds_at, timer_node*> model_;
};

TEST(timer_queue, empty) {
    timer_queue q;
    timer_node n;
    EXPECT_TRUE(q.empty());
    EXPECT_EQ(q.next(), weft::engine::never);
    EXPECT_EQ(q.pop_due(weft::engine::never), nullptr);
    q.disarm(n);
    EXPECT_FALSE(n.armed());
}

TEST(timer_queue, due_exactly_at_its_deadline) {
    timer_queue q;
    timer_node n;
    q.arm(n, 100);
    EXPECT_EQ(q.pop_due(99), nullptr);
    EXPECT_EQ(q.pop_due(100), &n);
    EXPECT_TRUE(q.empty());
    q.arm(n, 50);
    EXPECT_EQ(q.next(), 50);
    q.disarm(n);
    EXPECT_TRUE(q.empty());
}

TEST(timer_queue, random_operations_as_multimap) {
    for (std::uint32_t seed = 1; seed <= 40; ++seed) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        std::mt19937 dice(seed);
        const std::size_t nodes = 1 + dice() % (seed % 4 == 0 ? 2000 : 12);
        const std::uint32_t range = seed % 3 == 0 ? 5 : 1000000;  // few different deadlines: many ties
        twins both(nodes);
        nanoseconds_at now = 0;
        for (int step = 0; step < 4000; ++step) {
            const std::size_t i = dice() % nodes;
            switch (dice() % 8) {
                case 0: both.pop_due(now += static_cast<nanoseconds_at>(dice() % (range / 4 + 1))); break;
                case 1:
                case 2: both.disarm(i); break;
                default: both.arm(i, now + static_cast<nanoseconds_at>(dice() % range)); break;
            }
            if (HasFatalFailure()) return;
        }
        both.pop_due(weft::engine::never);
        EXPECT_EQ(both.armed(), 0U);
    }
}

/// Arms a million in the given order and pops all: the stack must not grow with the number, and the order must be right.
void a_million(const std::vector<nanoseconds_at>& deadlines) {
    std::vector<timer_node> nodes(deadlines.size());
    timer_queue q;
    for (std::size_t i = 0; i < nodes.size(); ++i) q.arm(nodes[i], deadlines[i]);
    nanoseconds_at last = 0;
    std::size_t popped = 0;
    while (const timer_node* due = q.pop_due(weft::engine::never - 1)) {
        ASSERT_LE(last, due->deadline);
        last = due->deadline;
        ++popped;
    }
    EXPECT_EQ(popped, nodes.size());
}

TEST(timer_queue, a_million_in_any_order) {
    std::vector<nanoseconds_at> deadlines(1'000'000);
    std::iota(deadlines.begin(), deadlines.end(), 1);
    a_million(deadlines);
    std::reverse(deadlines.begin(), deadlines.end());
    a_million(deadlines);
    std::shuffle(deadlines.begin(), deadlines.end(), std::mt19937(7));
    a_million(deadlines);
    std::fill(deadlines.begin(), deadlines.end(), 42);
    a_million(deadlines);
}

TEST(timer_queue, a_million_disarmed_in_any_order) {
    std::vector<timer_node> nodes(1'000'000);
    std::vector<std::size_t> order(nodes.size());
    std::iota(order.begin(), order.end(), 0);
    timer_queue q;
    for (const std::uint32_t seed : {0U, 1U, 2U}) {
        for (std::size_t i = 0; i < nodes.size(); ++i) q.arm(nodes[i], static_cast<nanoseconds_at>(i));
        if (seed != 0) std::shuffle(order.begin(), order.end(), std::mt19937(seed));
        for (const std::size_t i : order) q.disarm(nodes[i]);
        EXPECT_TRUE(q.empty());
    }
}

}  // namespace
