// SPDX-License-Identifier: BSL-1.0
//
// mem/stack_pool.hpp: size classes, guards by each method, recycling, and what is given back. Guard pages are probed by asking the kernel to
// read them (EFAULT), so that the tests run under sanitizers as well.
#include "mem/stack_pool.hpp"

#include "os/features.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <stdexcept>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using weft::engine::mem::stack_pool;
using weft::engine::mem::stack_top;
using weft::engine::os::guard_method;

constexpr std::size_t page = 4096;

/// Does the kernel find memory there?
bool readable(const char* address) {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("pipe");
    const bool good = write(ends[1], address, 1) == 1;
    const bool fault = !good && errno == EFAULT;
    close(ends[0]);
    close(ends[1]);
    EXPECT_TRUE(good || fault);
    return good;
}

class stack_pool_test : public testing::Test {
protected:
    static void SetUpTestSuite() { weft::engine::os::probe(); }
    void TearDown() override { weft::engine::os::machine.guard = found_; }
    guard_method found_ = weft::engine::os::machine.guard;
    std::unique_ptr<stack_pool> pool_ = std::make_unique<stack_pool>();
};

TEST(stack_classes, hold_what_they_promise_and_waste_little) {
    std::size_t last = 0;
    for (int c = 0; c < stack_pool::classes; ++c) {
        const std::size_t bytes = stack_pool::bytes_of(c);
        EXPECT_GT(bytes, last);
        EXPECT_EQ(bytes % page, 0U);
        EXPECT_EQ(stack_pool::class_of(bytes), c);
        EXPECT_EQ(stack_pool::class_of(bytes - 1), c);
        if (c + 1 < stack_pool::classes) {
            EXPECT_EQ(stack_pool::class_of(bytes + 1), c + 1);
        }
        if (last != 0) {
            EXPECT_LE(bytes, last + last / 4);
        }
        last = bytes;
    }
    EXPECT_EQ(stack_pool::class_of(0), 0);
    EXPECT_EQ(stack_pool::class_of(1), 0);
}

TEST(stack_classes, what_is_too_big_has_none) {
    const std::size_t biggest = stack_pool::bytes_of(stack_pool::classes - 1);
    EXPECT_GE(stack_pool::class_of(biggest + 1), stack_pool::classes);
    EXPECT_GE(stack_pool::class_of(~std::size_t{0}), stack_pool::classes);
}

