// SPDX-License-Identifier: BSL-1.0
// What `weft doctor` looks at. Each probe tries the thing itself where it can: a version number says what a kernel
// should do, a system call says what this sandbox lets it do.
#pragma once

#include <string>
#include <vector>

namespace weft::tools {

enum class verdict {
  good,      ///< nothing to do
  fallback,  ///< works another way; the advice says which and at what price
  low,       ///< works until a limit is met; the advice says how to raise it
  missing,   ///< user-level threads cannot run without it
};

struct finding {
  std::string what;
  std::string found;
  verdict state = verdict::good;
  std::string advice;  ///< what happens instead, and what to change; empty when good
};

using findings = std::vector<finding>;

void probe_processor(findings& all);
void probe_kernel(findings& all);
void probe_glibc(findings& all);
void probe_limits(findings& all);
void probe_memory(findings& all);
/// Runs threads on the engine, in a child. Adds one finding; it decides whether user-level threads work here.
void probe_engine(findings& all);

/// First line of a small file such as those in /proc/sys; empty when there is none.
[[nodiscard]] std::string first_line(const std::string& path);

/// As `uname -r` prints it.
[[nodiscard]] std::string kernel_release();

}  // namespace weft::tools
