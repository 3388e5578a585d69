// SPDX-License-Identifier: BSL-1.0
// `weft compare`: the same program under each model, interleaved (A B C A B C ...) so that a machine that slows down
// or speeds up meanwhile does so for all of them alike.

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "command_line.hpp"
#include "comparison.hpp"
#include "engine_settings.hpp"
#include "failure.hpp"
#include "preload.hpp"
#include "program.hpp"

namespace weft::tools {
namespace {

constexpr int default_runs = 5;
constexpr int most_runs = 1000;

constexpr const char* footer = R"(
PROGRAM's input is empty and its output is discarded; a run that fails ends the comparison, status 1,
with the last lines of its error output. Progress goes to standard error, the table to standard output.

Examples:
  weft compare -- ./server-and-clients 2000
  weft compare --runs=9 --models=m:n,1:1 -- python3 script.py
  weft compare --json -- sh -c './filter < data')";

/// The line on standard error that says how far we are: rewritten on a terminal, one line a run elsewhere.
class progress {
 public:
  explicit progress(std::size_t total) : total_(total), terminal_(isatty(STDERR_FILENO) == 1) {}
  ~progress() { clear(); }
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;

  void start_run(const std::string& model) {
    model_ = model;
    ++run_;
    if (terminal_) draw();
    else fmt::print(stderr, "weft compare: run {} of {} ({})\n", run_, total_, model_);
  }
  void tick() const {
    if (terminal_) draw();
  }
  void clear() const {
    if (terminal_) fmt::print(stderr, "\r\033[K");
  }

 private:
  void draw() const {
    const auto so_far = std::chrono::steady_clock::now() - begin_;
    fmt::print(stderr, "\r\033[Kweft compare: run {} of {} ({}), {} s so far", run_, total_, model_,
               std::chrono::duration_cast<std::chrono::seconds>(so_far).count());
  }

  std::size_t total_;
  std::size_t run_ = 0;
  bool terminal_;
  std::string model_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

struct comparison_plan {
  std::string library;
  std::string path;
  arguments words;
  engine_settings settings;
  std::vector<std::string> models;
  int runs = default_runs;
};

measured_run run_once(const comparison_plan& plan, const std::string& model, const interrupts& stop,
                      const progress& shown) {
  const stats_file stats;
  engine_settings settings = plan.settings;
  settings.set("model", model);
  if (model == "n:1") settings.drop("parallelism");  // it is one there by definition, and the library insists
  settings.set("stats-file", stats.path());
  measured_run run;
  run.child = run_child({.path = plan.path,
                         .words = plan.words,
                         .prepare = [&] { prepare_environment(plan.library, settings); },
                         .tick = [&] { shown.tick(); }},
                        stop);
  run.engine = stats.read();
  return run;
}

[[noreturn]] void report_failure(const measured_run& run, const std::string& model, std::size_t number) {
  fmt::print(stderr, "weft compare: run {} under {} failed: {}\n", number, model, run.child.ending());
  const std::string& tail = run.child.error_tail;
  std::size_t start = tail.size();
  for (int lines = 0; lines < 11 && start != std::string::npos && start > 0; ++lines) start = tail.rfind('\n', start - 1);
  const std::string shown = start == std::string::npos || start == 0 ? tail : tail.substr(start + 1);
  if (!shown.empty()) fmt::print(stderr, "{}{}", shown, shown.ends_with('\n') ? "" : "\n");
  throw failure(exit_failed, "the comparison ends here: a program that fails cannot be compared");
}

std::vector<model_runs> run_all(const comparison_plan& plan) {
  std::vector<model_runs> models;
  for (const std::string& name : plan.models) models.push_back({name, {}});
  const interrupts stop;
  progress shown(models.size() * static_cast<std::size_t>(plan.runs));
  for (int round = 0; round < plan.runs; ++round) {
    for (model_runs& each : models) {
      shown.start_run(each.model);
      each.runs.push_back(run_once(plan, each.model, stop, shown));
      if (each.runs.back().child.succeeded()) continue;
      shown.clear();
      report_failure(each.runs.back(), each.model, each.runs.size());
    }
  }
  return models;
}

int parse_runs(const std::string& text) {
  int runs = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), runs);
  if (error != std::errc{} || end != text.data() + text.size() || runs < 1 || runs > most_runs)
    throw failure(exit_usage, fmt::format("--runs={} is refused: give a number from 1 to {}", text, most_runs));
  return runs;
}

std::vector<std::string> parse_models(std::string text) {
  std::vector<std::string> models;
  const std::string typed = text;
  for (text += ','; !text.empty(); text.erase(0, text.find(',') + 1)) {
    const std::string model = text.substr(0, text.find(','));
    if (model != "m:n" && model != "n:1" && model != "1:1")
      throw failure(exit_usage, fmt::format("--models={}: \"{}\" is no model; give some of m:n,n:1,1:1", typed, model));
    if (std::find(models.begin(), models.end(), model) != models.end())
      throw failure(exit_usage, fmt::format("--models={} names {} twice", typed, model));
    models.push_back(model);
  }
  return models;
}

}  // namespace

int compare_command(const arguments& words) {
  const auto parser = make_parser("compare", "Runs a program under each threading model and says which suits it.",
                                  "weft compare [options] [--] PROGRAM [ARG...]");
  parser->footer(footer);
  std::string models = "m:n,n:1,1:1";
  std::string runs = std::to_string(default_runs);
  bool json = false;
  parser->add_option("--models", models, "which models, in which order (default: m:n,n:1,1:1)")->type_name("LIST");
  parser->add_option("--runs", runs, "runs under each model, 1 to 1000 (default: 5)")->type_name("N");
  parser->add_flag("--json", json, "print every run and the summary as JSON");
  engine_options options;
  options.add_tuning(*parser);
  const auto program = parse(*parser, words, program_words::required);
  if (!program) return exit_ok;

  comparison_plan plan;
  plan.runs = parse_runs(runs);
  plan.models = parse_models(models);
  plan.settings = engine_settings::from_environment();
  options.apply(plan.settings);
  plan.settings.drop("model");  // --models decides, whatever the environment says
  plan.settings.check();
  plan.words = *program;
  plan.path = find_program(program->front());
  check_preloadable(plan.path);
  plan.library = preload_library();

  const std::vector<model_runs> measured = run_all(plan);
  fmt::print("{}", json ? comparison_json(measured, plan.words) : comparison_table(measured));
  return exit_ok;
}

}  // namespace weft::tools
