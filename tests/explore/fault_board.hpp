// SPDX-License-Identifier: BSL-1.0
//
// The switch board behind weft::engine::fault(): in explorer builds a test plants one fault, and a step of a protocol is left out. A test that
// plants a fault expects the explorer to find the mistake, which proves that the search is wide enough to mean something.
#pragma once

#include <string>

namespace weft::engine::explore {

/// Plants a fault for as long as it lives.
class planted_fault {
public:
    explicit planted_fault(const std::string& name);
    ~planted_fault();
    planted_fault(const planted_fault&) = delete;
    planted_fault& operator=(const planted_fault&) = delete;
    /// Did the code under test ask for it? A fault that nobody asks for proves nothing.
    [[nodiscard]] bool asked() const noexcept;
};

}  // namespace weft::engine::explore
