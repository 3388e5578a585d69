// SPDX-License-Identifier: BSL-1.0
// Kernel threads without libc: no malloc, no lists of libc's, no entry in its thread accounting. What they run may use
// only system calls and the engine's own initial-exec thread-locals.
// Where threads may borrow a kernel thread's storage, that has to be libc's own, and sanitizers must know every kernel thread: such
// builds go through pthread_create instead.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/atomic.hpp"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || defined(WEFT_BORROWED_TLS)
#define WEFT_KERNEL_THREADS_ARE_LIBCS 1
#else
#define WEFT_KERNEL_THREADS_ARE_LIBCS 0
#endif

namespace weft::engine::os {

/// Do they have a stack and thread-local storage of libc's?
inline constexpr bool kernel_threads_are_libcs = WEFT_KERNEL_THREADS_ARE_LIBCS;

/// Starts a kernel thread of this process that runs entry(argument); entry must not return, it ends by
/// end_kernel_thread(). `tid` holds its kernel id from before entry runs until the kernel is done with its stack, then
/// 0. Returns 0 or an errno code (EAGAIN at the system's limits). The signal mask is inherited. With libc's kernel threads the limit may
/// show later: then refused(argument) is called, on a kernel thread outside of the engine.
int start_kernel_thread(void (*entry)(void*), void* argument, void* stack_top, std::uintptr_t thread_pointer,
                        atomic<std::int32_t>& tid, void (*refused)(void*) = nullptr) noexcept;

[[noreturn]] void end_kernel_thread() noexcept;
/// In a forked child: whoever made kernel threads is gone.
void begin_anew_in_child() noexcept;

/// Sends a signal to one kernel thread of this process. Never waits.
void signal_kernel_thread(std::int32_t tid, int signal) noexcept;

/// The stack on which the calling kernel thread takes signals that ask for one; null: none.
void set_signal_stack(void* low, std::size_t bytes) noexcept;

[[nodiscard]] std::int32_t kernel_thread_id() noexcept;
[[nodiscard]] std::int32_t process_id() noexcept;

}  // namespace weft::engine::os
