// SPDX-License-Identifier: BSL-1.0
// Runs one program to its end and reports what the kernel charged it. Its output is thrown away, but the end of its
// error output is kept for the case that it fails.
#pragma once

#include <functional>
#include <string>

#include "commands.hpp"
#include "interrupts.hpp"

namespace weft::tools {

struct child_result {
  int wait_status = 0;
  double wall_seconds = 0;
  double user_seconds = 0;
  double system_seconds = 0;
  double voluntary_switches = 0;
  double involuntary_switches = 0;
  double peak_memory_kib = 0;  ///< of the largest process of the program
  std::string output;          ///< standard output, when it was asked for
  std::string error_tail;      ///< the last lines of standard error

  [[nodiscard]] bool succeeded() const noexcept { return wait_status == 0; }
  [[nodiscard]] std::string ending() const;  ///< "exit status 3", "killed by SIGSEGV"
};

enum class child_output { discard, keep };

struct child_plan {
  std::string path;
  arguments words;                         ///< argv
  std::function<void()> prepare;           ///< in the child, before exec: the environment
  std::function<void()> tick = [] {};      ///< in the parent, about every second
  child_output output = child_output::discard;
  double seconds_allowed = 0;              ///< 0: no limit; past it the child is killed
};

/// Waits until the child has ended; what is left of its process group then is killed.
/// Errors: failure with 128 + signal when we were told to stop (the child is stopped first), exit_failed when the
/// system cannot start it.
[[nodiscard]] child_result run_child(const child_plan& plan, const interrupts& stop);

}  // namespace weft::tools
