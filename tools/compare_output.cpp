// SPDX-License-Identifier: BSL-1.0
// What `weft compare` prints: the table with its notes and the sentence, or everything as JSON.

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "comparison.hpp"
#include "table.hpp"

namespace weft::tools {
namespace {

std::string number_text(unit measure, double value, double scale) {
  switch (measure) {
    case unit::seconds: return scale < 1 ? fmt::format("{:.1f}", value * 1e3) : fmt::format("{:.3f}", value);
    case unit::kibibytes: return fmt::format("{:.1f}", value / 1024);
    case unit::count: break;
  }
  return with_separators(value);
}

std::string cell(const quantity& row, const model_runs& each, double scale) {
  if (row.from_engine && !each.reported()) return "not known";
  const spread s = each.over(row.of);
  const std::string low = number_text(row.measure, s.low, scale);
  const std::string high = number_text(row.measure, s.high, scale);
  const std::string median = number_text(row.measure, s.median, scale);
  return low == high ? median : fmt::format("{} ({}–{})", median, low, high);
}

std::string row_label(const quantity& row, double scale) {
  switch (row.measure) {
    case unit::seconds: return fmt::format("{}, {}", row.label, scale < 1 ? "ms" : "s");
    case unit::kibibytes: return fmt::format("{}, MiB", row.label);
    case unit::count: break;
  }
  return std::string(row.label);
}

std::string notes(const std::vector<model_runs>& models) {
  std::string all;
  for (const model_runs& each : models) {
    if (!each.reported())
      all += fmt::format("Under {} the program ended without reporting (a signal, _exit or exec): its counts are not "
                         "known.\n", each.model);
    if (each.ran_as() != each.model)
      all += fmt::format("{} ran as {} here; `weft doctor` says why.\n", each.model, each.ran_as());
  }
  return all;
}

nlohmann::ordered_json summary_json(const model_runs& each) {
  nlohmann::ordered_json all;
  for (const quantity& row : quantities()) {
    if (row.from_engine && !each.reported()) continue;
    const spread s = each.over(row.of);
    all[std::string(row.json_name)] = {{"median", s.median}, {"min", s.low}, {"max", s.high}};
  }
  return all;
}

nlohmann::ordered_json run_json(const measured_run& run) {
  nlohmann::ordered_json all;
  for (const quantity& row : quantities()) {
    if (!row.from_engine || run.engine.processes > 0) all[std::string(row.json_name)] = row.of(run);
  }
  return all;
}

}  // namespace

std::string comparison_table(const std::vector<model_runs>& models) {
  std::vector<table::column> columns{{fmt::format("median (min–max) of {}", models[0].runs.size()), align::left}};
  for (const model_runs& each : models) columns.push_back({each.model, align::right});
  table shown(std::move(columns));
  double slowest = 0;
  for (const model_runs& each : models) slowest = std::max(slowest, each.over(quantities()[0].of).median);
  for (const quantity& row : quantities()) {
    std::vector<std::string> cells{row_label(row, slowest)};
    for (const model_runs& each : models) cells.push_back(cell(row, each, slowest));
    shown.add_row(std::move(cells));
  }
  return fmt::format("{}\n{}{}\n", shown.text(), notes(models), judge(models).sentence);
}

std::string comparison_json(const std::vector<model_runs>& models, const arguments& program) {
  nlohmann::ordered_json all{{"program", program}, {"runs", models[0].runs.size()},
                             {"models", nlohmann::ordered_json::array()}};
  for (const model_runs& each : models) {
    nlohmann::ordered_json entry{{"model", each.model}, {"ran_as", each.ran_as()}, {"summary", summary_json(each)}};
    for (const measured_run& run : each.runs) entry["runs"].push_back(run_json(run));
    all["models"].push_back(std::move(entry));
  }
  const judgement verdict = judge(models);
  all["suits"] = verdict.model;
  all["why"] = verdict.sentence;
  // A word of the program need not be UTF-8.
  return all.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace weft::tools
