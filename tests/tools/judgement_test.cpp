// SPDX-License-Identifier: BSL-1.0
// The sentence of `weft compare` on numbers made up for it: what it must claim, and what it must not.

#include <gtest/gtest.h>

#include <initializer_list>

#include "comparison.hpp"

namespace weft::tools {
namespace {

struct shape {
  double user_seconds = 0.1;
  double kernel_switches = 10;
  double switches = 0;
  double rescues = 0;
  double kernel_threads = 3;
  std::string ran_as{};
};

model_runs runs_of(const std::string& model, std::initializer_list<double> walls, const shape& look) {
  model_runs all{model, {}};
  for (const double wall : walls) {
    measured_run run;
    run.child.wall_seconds = wall;
    run.child.user_seconds = look.user_seconds;
    run.child.voluntary_switches = look.kernel_switches;
    run.engine.processes = 1;
    run.engine.model = look.ran_as.empty() ? model : look.ran_as;
    run.engine.switches = look.switches;
    run.engine.rescues = look.rescues;
    run.engine.kernel_threads_most = look.kernel_threads;
    all.runs.push_back(run);
  }
  return all;
}

void expect_says(const judgement& verdict, const std::string& fragment) {
  EXPECT_NE(verdict.sentence.find(fragment), std::string::npos) << verdict.sentence;
}

TEST(judgement, kernel_threads_win_when_the_spreads_overlap) {
  const auto verdict = judge({runs_of("m:n", {0.9, 1.0, 1.1}, {}), runs_of("1:1", {1.0, 1.1, 1.2}, {})});
  EXPECT_EQ(verdict.model, "1:1");
  expect_says(verdict, "within the noise");
}

TEST(judgement, a_clear_difference_too_small_to_matter_changes_nothing) {
  const auto verdict = judge({runs_of("m:n", {1.000, 1.001, 1.002}, {}), runs_of("1:1", {1.010, 1.011, 1.012}, {})});
  EXPECT_EQ(verdict.model, "1:1");
  expect_says(verdict, "too little to matter");
}

TEST(judgement, a_clear_win_names_the_numbers_and_the_reason) {
  const auto verdict = judge({runs_of("m:n", {0.9, 1.0, 1.1}, {.kernel_switches = 500, .switches = 90000}),
                              runs_of("1:1", {2.9, 3.0, 3.1}, {.kernel_switches = 80000, .kernel_threads = 2001})});
  EXPECT_EQ(verdict.model, "m:n");
  expect_says(verdict, "1 s against 3 s under 1:1");
  expect_says(verdict, "3.0 times less");
  expect_says(verdict, "90,000 times in user space and only 500 times in the kernel (80,000 under 1:1)");
}

TEST(judgement, two_runs_need_a_large_difference) {
  EXPECT_EQ(judge({runs_of("m:n", {1.0, 1.0}, {}), runs_of("1:1", {1.1, 1.1}, {})}).model, "1:1");
  EXPECT_EQ(judge({runs_of("m:n", {1.0, 1.0}, {}), runs_of("1:1", {1.5, 1.5}, {})}).model, "m:n");
}

TEST(judgement, many_rescues_explain_why_kernel_threads_win) {
  const auto verdict = judge({runs_of("m:n", {2.0, 2.1, 2.2}, {.switches = 100, .rescues = 4321}),
                              runs_of("1:1", {1.0, 1.1, 1.2}, {})});
  EXPECT_EQ(verdict.model, "1:1");
  expect_says(verdict, "block in the kernel 4,321 times");
}

TEST(judgement, of_two_that_beat_kernel_threads_the_equal_one_is_mentioned) {
  const auto verdict = judge({runs_of("m:n", {0.9, 1.0, 1.1}, {}), runs_of("n:1", {1.0, 1.05, 1.2}, {}),
                              runs_of("1:1", {2.9, 3.0, 3.1}, {})});
  EXPECT_EQ(verdict.model, "m:n");
  expect_says(verdict, "n:1 is as fast within the noise");
}

TEST(judgement, a_tie_in_wall_time_still_tells_of_processor_time) {
  const auto verdict = judge({runs_of("m:n", {0.9, 1.0, 1.1}, {.user_seconds = 0.2}),
                              runs_of("1:1", {1.0, 1.05, 1.1}, {.user_seconds = 0.8})});
  EXPECT_EQ(verdict.model, "1:1");
  expect_says(verdict, "m:n needs 4.0 times less processor time, though");
}

TEST(judgement, without_threads_or_rivals_there_is_nothing_to_judge) {
  expect_says(judge({runs_of("m:n", {1.0, 1.0, 1.0}, {}), runs_of("1:1", {1.2, 1.2, 1.2}, {.kernel_threads = 1})}),
              "starts no threads");
  expect_says(judge({runs_of("n:1", {1.0}, {})}), "Only n:1 was run");
  expect_says(judge({runs_of("m:n", {1.0}, {.ran_as = "1:1"}), runs_of("1:1", {2.0}, {})}), "Every model ran as 1:1");
}

TEST(judgement, without_kernel_threads_in_the_list_the_others_are_judged) {
  EXPECT_EQ(judge({runs_of("m:n", {2.0, 2.1, 2.2}, {}), runs_of("n:1", {1.0, 1.1, 1.2}, {})}).model, "n:1");
  const auto tie = judge({runs_of("m:n", {1.0, 1.1, 1.2}, {}), runs_of("n:1", {1.0, 1.15, 1.2}, {})});
  EXPECT_EQ(tie.model, "m:n");
  expect_says(tie, "no model is clearly faster");
}

TEST(spread, takes_the_middle_and_the_shares) {
  const spread all = spread_of({3, 1, 2, 5, 4});
  EXPECT_EQ(all.median, 3);
  EXPECT_EQ(all.low, 1);
  EXPECT_EQ(all.high, 5);
  const spread inner = spread_of({0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100}, 0.1, 0.9);
  EXPECT_EQ(inner.low, 10);
  EXPECT_EQ(inner.high, 90);
}

}  // namespace
}  // namespace weft::tools
