// SPDX-License-Identifier: BSL-1.0
#include "base/spinlock.hpp"
#include "os/syscall.hpp"

namespace weft::engine {

void give_cpu_away() noexcept { os::raw_syscall(SYS_sched_yield); }

}  // namespace weft::engine
