// SPDX-License-Identifier: BSL-1.0
//
// What explorer builds put in the place of engine parts that reach outside of the protocols: the fault switches, giving the CPU away, and
// the report of a broken invariant, which becomes a failed schedule.
#include "explore/fault_board.hpp"

#include "base/assert.hpp"
#include "base/fault.hpp"
#include "base/spinlock.hpp"
#include "explore/explorer.hpp"

#include <cstdlib>
#include <string>

namespace weft::engine {
namespace explore {
namespace {
std::string planted;  // empty: none
bool was_asked = false;
}  // namespace

planted_fault::planted_fault(const std::string& name) {
    planted = name;
    was_asked = false;
}
planted_fault::~planted_fault() { planted.clear(); }
bool planted_fault::asked() const noexcept { return was_asked; }

}  // namespace explore

bool fault(const char* name) noexcept {
    if (explore::planted != name) return false;
    explore::was_asked = true;
    return true;
}

void give_cpu_away() noexcept { explore::relax(); }

void invariant_broken(const char* what, const char* file, int line) noexcept {
    explore::check(false, std::string("invariant ") + what + " at " + file + ":" + std::to_string(line));
    std::abort();
}

}  // namespace weft::engine
