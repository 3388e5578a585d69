// SPDX-License-Identifier: BSL-1.0
// The commands of the tool, one per source file of the same name. Each takes the words after its own name and
// returns the exit status; trouble is thrown as tools::failure.
#pragma once

#include <string>
#include <vector>

namespace weft::tools {

using arguments = std::vector<std::string>;

int run_command(const arguments& words);
int compare_command(const arguments& words);
int doctor_command(const arguments& words);
int modes_command(const arguments& words);

/// Hidden: runs inside a copy of the tool that has the preload library, for `modes` and `doctor`.
int measure_threads_command(const arguments& words);

}  // namespace weft::tools
