// SPDX-License-Identifier: BSL-1.0
// Finds the program as a shell would and asks, before it starts, whether a preloaded library can reach it: the
// loader ignores preloading silently for static, setuid and foreign programs, and the user would never know.
#pragma once

#include <string>

namespace weft::tools {

/// Path of the file that `name` means: itself when it has a slash, else the first match in PATH.
/// Errors: failure with exit_not_found or exit_cannot_run.
[[nodiscard]] std::string find_program(const std::string& name);

/// Returns when a library can be preloaded into the program at `path` (for a script: into its interpreter).
/// Errors: failure with exit_not_found or exit_cannot_run, saying why and what to do.
void check_preloadable(const std::string& path);

}  // namespace weft::tools
