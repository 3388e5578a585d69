// SPDX-License-Identifier: BSL-1.0
// What happens when the engine finds its own invariants broken: one line on stderr, then abort. Trouble from outside
// never comes here; it is a value (an errno code or a fallback).
// Callable from any context, signal handlers included: no allocation, no libc lock.
#pragma once

namespace weft::engine {

[[noreturn]] void invariant_broken(const char* what, const char* file, int line) noexcept;

}  // namespace weft::engine

/// Checks an invariant of the engine in every build; use it where the cost is lost in the noise.
#define WEFT_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) : ::weft::engine::invariant_broken(#condition, __FILE__, __LINE__))
