// SPDX-License-Identifier: BSL-1.0
// What the preload library reports of a run through `stats-file`: one JSON line per process, added up here.
#pragma once

#include <string>

namespace weft::tools {

struct engine_counts {
  int processes = 0;  ///< that reported; 0: the program ended without exit handlers (a signal, _exit)
  std::string model;  ///< in which the process with the most threads really ran
  double threads_created = 0;
  double switches = 0;
  double preemptions = 0;
  double rescues = 0;
  double kernel_threads_most = 0;  ///< in the process that had most
};

/// A file of our own in TMPDIR, gone when this goes.
class stats_file {
 public:
  /// Errors: failure with exit_failed.
  stats_file();
  ~stats_file();
  stats_file(const stats_file&) = delete;
  stats_file& operator=(const stats_file&) = delete;

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// Adds up the lines. A line cut short by a dying process is left out.
  [[nodiscard]] engine_counts read() const;

 private:
  std::string path_;
};

}  // namespace weft::tools
