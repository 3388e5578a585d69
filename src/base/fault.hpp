// SPDX-License-Identifier: BSL-1.0
// Planted faults: places where a test can leave out one step of a protocol, to prove that the checkers notice.
// In normal builds a fault is constant false and the compiler removes it; in explorer builds tests/explore answers.
#pragma once

namespace weft::engine {

#ifdef WEFT_EXPLORE
bool fault(const char* name) noexcept;
#else
constexpr bool fault(const char* /*name*/) noexcept { return false; }
#endif

}  // namespace weft::engine
