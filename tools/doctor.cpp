// SPDX-License-Identifier: BSL-1.0
// `weft doctor`: the findings as a table. Its exit status is the answer to "do user-level threads work here?".

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "command_line.hpp"
#include "failure.hpp"
#include "findings.hpp"
#include "table.hpp"

namespace weft::tools {
namespace {

constexpr const char* footer = R"(
good      nothing to do
fallback  works another way: the last column says which, and what to change
low       works up to a limit: the last column says how to raise it
missing   user-level threads cannot run; programs keep running in model 1:1

Exit status: 0 user-level threads work here, 1 only 1:1, 2 wrong usage.)";

constexpr std::size_t narrowest_advice = 40;

const char* name_of(verdict state) {
  switch (state) {
    case verdict::good: return "good";
    case verdict::fallback: return "fallback";
    case verdict::low: return "low";
    case verdict::missing: return "missing";
  }
  return "";
}

std::size_t terminal_width() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 120;
}

std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
  std::vector<std::string> lines{""};
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > width) lines.emplace_back();
    lines.back() += (lines.back().empty() ? "" : " ") + word;
  }
  return lines;
}

void print_table(const findings& all) {
  table shown({{"what"}, {"found"}, {"verdict"}, {"what happens instead, what to change"}});
  std::size_t left = 8 + 6;  // the verdict and the gaps
  std::size_t what = 0;
  std::size_t found = 0;
  for (const finding& each : all) {
    what = std::max(what, each.what.size());
    found = std::max(found, each.found.size());
  }
  left += what + found;
  const std::size_t width = std::max(narrowest_advice, terminal_width() - std::min(terminal_width(), left));
  for (const finding& each : all) {
    const std::vector<std::string> advice = wrapped(each.advice, width);
    shown.add_row({each.what, each.found, name_of(each.state), advice.front()});
    for (std::size_t i = 1; i < advice.size(); ++i) shown.add_row({"", "", "", advice[i]});
  }
  fmt::print("{}\n", shown.text());
}

nlohmann::ordered_json to_json(const findings& all, bool works) {
  nlohmann::ordered_json result{{"user_level_threads", works}, {"findings", nlohmann::ordered_json::array()}};
  for (const finding& each : all) {
    result["findings"].push_back(
        {{"what", each.what}, {"found", each.found}, {"verdict", name_of(each.state)}, {"advice", each.advice}});
  }
  return result;
}

}  // namespace

int doctor_command(const arguments& words) {
  const auto parser = make_parser("doctor", "Shows what the engine needs, what this machine has, and what to change.",
                                  "weft doctor [--json]");
  parser->footer(footer);
  bool json = false;
  parser->add_flag("--json", json, "print the findings as JSON");
  if (!parse(*parser, words, program_words::none)) return exit_ok;

  findings all;
  probe_processor(all);
  probe_kernel(all);
  probe_glibc(all);
  probe_limits(all);
  probe_memory(all);
  probe_engine(all);
  const bool works = std::none_of(all.begin(), all.end(),
                                  [](const finding& each) { return each.state == verdict::missing; });
  if (json) {
    fmt::print("{}\n", to_json(all, works).dump(2));
  } else {
    print_table(all);
    fmt::print("{}\n", works ? "User-level threads work here (models m:n and n:1)."
                             : "Only model 1:1 works here: the rows marked \"missing\" say why.");
  }
  return works ? exit_ok : exit_failed;
}

}  // namespace weft::tools
