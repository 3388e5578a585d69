// SPDX-License-Identifier: BSL-1.0
// The processor and kernel features that the engine would like, each tried for real.

#include <fmt/core.h>
#include <linux/io_uring.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>
#include <fstream>

#include "findings.hpp"

namespace weft::tools {
namespace {

constexpr unsigned long hwcap2_fsgsbase = 1UL << 1;
constexpr int guard_install = 102;  // MADV_GUARD_INSTALL, newer than our headers
constexpr std::uint64_t tried_slice_ns = 1'700'000;

/// The kernel's struct sched_attr, first version; <linux/sched/types.h> cannot be included beside <sched.h>.
struct scheduling {
  std::uint32_t size;
  std::uint32_t policy;
  std::uint64_t flags;
  std::int32_t nice;
  std::uint32_t priority;
  std::uint64_t runtime;
  std::uint64_t deadline;
  std::uint64_t period;
};
static_assert(sizeof(scheduling) == 48);

finding fsgsbase() {
  const bool present = (getauxval(AT_HWCAP2) & hwcap2_fsgsbase) != 0;
  if (present) return {"FSGSBASE", "usable", verdict::good, ""};
  return {"FSGSBASE", "not usable", verdict::fallback,
          "a switch between threads costs a system call more (arch_prctl); needs Linux 5.9 and a boot without nofsgsbase"};
}

finding processors() {
  cpu_set_t set;
  const int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                                : static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  return {"CPUs for this process", std::to_string(count), verdict::good, ""};
}

finding guard_advice() {
  const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* page = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return {"guard-page advice", "no memory to try it", verdict::low, "free some memory"};
  const bool works = madvise(page, size, guard_install) == 0;
  munmap(page, size);
  if (works) return {"guard-page advice", "works", verdict::good, ""};
  return {"guard-page advice", "refused", verdict::fallback,
          "guards are made by mprotect and cost two mappings a thread, so vm.max_map_count bounds the threads; "
          "needs Linux 6.13"};
}

finding io_uring() {
  io_uring_params parameters{};
  const long fd = syscall(SYS_io_uring_setup, 1, &parameters);
  const std::string instead = "io=uring is not to be had, threads wait with epoll; ";
  if (fd >= 0) {
    close(static_cast<int>(fd));
    if ((parameters.features & IORING_FEAT_LINKED_FILE) != 0) return {"io_uring", "works", verdict::good, ""};
    return {"io_uring", "too old", verdict::fallback, instead + "needs Linux 6.0"};
  }
  const int reason = errno;
  const std::string disabled = first_line("/proc/sys/kernel/io_uring_disabled");
  if (!disabled.empty() && disabled != "0")
    return {"io_uring", "disabled", verdict::fallback, instead + "sysctl kernel.io_uring_disabled=0"};
  if (reason == ENOSYS) return {"io_uring", "not in this kernel", verdict::fallback, instead + "needs Linux 6.0"};
  return {"io_uring", std::strerror(reason), verdict::fallback,
          instead + (reason == EPERM ? "a sandbox (seccomp) refuses it: allow io_uring_setup there"
                                     : "raise ulimit -n, or ulimit -l")};
}

finding membarrier() {
  const long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
  if (commands > 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0)
    return {"membarrier, private expedited", "works", verdict::good, ""};
  return {"membarrier, private expedited", "not available", verdict::fallback,
          "full fences are used instead, a few ns each; needs Linux 4.14"};
}

finding close_range_call() {
  if (syscall(SYS_close_range, UINT_MAX, UINT_MAX, 0) == 0) return {"close_range", "works", verdict::good, ""};
  return {"close_range", std::strerror(errno), verdict::fallback, "the monitor leaves its copies of descriptors one by one at start; needs Linux 5.9"};
}

/// Newer kernels take the wanted time slice of an ordinary thread in sched_runtime and report it back.
finding custom_slice() {
  scheduling before{};
  if (syscall(SYS_sched_getattr, 0, &before, sizeof before, 0) != 0)
    return {"own kernel time slice", std::strerror(errno), verdict::fallback, "the monitor may wake some ms late on a busy machine"};
  scheduling wanted = before;
  wanted.runtime = tried_slice_ns;
  scheduling after{};
  const bool set = syscall(SYS_sched_setattr, 0, &wanted, 0) == 0 &&
                   syscall(SYS_sched_getattr, 0, &after, sizeof after, 0) == 0 && after.runtime == tried_slice_ns;
  syscall(SYS_sched_setattr, 0, &before, 0);
  if (set) return {"own kernel time slice", "works", verdict::good, ""};
  return {"own kernel time slice", "not available", verdict::fallback,
          "the monitor may wake some ms late on a busy machine; needs Linux 6.12"};
}

}  // namespace

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string kernel_release() {
  utsname names{};
  uname(&names);
  return names.release;
}

void probe_processor(findings& all) {
  all.push_back(processors());
  all.push_back(fsgsbase());
}

void probe_kernel(findings& all) {
  all.push_back({"Linux", kernel_release(), verdict::good, ""});
  all.push_back(guard_advice());
  all.push_back(io_uring());
  all.push_back(membarrier());
  all.push_back(close_range_call());
  all.push_back(custom_slice());
}

}  // namespace weft::tools
