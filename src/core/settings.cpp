// SPDX-License-Identifier: BSL-1.0
#include "core/settings.hpp"

#include <sched.h>

#include "os/features.hpp"
#include "os/limits.hpp"

namespace weft::engine {

namespace {

std::uint32_t usable_cpus() noexcept {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  const int n = CPU_COUNT(&set);
  return n < 1 ? 1 : static_cast<std::uint32_t>(n);
}

std::uint32_t most_carriers(const options& chosen) noexcept {
  std::uint32_t n = chosen.carriers;
  if (n == 0) {
    n = 16384;  // half of the usual pid_max: the rest of the machine wants threads, too
    if (const std::uint32_t room = os::kernel_thread_room() / 2; room < n) n = room;
  }
  return n < chosen.parallelism + 2 ? chosen.parallelism + 2 : n;
}

}  // namespace

void apply_forced_fallbacks(const options& chosen) noexcept {
  using choice = options::guard_choice;
  if (!chosen.fsgsbase) os::machine.fsgsbase = false;
  if (!chosen.membarrier) os::machine.global_barrier = false;
  if (chosen.guard == choice::protect) os::machine.guard = os::guard_method::protect;
  if (chosen.guard == choice::none) os::machine.guard = os::guard_method::none;
}

scheduler_options settle(options& chosen) noexcept {
  if (chosen.threads == model::many_to_one) chosen.parallelism = 1;
  if (chosen.parallelism == 0) chosen.parallelism = usable_cpus();
  return {.parallelism = chosen.parallelism, .most_carriers = most_carriers(chosen), .slice = chosen.slice_ms * millisecond};
}

}  // namespace weft::engine
