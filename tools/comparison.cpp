// SPDX-License-Identifier: BSL-1.0
// The rows of the comparison in the order in which people ask: how long, at what cost, by what means.

#include "comparison.hpp"

#include <algorithm>

namespace weft::tools {

const std::vector<quantity>& quantities() {
  using run = const measured_run&;
  static const std::vector<quantity> rows{
      {"wall time", "wall_seconds", unit::seconds, false, [](run r) { return r.child.wall_seconds; }},
      {"user time", "user_seconds", unit::seconds, false, [](run r) { return r.child.user_seconds; }},
      {"system time", "system_seconds", unit::seconds, false, [](run r) { return r.child.system_seconds; }},
      {"kernel switches, voluntary", "voluntary_switches", unit::count, false,
       [](run r) { return r.child.voluntary_switches; }},
      {"kernel switches, involuntary", "involuntary_switches", unit::count, false,
       [](run r) { return r.child.involuntary_switches; }},
      {"user-level switches", "user_level_switches", unit::count, true, [](run r) { return r.engine.switches; }},
      {"rescues", "rescues", unit::count, true, [](run r) { return r.engine.rescues; }},
      {"kernel threads at peak", "kernel_threads_most", unit::count, true,
       [](run r) { return r.engine.kernel_threads_most; }},
      {"threads created", "threads_created", unit::count, true, [](run r) { return r.engine.threads_created; }},
      {"peak memory", "peak_memory_kib", unit::kibibytes, false, [](run r) { return r.child.peak_memory_kib; }},
  };
  return rows;
}

spread model_runs::over(const std::function<double(const measured_run&)>& value) const {
  std::vector<double> samples;
  for (const measured_run& run : runs) samples.push_back(value(run));
  return spread_of(std::move(samples));
}

bool model_runs::reported() const {
  return std::all_of(runs.begin(), runs.end(), [](const measured_run& run) { return run.engine.processes > 0; });
}

std::string model_runs::ran_as() const {
  for (const measured_run& run : runs) {
    if (!run.engine.model.empty() && run.engine.model != model) return run.engine.model;
  }
  return model;
}

}  // namespace weft::tools
