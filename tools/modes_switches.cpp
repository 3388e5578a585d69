// SPDX-License-Identifier: BSL-1.0
// Steps between two flows of control: two stacks in one kernel thread by the engine's own switch, and two kernel
// threads that wake each other by futex, on one CPU and on two.

#include <dlfcn.h>
#include <fmt/core.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <thread>

#include "arch/context.hpp"
#include "arch/thread_pointer.hpp"
#include "transitions.hpp"

namespace weft::tools {
namespace {

constexpr int samples = 31;
constexpr int switches = 20'000;
constexpr int kernel_samples = 15;
constexpr int kernel_switches = 400;
constexpr std::size_t partner_stack_bytes = 64 * 1024;
constexpr unsigned long hwcap2_fsgsbase = 1UL << 1;

/// Two contexts that hand control to each other; zero thread pointers leave the register alone.
struct pair {
  engine::arch::context caller;
  engine::arch::context partner;
  std::uintptr_t caller_thread_pointer = 0;
  std::uintptr_t partner_thread_pointer = 0;
};

void hand_back_forever(void* argument) {
  auto* both = static_cast<pair*>(argument);
  for (;;) engine::arch::switch_context(both->partner, both->caller, both->caller_thread_pointer);
}

spread measure_pair(std::uintptr_t own, std::uintptr_t other) {
  std::vector<std::byte> stack(partner_stack_bytes);
  pair both{.caller = {}, .partner = {}, .caller_thread_pointer = own, .partner_thread_pointer = other};
  both.partner = engine::arch::make_context(stack.data() + stack.size(), hand_back_forever, &both);
  return measure(samples, 2 * switches, [&both] {
    for (int i = 0; i < switches; ++i)
      engine::arch::switch_context(both.caller, both.partner, both.partner_thread_pointer);
  });
}

/// A block of glibc's thread-local storage for the partner, with what compiled code reads of it.
class tls_block {
 public:
  tls_block() {
    using offsets = engine::arch::tcb_offsets;
    auto* allocate = std::bit_cast<void* (*)(void*)>(dlsym(RTLD_DEFAULT, "_dl_allocate_tls"));
    if (allocate != nullptr) block_ = static_cast<std::byte*>(allocate(nullptr));
    if (block_ == nullptr) return;
    const auto* mine = std::bit_cast<const std::byte*>(engine::arch::thread_pointer());
    std::memcpy(block_ + offsets::tcb, &block_, sizeof block_);
    std::memcpy(block_ + offsets::self, &block_, sizeof block_);
    for (const std::size_t guard : {offsets::stack_guard, offsets::pointer_guard})
      std::memcpy(block_ + guard, mine + guard, sizeof(std::uintptr_t));
  }
  ~tls_block() {
    auto* deallocate = std::bit_cast<void (*)(void*, bool)>(dlsym(RTLD_DEFAULT, "_dl_deallocate_tls"));
    if (block_ != nullptr && deallocate != nullptr) deallocate(block_, true);
  }
  tls_block(const tls_block&) = delete;
  tls_block& operator=(const tls_block&) = delete;
  [[nodiscard]] std::uintptr_t thread_pointer() const noexcept { return std::bit_cast<std::uintptr_t>(block_); }

 private:
  std::byte* block_ = nullptr;
};

transition switch_with_own_tls() {
  transition row{"user-level switch, own TLS", "user_switch_own_tls", "the engine's switch, with wrfsbase"};
  if ((getauxval(AT_HWCAP2) & hwcap2_fsgsbase) == 0) {
    row.how = "not measured: no FSGSBASE here";
    return row;
  }
  const tls_block partner;
  if (partner.thread_pointer() == 0) row.how = "not measured: glibc gives no TLS block";
  else row.ns = measure_pair(engine::arch::thread_pointer(), partner.thread_pointer());
  return row;
}

void futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) {
  syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
}

/// A word whose value says whose turn it is; who gives the turn away wakes the other.
class ping_pong {
 public:
  void play(std::uint32_t me, int turns) {
    for (int i = 0; i < turns; ++i) {
      while (turn_.load() != me) futex(turn_, FUTEX_WAIT, 1 - me);
      turn_.store(1 - me);
      futex(turn_, FUTEX_WAKE, 1);
    }
  }

 private:
  std::atomic<std::uint32_t> turn_{0};
};

bool pin(int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(cpu), &one);
  return sched_setaffinity(0, sizeof one, &one) == 0;
}

std::vector<int> usable_cpus() {
  std::vector<int> cpus;
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) cpus.push_back(cpu);
  }
  return cpus;
}

/// ns per switch between two kernel threads pinned to these CPUs; nothing when they cannot be pinned.
std::optional<spread> measure_ping_pong(int cpu_a, int cpu_b) {
  constexpr int batches = kernel_samples + 1;  // measure() runs one more to warm up
  ping_pong game;
  std::atomic<bool> pinned{true};
  std::optional<spread> result;
  std::thread first([&] {
    if (!pin(cpu_a)) pinned = false;
    result = measure(kernel_samples, kernel_switches, [&] { game.play(0, kernel_switches / 2); });
  });
  std::thread second([&] {
    if (!pin(cpu_b)) pinned = false;
    for (int i = 0; i < batches; ++i) game.play(1, kernel_switches / 2);
  });
  first.join();
  second.join();
  return pinned ? result : std::nullopt;
}

void measure_kernel_switches(transitions& all) {
  const std::vector<int> cpus = usable_cpus();
  transition same{"kernel-thread switch, one CPU", "kernel_switch_same_cpu", "futex ping-pong, both pinned to it"};
  transition across{"kernel-thread switch, two CPUs", "kernel_switch_across_cpus", "futex ping-pong, one on each"};
  if (!cpus.empty()) same.ns = measure_ping_pong(cpus[0], cpus[0]);
  if (!same.ns) same.how = "not measured: threads cannot be pinned here";
  if (cpus.size() >= 2) across.ns = measure_ping_pong(cpus[0], cpus[1]);
  if (!across.ns)
    across.how = cpus.size() < 2 ? "not measured: only one CPU here" : "not measured: threads cannot be pinned here";
  all.push_back(same);
  all.push_back(across);
}

}  // namespace

void measure_switches(transitions& all) {
  all.push_back({"user-level switch, shared TLS", "user_switch_shared_tls", "the engine's switch between two stacks",
                 measure_pair(0, 0)});
  all.push_back(switch_with_own_tls());
  measure_kernel_switches(all);
}

}  // namespace weft::tools
