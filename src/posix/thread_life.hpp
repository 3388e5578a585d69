// SPDX-License-Identifier: BSL-1.0
// From pthread_create to the return of the stack: how a thread's memory is built, how it begins and how it ends.
#pragma once
#include "posix/user_thread.hpp"

namespace weft::engine::posix {

/// What a new thread shall be like.
struct thread_request {
  void* (*start)(void*) = nullptr;
  void* argument = nullptr;
  std::size_t stack_bytes = 0;  ///< 0: the default.
  std::size_t guard_bytes = 4096;  ///< As the program asked; 0: it wants none.
  void* own_stack = nullptr;    ///< The program's memory, lowest address; then stack_bytes is its size.
  const scheduling* own = nullptr;  ///< What it shall have for itself of the kernel's scheduling.
  std::uint64_t signal_mask = 0;
  bool mask_given = false;      ///< Otherwise the creator's.
  bool detached = false;
};

/// Once, when the engine starts: learns the default sizes.
void prepare_thread_memory() noexcept;
/// The default attributes changed.
void refresh_default_attributes() noexcept;

/// Makes a thread and lets it start. 0, or EAGAIN when the system has no memory for it. Outside sections.
int create_thread(const thread_request& request, pthread_t* handle) noexcept;

/// Ends the calling thread: destructors, then no return.
[[noreturn]] void end_thread(user_thread& me) noexcept;
/// The same without destructors, as the system call `exit` ends a kernel thread. If it is the process's last thread, the
/// process ends as at once; its status is main's.
[[noreturn]] void end_thread_at_once(user_thread& me, int status) noexcept;

/// Scheduler hook: nobody stands on the thread's stack any more.
void thread_retired(thread& t) noexcept;

/// Scheduler hook: gives memory back after a crowd of threads has ended. Returns when it wants to be called again.
nanoseconds_at tidy_thread_memory(nanoseconds_at now) noexcept;

/// [section] Gives an ended thread's memory back; its handle becomes invalid.
void release_thread(user_thread& t) noexcept;

/// Runs `body` so that pthread_exit inside it comes back here; true if it did.
bool run_until_exit(void* (*body)(void*), void* argument, void** result) noexcept;

}  // namespace weft::engine::posix