TEST_F(stack_pool_test, a_stack_is_usable_from_its_top_to_its_guard) {
    stack_top* s = pool_->take(100'000);
    ASSERT_NE(s, nullptr);
    EXPECT_GE(s->bytes, 100'000U);
    EXPECT_EQ(reinterpret_cast<char*>(s + 1), s->low + s->bytes);
    EXPECT_FALSE(s->used_before);
    char* const first = s->low + page;
    std::memset(first, 0x5a, static_cast<std::size_t>(reinterpret_cast<char*>(s) - first));
    EXPECT_TRUE(readable(first));
    EXPECT_TRUE(s->guarded);
    EXPECT_FALSE(readable(s->low));
    EXPECT_FALSE(readable(s->low + page - 1));
}

TEST_F(stack_pool_test, each_guard_method_works) {
    for (const guard_method method : {guard_method::protect, guard_method::none}) {
        weft::engine::os::machine.guard = method;
        const auto pool = std::make_unique<stack_pool>();
        const stack_top* s = pool->take(16384);
        ASSERT_NE(s, nullptr);
        EXPECT_EQ(s->guarded, method != guard_method::none);
        EXPECT_EQ(readable(s->low), method == guard_method::none);
    }
}

TEST_F(stack_pool_test, more_than_there_is_gives_null) {
    EXPECT_EQ(pool_->take(~std::size_t{0}), nullptr);
    EXPECT_EQ(pool_->take(std::size_t{1} << 50U), nullptr);
    EXPECT_NE(pool_->take(16384), nullptr) << "and does no harm";
}

TEST_F(stack_pool_test, stacks_do_not_overlap) {
    std::mt19937 dice(3);
    std::vector<std::pair<const char*, const char*>> ranges;
    for (int i = 0; i < 1000; ++i) {
        const stack_top* s = pool_->take(16384 + dice() % 500'000);
        ASSERT_NE(s, nullptr);
        ranges.emplace_back(s->low, s->low + s->bytes);
    }
    std::sort(ranges.begin(), ranges.end());
    for (std::size_t i = 1; i < ranges.size(); ++i) EXPECT_LE(ranges[i - 1].second, ranges[i].first);
}

TEST_F(stack_pool_test, the_newest_free_stack_of_the_class_comes_back_as_it_was) {
    stack_top* a = pool_->take(65536);
    stack_top* b = pool_->take(65536);
    stack_top* other = pool_->take(131072);
    ASSERT_TRUE(a != nullptr && b != nullptr && other != nullptr && a != b);
    reinterpret_cast<char*>(b)[-1] = 7;
    pool_->put(*a);
    pool_->put(*b);
    pool_->put(*other);
    EXPECT_EQ(pool_->take(65000), b);
    EXPECT_TRUE(b->used_before);
    EXPECT_EQ(reinterpret_cast<char*>(b)[-1], 7);
    EXPECT_FALSE(readable(b->low)) << "still guarded";
    EXPECT_EQ(pool_->take(65536), a);
    EXPECT_EQ(pool_->take(131072), other);
    EXPECT_FALSE(pool_->take(65536)->used_before);
}

/// More stacks than are kept warm, their lowest and highest bytes set.
std::vector<stack_top*> take_a_crowd(stack_pool& pool) {
    std::vector<stack_top*> all;
    for (std::uint32_t i = 0; i < stack_pool::most_warm + 500; ++i) {
        all.push_back(pool.take(16384));
        if (all.back() == nullptr) throw std::runtime_error("no stack");
        all.back()->low[page] = 1;
        reinterpret_cast<char*>(all.back())[-1] = 1;
    }
    return all;
}

/// Returns how many times the pool said that it had become crowded.
int put_all(stack_pool& pool, const std::vector<stack_top*>& all) {
    int times = 0;
    for (stack_top* s : all) times += pool.put(*s);
    return times;
}

/// A bare stack cannot tell: all of it reads as zeros.
const char* low_of(const stack_top* s) { return reinterpret_cast<const char*>(s + 1) - 16384; }

void trim_all(stack_pool& pool, stack_pool::strip_function strip) {
    while (pool.trim_some(strip)) {
    }
}

std::size_t keep_nothing(stack_top&) { return 0; }
std::size_t keep_two_pages(stack_top&) { return 2 * page; }

TEST_F(stack_pool_test, after_a_crowd_all_but_the_warm_give_their_pages_back) {
    const std::vector<stack_top*> all = take_a_crowd(*pool_);
    EXPECT_EQ(put_all(*pool_, all), 1);
    EXPECT_TRUE(pool_->begin_trim()) << "they have not been unused for an interval yet";
    trim_all(*pool_, keep_nothing);
    EXPECT_TRUE(std::all_of(all.begin(), all.end(), [](const stack_top* s) { return low_of(s)[page] == 1; }));
    EXPECT_TRUE(pool_->begin_trim());
    trim_all(*pool_, keep_nothing);
    EXPECT_FALSE(pool_->begin_trim()) << "nothing is left to be done";
    std::size_t bare = 0;
    for (const stack_top* s : all) {
        EXPECT_EQ(low_of(s)[page], reinterpret_cast<const char*>(s)[-1]);
        bare += s->low == nullptr;
        EXPECT_EQ(s->low == nullptr, low_of(s)[page] == 0);
        EXPECT_FALSE(readable(low_of(s))) << "a guard outlives its stack's pages";
    }
    EXPECT_EQ(bare, all.size() - stack_pool::most_warm);
}

TEST_F(stack_pool_test, bare_stacks_are_taken_again_before_new_ones_are_cut) {
    std::vector<stack_top*> all = take_a_crowd(*pool_);
    put_all(*pool_, all);
    (void)pool_->begin_trim();
    (void)pool_->begin_trim();
    trim_all(*pool_, keep_nothing);
    std::vector<stack_top*> again;
    std::size_t used_before = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        again.push_back(pool_->take(16384));
        ASSERT_NE(again.back(), nullptr);
        used_before += again.back()->used_before;
        EXPECT_TRUE(again.back()->guarded);
        EXPECT_TRUE(pool_->owns(again.back()));
        EXPECT_EQ(again.back()->bytes, 16384U);
    }
    EXPECT_EQ(used_before, stack_pool::most_warm);
    std::sort(all.begin(), all.end());
    std::sort(again.begin(), again.end());
    EXPECT_EQ(all, again);
}

TEST_F(stack_pool_test, what_must_stay_at_the_top_stays) {
    const std::vector<stack_top*> all = take_a_crowd(*pool_);
    put_all(*pool_, all);
    (void)pool_->begin_trim();
    (void)pool_->begin_trim();
    trim_all(*pool_, keep_two_pages);
    std::size_t given_back = 0;
    for (const stack_top* s : all) {
        given_back += s->low[page] == 0;
        EXPECT_EQ(reinterpret_cast<const char*>(s)[-1], 1);
    }
    EXPECT_EQ(given_back, all.size() - stack_pool::most_warm);
    for (std::size_t i = 0; i < all.size(); ++i) EXPECT_TRUE(pool_->take(16384)->used_before);
    EXPECT_FALSE(pool_->take(16384)->used_before);
}

TEST_F(stack_pool_test, a_crowd_that_comes_back_within_an_interval_keeps_its_pages) {
    std::vector<stack_top*> all = take_a_crowd(*pool_);
    for (int round = 0; round < 5; ++round) {
        put_all(*pool_, all);
        (void)pool_->begin_trim();
        trim_all(*pool_, keep_nothing);
        for (stack_top*& s : all) s = pool_->take(16384);
    }
    EXPECT_TRUE(std::all_of(all.begin(), all.end(), [](const stack_top* s) { return s->used_before && s->low[page] == 1; }));
}

TEST_F(stack_pool_test, a_guard_that_cannot_be_had_costs_no_stack) {
    weft::engine::os::machine.guard = static_cast<guard_method>(99);  // no method at all: it fails
    EXPECT_EQ(pool_->take(16384), nullptr);
    EXPECT_EQ(pool_->take(16384), nullptr);
    weft::engine::os::machine.guard = found_;
    const stack_top* s = pool_->take(16384);
    ASSERT_NE(s, nullptr);
    EXPECT_TRUE(s->guarded);
    EXPECT_FALSE(readable(s->low));
}

TEST_F(stack_pool_test, guards_and_tops_are_recognised_and_nothing_else) {
    std::vector<stack_top*> all;
    for (int i = 0; i < 20; ++i) all.push_back(pool_->take(i % 2 == 0 ? 16384 : 81920));
    for (const stack_top* s : all) {
        ASSERT_NE(s, nullptr);
        EXPECT_EQ(pool_->guard_hit(s->low), s);
        EXPECT_EQ(pool_->guard_hit(s->low + page - 1), s);
        EXPECT_EQ(pool_->guard_hit(s->low + page), nullptr);
        EXPECT_EQ(pool_->guard_hit(s), nullptr);
        EXPECT_TRUE(pool_->owns(s));
        EXPECT_FALSE(pool_->owns(s - 1));
    }
    const int local = 0;
    EXPECT_EQ(pool_->guard_hit(&local), nullptr);
    EXPECT_EQ(pool_->guard_hit(nullptr), nullptr);
    EXPECT_FALSE(pool_->owns(nullptr));
}

}  // namespace
