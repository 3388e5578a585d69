// SPDX-License-Identifier: BSL-1.0
// What `weft modes` measures: steps between the modes of a machine (function, thread, kernel, process), each as
// samples of ns per step. A sample is a batch long enough that reading the clock does not count.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "spread.hpp"

namespace weft::tools {

struct transition {
  std::string name;
  std::string json_name;
  std::string how;            ///< in a word; or, when nothing was measured, why not
  std::optional<spread> ns{};  ///< median and p10 to p90
};

using transitions = std::vector<transition>;

void measure_calls(transitions& all);     ///< function, vDSO, system call, page fault
void measure_switches(transitions& all);  ///< between stacks, with and without own TLS; between kernel threads
void measure_threads(transitions& all);   ///< creation and switch of both kinds of threads, in children
void measure_processes(transitions& all);

[[nodiscard]] inline spread summary_of(std::vector<double> samples) { return spread_of(std::move(samples), 0.1, 0.9); }

/// Runs batch() `samples` times (once more before, unmeasured) and divides each time by `steps`.
template <typename Batch>
[[nodiscard]] spread measure(int samples, int steps, const Batch& batch) {
  std::vector<double> all;
  batch();
  for (int i = 0; i < samples; ++i) {
    const auto start = std::chrono::steady_clock::now();
    batch();
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
    all.push_back(taken.count() / steps);
  }
  return summary_of(std::move(all));
}

}  // namespace weft::tools
