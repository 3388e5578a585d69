// SPDX-License-Identifier: BSL-1.0
// How a program's pthread_mutex_t is laid out for us, and what a condition variable does with the one it is given.
#pragma once
#include <pthread.h>

#include <cstddef>

#include "sync/mutex.hpp"

namespace weft::engine::posix {

struct mutex_data {
  sync::mutex_word word;
  unsigned count;
  int owner;  ///< The owner's thread id, as libc counts them; 0: free (or about to be).
  unsigned robust_low;   ///< Of robust mutexes: two halves of a link and a state (posix/robust).
  int kind;
  unsigned robust_high;
  sync::wait_list list;
};
static_assert(sizeof(mutex_data) == sizeof(pthread_mutex_t));
static_assert(offsetof(mutex_data, kind) == offsetof(__pthread_mutex_s, __kind));
static_assert(offsetof(mutex_data, owner) == offsetof(__pthread_mutex_s, __owner));

inline mutex_data& data_of(pthread_mutex_t* m) noexcept { return *reinterpret_cast<mutex_data*>(m); }

[[nodiscard]] bool mutex_of_libc(const pthread_mutex_t* m) noexcept;
/// Of libc's: does the kernel know its owner by the kernel thread?
[[nodiscard]] bool mutex_needs_kernel_thread(const pthread_mutex_t* m) noexcept;
/// May the caller wait on a condition with it? (Some kinds must be its own.)
[[nodiscard]] bool may_wait_with(const pthread_mutex_t* mutex) noexcept;
/// [section] Unlocks wholly, however often it is held; returns the count for reacquire_after_wait.
unsigned release_for_wait(pthread_mutex_t* mutex) noexcept;
/// Outside sections. What a lock of it returned: 0, or EOWNERDEAD or ENOTRECOVERABLE of a robust one.
int reacquire_after_wait(pthread_mutex_t* mutex, unsigned count) noexcept;

}  // namespace weft::engine::posix
