// SPDX-License-Identifier: BSL-1.0
#include "os/kernel_thread.hpp"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "os/syscall.hpp"

extern "C" long weft_clone(unsigned long flags, void* stack_top, weft::engine::atomic<std::int32_t>* tid,
                           std::uintptr_t thread_pointer, void (*entry)(void*), void* argument) noexcept;

namespace weft::engine::os {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)

namespace {
struct start_arguments {
  void (*entry)(void*);
  void* argument;
  atomic<std::int32_t>* tid;
};
}  // namespace

int start_kernel_thread(void (*entry)(void*), void* argument, void*, std::uintptr_t,
                        atomic<std::int32_t>& tid) noexcept {
  pthread_t handle;
  auto* arguments = new start_arguments{entry, argument, &tid};
  const int error = pthread_create(
      &handle, nullptr,
      [](void* raw) -> void* {
        const start_arguments a = *static_cast<start_arguments*>(raw);
        delete static_cast<start_arguments*>(raw);
        a.tid->store(kernel_thread_id(), memory_order::relaxed);  // relaxed: test builds only ask whether it is 0
        a.entry(a.argument);
        return nullptr;
      },
      arguments);
  if (error == 0) pthread_detach(handle);
  return error;
}

#else

int start_kernel_thread(void (*entry)(void*), void* argument, void* stack_top, std::uintptr_t thread_pointer,
                        atomic<std::int32_t>& tid) noexcept {
  constexpr unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                                  CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
  const long result = weft_clone(flags, stack_top, &tid, thread_pointer, entry, argument);
  return result < 0 ? static_cast<int>(-result) : 0;
}

#endif

[[noreturn]] void end_kernel_thread() noexcept {
  for (;;) raw_syscall(SYS_exit, 0);
}

void signal_kernel_thread(std::int32_t tid, int signal) noexcept {
  raw_syscall(SYS_tgkill, raw_syscall(SYS_getpid), tid, signal);
}

void set_signal_stack(void* low, std::size_t bytes) noexcept {
  const stack_t stack{.ss_sp = low, .ss_flags = 0, .ss_size = bytes};
  raw_syscall(SYS_sigaltstack, arg(&stack), 0);
}

std::int32_t process_id() noexcept { return static_cast<std::int32_t>(raw_syscall(SYS_getpid)); }
std::int32_t kernel_thread_id() noexcept { return static_cast<std::int32_t>(raw_syscall(SYS_gettid)); }

}  // namespace weft::engine::os
