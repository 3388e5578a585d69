// SPDX-License-Identifier: BSL-1.0
// `weft modes`: what each transition costs on this machine, now, on one logarithmic scale. The picture explains why
// user-level threads exist: they stand near the function call, kernel threads near the process.

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "command_line.hpp"
#include "failure.hpp"
#include "table.hpp"
#include "transitions.hpp"

namespace weft::tools {
namespace {

constexpr const char* footer = R"(
Takes a few seconds. The machine's other work shows in the spread: p10 to p90 are the limits between which
four out of five samples lie.

Exit status: 0; a row that cannot be measured here says why. 2 wrong usage.)";

constexpr double blocks_per_decade = 5;

/// One block at 1 ns, five more for each factor of ten.
std::string bar(double ns) {
  const double length = 1 + std::max(0.0, std::log10(ns) * blocks_per_decade);
  std::string all;
  for (int i = 0; i < static_cast<int>(std::lround(length)); ++i) all += "█";
  return all;
}

std::string ns_text(double ns) { return ns < 100 ? fmt::format("{:.1f}", ns) : with_separators(ns); }

void print_table(const transitions& all) {
  table shown({{"transition"}, {"ns", align::right}, {"p10–p90", align::right}, {"log scale"}, {"how measured"}});
  for (const transition& row : all) {
    if (row.ns)
      shown.add_row({row.name, ns_text(row.ns->median), ns_text(row.ns->low) + "–" + ns_text(row.ns->high),
                     bar(row.ns->median), row.how});
    else
      shown.add_row({row.name, "-", "-", "", row.how});
  }
  fmt::print("{}\nMedian ns of one step; five blocks of the bar are a factor of ten.\n", shown.text());
}

nlohmann::ordered_json to_json(const transitions& all) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const transition& row : all) {
    nlohmann::ordered_json one{{"name", row.json_name}, {"transition", row.name}, {"how", row.how}};
    if (row.ns) one["ns"] = {{"median", row.ns->median}, {"p10", row.ns->low}, {"p90", row.ns->high}};
    else one["ns"] = nullptr;
    rows.push_back(std::move(one));
  }
  return {{"transitions", std::move(rows)}};
}

}  // namespace

int modes_command(const arguments& words) {
  const auto parser = make_parser("modes", "Measures what transitions between threads, kernel and processes cost here.",
                                  "weft modes [--json]");
  parser->footer(footer);
  bool json = false;
  parser->add_flag("--json", json, "print the measurements as JSON");
  if (!parse(*parser, words, program_words::none)) return exit_ok;

  transitions all;
  measure_calls(all);
  measure_switches(all);
  measure_threads(all);
  measure_processes(all);
  // From the cheapest to the dearest, what could not be measured last: the order is half of the message.
  std::stable_sort(all.begin(), all.end(), [](const transition& a, const transition& b) {
    return a.ns && (!b.ns || a.ns->median < b.ns->median);
  });
  if (json) fmt::print("{}\n", to_json(all).dump(2));
  else print_table(all);
  return exit_ok;
}

}  // namespace weft::tools
