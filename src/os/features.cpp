// SPDX-License-Identifier: BSL-1.0
#include "os/features.hpp"

#include <linux/membarrier.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "os/memory.hpp"
#include "os/syscall.hpp"

namespace weft::engine::os {

constinit features machine;

namespace {
bool guard_advice_works() noexcept {
  void* page = map(page_size);
  if (page == nullptr) return false;
  const long result = raw_syscall(SYS_madvise, arg(page), page_size, advice_guard_install);
  unmap(page, page_size);
  return result == 0;
}
}  // namespace

void probe() noexcept {
  constexpr unsigned long fsgsbase_bit = 1ul << 1;  // HWCAP2_FSGSBASE
  machine.fsgsbase = (::getauxval(AT_HWCAP2) & fsgsbase_bit) != 0;
  machine.global_barrier = raw_syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
  machine.guard = guard_advice_works() ? guard_method::advice : guard_method::protect;
}

void barrier_everywhere() noexcept { raw_syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED); }

}  // namespace weft::engine::os
