// SPDX-License-Identifier: BSL-1.0
// From what a user chose (options.hpp) to what the engine is started with, for both faces.
#pragma once
#include "core/options.hpp"
#include "core/scheduler.hpp"

namespace weft::engine {

/// After os::probe: forgets what the options say is to be missing.
void apply_forced_fallbacks(const options& chosen) noexcept;

/// Fills in what was left open, in `chosen` the parallelism. A few system calls.
[[nodiscard]] scheduler_options settle(options& chosen) noexcept;

}  // namespace weft::engine
