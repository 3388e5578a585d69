// SPDX-License-Identifier: BSL-1.0
// Counts add up over the processes of a program; peaks do not, because processes need not live at the same time.

#include "engine_counts.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "failure.hpp"

namespace weft::tools {
namespace {

std::string temporary_directory() {
  const char* chosen = std::getenv("TMPDIR");
  // A comma would end the value inside WEFT_OPTIONS.
  return chosen == nullptr || *chosen != '/' || std::strchr(chosen, ',') != nullptr ? "/tmp" : chosen;
}

double number(const nlohmann::json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number() ? found->get<double>() : 0;
}

}  // namespace

stats_file::stats_file() : path_(temporary_directory() + "/weft-stats-XXXXXX") {
  const int fd = mkostemp(path_.data(), 0);
  if (fd < 0)
    throw failure(exit_failed, fmt::format("cannot create {}: {}; set TMPDIR to a directory that can be written",
                                           path_, std::strerror(errno)));
  close(fd);
}

stats_file::~stats_file() { unlink(path_.c_str()); }

engine_counts stats_file::read() const {
  engine_counts sum;
  double most_threads = -1;
  std::ifstream file(path_);
  for (std::string text; std::getline(file, text);) {
    const nlohmann::json line = nlohmann::json::parse(text, nullptr, false);
    if (!line.is_object()) continue;
    ++sum.processes;
    sum.threads_created += number(line, "threads_created");
    sum.switches += number(line, "switches");
    sum.preemptions += number(line, "preemptions");
    sum.rescues += number(line, "rescues");
    sum.kernel_threads_most = std::max(sum.kernel_threads_most, number(line, "kernel_threads_most"));
    if (number(line, "threads_created") > most_threads) {
      most_threads = number(line, "threads_created");
      sum.model = line.value("model", "");
    }
  }
  return sum;
}

}  // namespace weft::tools
