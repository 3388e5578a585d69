// SPDX-License-Identifier: BSL-1.0
// The data of `weft compare`: what one run measured, what the runs of one model add up to, and the judgement on it.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "child.hpp"
#include "engine_counts.hpp"
#include "spread.hpp"

namespace weft::tools {

struct measured_run {
  child_result child;
  engine_counts engine;
};

enum class unit { seconds, count, kibibytes };

/// One row of the table: what it is called and where a run keeps it.
struct quantity {
  std::string_view label;
  std::string_view json_name;
  unit measure;
  bool from_engine;  ///< known only when the program's processes reported
  double (*of)(const measured_run&);
};

[[nodiscard]] const std::vector<quantity>& quantities();

/// All runs under one model.
struct model_runs {
  std::string model;
  std::vector<measured_run> runs;

  [[nodiscard]] spread over(const std::function<double(const measured_run&)>& value) const;
  [[nodiscard]] bool reported() const;      ///< every run has counts of the engine
  [[nodiscard]] std::string ran_as() const; ///< the model the library chose; differs after a fallback
};

struct judgement {
  std::string model;     ///< that suits the program
  std::string sentence;  ///< and why, from the numbers
};

/// Which model suits the program. Never claims more than the spreads carry.
[[nodiscard]] judgement judge(const std::vector<model_runs>& models);

/// What the command prints. All models have equally many runs, at least one.
[[nodiscard]] std::string comparison_table(const std::vector<model_runs>& models);
[[nodiscard]] std::string comparison_json(const std::vector<model_runs>& models, const arguments& program);

}  // namespace weft::tools
