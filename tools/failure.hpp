// SPDX-License-Identifier: BSL-1.0
// How a command of the tool gives up: one line for the user and the exit status that goes with it.
// Thrown, because a failure deep in a helper always ends the whole command; main() is the only catcher.
#pragma once

#include <stdexcept>
#include <string>

namespace weft::tools {

/// Exit statuses, as shells use them.
enum exit_status : int {
  exit_ok = 0,
  exit_failed = 1,
  exit_usage = 2,
  exit_cannot_run = 126,
  exit_not_found = 127,
  exit_interrupted = 130,
};

/// Ends the command: main() prints "weft COMMAND: what()" on stderr and exits with status().
class failure : public std::runtime_error {
 public:
  failure(exit_status status, const std::string& line) : std::runtime_error(line), status_(status) {}
  [[nodiscard]] exit_status status() const noexcept { return status_; }

 private:
  exit_status status_;
};

}  // namespace weft::tools
