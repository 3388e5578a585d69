// SPDX-License-Identifier: BSL-1.0
//
// The two sentences that protocol tests are made of: "no schedule breaks this" and "with this fault planted, some schedule does".
#pragma once

#include "explore/explorer.hpp"
#include "explore/fault_board.hpp"

#include <functional>
#include <gtest/gtest.h>
#include <string>

namespace weft::engine::explore {

using body = std::function<void(scenario&)>;

/// Random schedules, then depth first with two deviations as far as `exhaustive_runs` go.
inline void expect_sound(const body& b, std::size_t random_runs = 20000, std::size_t exhaustive_runs = 100000) {
    const report random = search({.name = "random", .runs = random_runs}, b);
    ASSERT_FALSE(random.failed) << random.text;
    const report full = search({.name = "exhaustive", .search = how::exhaustive, .runs = exhaustive_runs}, b);
    ASSERT_FALSE(full.failed) << full.text;
}

/// The body itself is broken on purpose.
inline void expect_found(const body& b, std::size_t runs = 20000) {
    const report random = search({.name = "broken on purpose", .runs = runs}, b);
    EXPECT_TRUE(random.failed) << "the mistake was not found in " << random.schedules << " schedules";
}

/// The engine is broken on purpose by one of its planted faults.
inline void expect_fault_found(const std::string& fault, const body& b, std::size_t runs = 20000) {
    const planted_fault planted(fault);
    const report random = search({.name = fault, .runs = runs}, b);
    EXPECT_TRUE(planted.asked()) << "no code asks for the fault " << fault;
    EXPECT_TRUE(random.failed) << "the fault " << fault << " was not found in " << random.schedules << " schedules";
}

}  // namespace weft::engine::explore
