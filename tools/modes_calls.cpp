// SPDX-License-Identifier: BSL-1.0
// Steps that one thread takes by itself: calls, the kernel and back, the first touch of a page, a new process.

#include <fmt/core.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <ctime>

#include "transitions.hpp"

namespace weft::tools {
namespace {

constexpr int samples = 31;
constexpr int calls = 100'000;
constexpr int system_calls = 10'000;
constexpr int pages = 512;
constexpr int processes = 4;

[[gnu::noinline]] void empty_function() { asm volatile(""); }

transition function_call() {
  return {"function call", "function_call", "call of an empty function", measure(samples, calls, [] {
            for (int i = 0; i < calls; ++i) empty_function();
          })};
}

transition vdso_call() {
  return {"vDSO call", "vdso_call", "clock_gettime", measure(samples, system_calls, [] {
            timespec now{};
            for (int i = 0; i < system_calls; ++i) clock_gettime(CLOCK_MONOTONIC, &now);
          })};
}

transition system_call() {
  return {"system call", "system_call", "getppid: user, kernel, user", measure(samples, system_calls, [] {
            for (int i = 0; i < system_calls; ++i) syscall(SYS_getppid);
          })};
}

transition page_fault() {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t size = page * pages;
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return {"page fault", "page_fault", "not measured: no memory"};
  madvise(memory, size, MADV_NOHUGEPAGE);
  std::vector<double> all;
  for (int i = 0; i < samples; ++i) {
    madvise(memory, size, MADV_DONTNEED);  // outside the clock: only the touch is the fault
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t offset = 0; offset < size; offset += page) static_cast<volatile char*>(memory)[offset] = 1;
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
    all.push_back(taken.count() / pages);
  }
  munmap(memory, size);
  return {"page fault", "page_fault", "first touch of a mapped page", summary_of(std::move(all))};
}

}  // namespace

void measure_calls(transitions& all) {
  all.push_back(function_call());
  all.push_back(vdso_call());
  all.push_back(system_call());
  all.push_back(page_fault());
}

void measure_processes(transitions& all) {
  transition row{"process: create, wait", "process_create", "posix_spawn of /bin/true, waitpid"};
  int failed = 0;
  const spread ns = measure(samples, processes, [&failed] {
    for (int i = 0; i < processes; ++i) {
      char name[] = "true";
      char* argv[] = {name, nullptr};
      char* environment[] = {nullptr};  // nothing is preloaded into it
      pid_t child = 0;
      if (const int error = posix_spawn(&child, "/bin/true", nullptr, nullptr, argv, environment)) failed = error;
      else waitpid(child, nullptr, 0);
    }
  });
  if (failed == 0) row.ns = ns;
  else row.how = fmt::format("not measured: posix_spawn of /bin/true: {}", std::strerror(failed));
  all.push_back(row);
}

}  // namespace weft::tools
