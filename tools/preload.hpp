// SPDX-License-Identifier: BSL-1.0
// Where the preload library is, and the two environment variables through which it reaches a program.
#pragma once

#include <string>

#include "engine_settings.hpp"

namespace weft::tools {

/// Absolute path of this executable.
[[nodiscard]] std::string own_executable();

/// Absolute path of libweft-preload.so: DIR/lib/ beside the tool's directory DIR, then DIR/../lib/.
/// Errors: failure with exit_failed.
[[nodiscard]] std::string preload_library();

/// Sets LD_PRELOAD (ours first, what was there stays) and WEFT_OPTIONS in this process' environment, so that
/// whatever is executed next, and what that starts in turn, runs on the engine.
void prepare_environment(const std::string& library, const engine_settings& settings);

}  // namespace weft::tools
