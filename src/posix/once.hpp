// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace weft::engine::posix {

/// In a forked child: routines that other threads were running will never end; their controls begin anew.
void once_after_fork() noexcept;

}  // namespace weft::engine::posix
