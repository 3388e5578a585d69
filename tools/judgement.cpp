// SPDX-License-Identifier: BSL-1.0
// The sentence under the table of `weft compare`. Its rules:
// J1  A difference counts only when the spreads do not overlap; with one or two runs, only when it is large.
// J2  1:1 wins every tie: it is what the program does without us, and the easiest to reason about.
// J3  The reason named must be visible in the table.

#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "comparison.hpp"
#include "table.hpp"

namespace weft::tools {
namespace {

constexpr std::size_t runs_for_a_spread = 3;
constexpr double factor_without_spread = 1.2;
constexpr double least_factor = 1.02;      ///< below this nobody should change anything, however clear it is
constexpr double notable_cpu_factor = 1.2;

double wall(const measured_run& run) { return run.child.wall_seconds; }
double processor(const measured_run& run) { return run.child.user_seconds + run.child.system_seconds; }
double rescues(const measured_run& run) { return run.engine.rescues; }
double switches(const measured_run& run) { return run.engine.switches; }
double blocking(const measured_run& run) { return run.child.voluntary_switches; }
double kernel_threads(const measured_run& run) { return run.engine.kernel_threads_most; }

using value_of_run = double (*)(const measured_run&);

bool clearly_less(const model_runs& a, const model_runs& b, value_of_run value, double factor) {
  const spread small = a.over(value);
  const spread large = b.over(value);
  if (std::min(a.runs.size(), b.runs.size()) < runs_for_a_spread)
    return large.median > small.median * std::max(factor, factor_without_spread);
  return small.high < large.low && large.median > small.median * factor;
}

std::string seconds_text(double seconds) {
  return seconds < 1 ? fmt::format("{:.3g} ms", seconds * 1e3) : fmt::format("{:.3g} s", seconds);
}

/// "23 % less" or "2.3 times less".
std::string by_how_much(double small, double large) {
  const double factor = small > 0 ? large / small : 0;
  return factor >= 2 || factor == 0 ? fmt::format("{:.1f} times less", factor)
                                    : fmt::format("{:.0f} % less", 100 * (1 - small / large));
}

const model_runs& fastest(const std::vector<model_runs>& models) {
  return *std::min_element(models.begin(), models.end(), [](const model_runs& a, const model_runs& b) {
    return a.over(wall).median < b.over(wall).median;
  });
}

const model_runs* find(const std::vector<model_runs>& models, const std::string& name) {
  for (const model_runs& each : models) {
    if (each.model == name) return &each;
  }
  return nullptr;
}

/// Rescues that matter: as many as a timer would make, or more than one for every second switch.
std::string rescue_clause(const model_runs& runs) {
  const double count = runs.over(rescues).median;
  if (count < 10 || count < 10 * runs.over(wall).median) return "";
  return fmt::format("under {} its threads block in the kernel {} times in calls that weft does not replace, and "
                     "each time another kernel thread has to take over", runs.model, with_separators(count));
}

/// Why `winner` beats `loser`, as far as the table shows it.
std::string reason(const model_runs& winner, const model_runs& loser) {
  const double kernel_before = loser.over(blocking).median;
  const double kernel_now = winner.over(blocking).median;
  const double threads_before = loser.over(kernel_threads).median;
  const double threads_now = winner.over(kernel_threads).median;
  if (winner.over(switches).median > 0 && kernel_before > 2 * kernel_now)
    return fmt::format("its threads wait {} times in user space and only {} times in the kernel ({} under {})",
                       with_separators(winner.over(switches).median), with_separators(kernel_now),
                       with_separators(kernel_before), loser.model);
  if (threads_before > 2 * threads_now && threads_now > 0)
    return fmt::format("{} kernel threads do the work of {}", with_separators(threads_now),
                       with_separators(threads_before));
  if (const std::string clause = rescue_clause(loser); !clause.empty()) return clause;
  if (clearly_less(winner, loser, processor, notable_cpu_factor))
    return fmt::format("it needs {} processor time",
                       by_how_much(winner.over(processor).median, loser.over(processor).median));
  return "the counts above do not tell why";
}

/// What a reader who must pick by wall time alone would miss.
std::string processor_clause(const std::vector<model_runs>& models, const model_runs& chosen) {
  const auto frugal = std::min_element(models.begin(), models.end(), [](const model_runs& a, const model_runs& b) {
    return a.over(processor).median < b.over(processor).median;
  });
  if (frugal->model == chosen.model || !clearly_less(*frugal, chosen, processor, notable_cpu_factor)) return "";
  return fmt::format("; {} needs {} processor time, though, which counts when the machine has other work",
                     frugal->model, by_how_much(frugal->over(processor).median, chosen.over(processor).median));
}

/// No model is clearly faster than `chosen`.
judgement judge_tie(const std::vector<model_runs>& models, const model_runs& chosen, const model_runs& best) {
  const bool spreads = chosen.runs.size() >= runs_for_a_spread;
  const bool overlap = best.over(wall).high >= chosen.over(wall).low;
  std::string line = fmt::format("{} suits this program: ", chosen.model);
  if (&best != &chosen) {
    line += fmt::format("{} took {} wall time at the median, but {}", best.model,
                        by_how_much(best.over(wall).median, chosen.over(wall).median),
                        !spreads  ? "so few runs cannot show such a difference (try --runs=5)"
                        : overlap ? "that is within the noise (the spreads overlap)"
                                  : "that is too little to matter");
  } else {
    line += spreads ? "no model is clearly faster, the spreads of wall time overlap"
                    : "so few runs show no clear difference (try --runs=5)";
  }
  line += chosen.model == "1:1" ? ", and kernel threads are the simplest" : "";
  return {chosen.model, line + processor_clause(models, chosen) + "."};
}

judgement judge_winner(const std::vector<model_runs>& models, const model_runs& best) {
  const model_runs* rival = nullptr;
  std::string equals;
  for (const model_runs& each : models) {
    if (&each == &best) continue;
    if (!clearly_less(best, each, wall, least_factor)) equals += fmt::format("; {} is as fast within the noise", each.model);
    else if (rival == nullptr || each.model == "1:1") rival = &each;
  }
  const double now = best.over(wall).median;
  const double before = rival->over(wall).median;
  std::string why = best.model == "1:1" ? rescue_clause(*rival) : reason(best, *rival);
  if (why.empty()) why = reason(best, *rival);
  return {best.model, fmt::format("{} suits this program: {} against {} under {} ({}), because {}{}{}.", best.model,
                                  seconds_text(now), seconds_text(before), rival->model, by_how_much(now, before), why,
                                  equals, processor_clause(models, best))};
}

std::optional<judgement> judge_special(const std::vector<model_runs>& models) {
  const model_runs* kernel = find(models, "1:1");
  if (models.size() == 1)
    return judgement{models[0].model, fmt::format("Only {} was run, so there is nothing to compare.", models[0].model)};
  const auto fell_back = [](const model_runs& each) { return each.model == "1:1" || each.ran_as() == "1:1"; };
  if (std::all_of(models.begin(), models.end(), fell_back))
    return judgement{"1:1", "Every model ran as 1:1 here, so the columns are the same thing measured again "
                            "(`weft doctor` says what is missing)."};
  if (kernel != nullptr && kernel->reported() && kernel->over(kernel_threads).high <= 1)
    return judgement{"1:1", "1:1 suits this program: it starts no threads, so the model makes no difference."};
  return std::nullopt;
}

}  // namespace

judgement judge(const std::vector<model_runs>& models) {
  if (auto special = judge_special(models)) return *special;
  const model_runs& best = fastest(models);
  const model_runs* kernel = find(models, "1:1");
  if (kernel != nullptr && !clearly_less(best, *kernel, wall, least_factor)) {
    const bool anyone_slower = std::any_of(models.begin(), models.end(), [&](const model_runs& each) {
      return clearly_less(best, each, wall, least_factor);
    });
    if (&best == kernel && anyone_slower) return judge_winner(models, best);
    return judge_tie(models, *kernel, best);
  }
  const bool someone_slower = std::any_of(models.begin(), models.end(), [&](const model_runs& each) {
    return clearly_less(best, each, wall, least_factor);
  });
  return someone_slower ? judge_winner(models, best) : judge_tie(models, best, best);
}

}  // namespace weft::tools
