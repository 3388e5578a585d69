// SPDX-License-Identifier: BSL-1.0
// Threads of both kinds, by running this program again: with the preload library its pthreads are user-level
// threads, without it they are the kernel's. The loops in the child are the same.

#include <fmt/core.h>

#include <cstdlib>
#include <map>
#include <sstream>

#include "child.hpp"
#include "engine_counts.hpp"
#include "failure.hpp"
#include "preload.hpp"
#include "transitions.hpp"

namespace weft::tools {
namespace {

constexpr double seconds_allowed = 20;

struct thread_costs {
  std::map<std::string, std::vector<double>> samples;  ///< by the name that measure-threads prints
  std::string trouble;                                 ///< why there are none
};

thread_costs run_loops(const std::string& operations, const std::function<void()>& prepare) {
  const interrupts stop;
  const child_result result = run_child({.path = own_executable(),
                                         .words = {"weft", "measure-threads", operations},
                                         .prepare = prepare,
                                         .output = child_output::keep,
                                         .seconds_allowed = seconds_allowed},
                                        stop);
  thread_costs costs;
  if (!result.succeeded()) {
    costs.trouble = result.ending();
    return costs;
  }
  std::istringstream lines(result.output);
  std::string name;
  for (double ns = 0; lines >> name >> ns;) costs.samples[name].push_back(ns);
  return costs;
}

thread_costs kernel_threads() {
  return run_loops("100", [] {
    unsetenv("LD_PRELOAD");
    unsetenv("WEFT_OPTIONS");
  });
}

thread_costs user_level_threads() {
  try {
    const std::string library = preload_library();
    const stats_file stats;
    engine_settings settings;
    settings.set("model", "m:n");
    settings.set("parallelism", "1");
    settings.set("stats-file", stats.path());
    thread_costs costs = run_loops("2000", [&] { prepare_environment(library, settings); });
    if (costs.trouble.empty() && stats.read().model != "m:n") {
      costs.samples.clear();
      costs.trouble = "no user-level threads here, see weft doctor";
    }
    return costs;
  } catch (const failure& problem) {
    if (problem.status() > exit_not_found) throw;  // told to stop
    return {{}, "no preload library, see weft doctor"};
  }
}

transition row_from(const thread_costs& costs, const std::string& sample, transition row) {
  const auto found = costs.samples.find(sample);
  if (found != costs.samples.end()) row.ns = summary_of(found->second);
  else row.how = fmt::format("not measured: {}", costs.trouble.empty() ? "no result" : costs.trouble);
  return row;
}

}  // namespace

void measure_threads(transitions& all) {
  const thread_costs user = user_level_threads();
  all.push_back(row_from(user, "switch", {"user-level thread: yield", "user_thread_yield",
                                          "sched_yield on the engine, one carrier"}));
  all.push_back(row_from(user, "create", {"user-level thread: create, join", "user_thread_create",
                                          "pthread_create on the engine, one carrier"}));
  all.push_back(row_from(kernel_threads(), "create", {"kernel thread: create, join", "kernel_thread_create",
                                                      "pthread_create of glibc"}));
}

}  // namespace weft::tools
