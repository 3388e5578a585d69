// SPDX-License-Identifier: BSL-1.0
// A pthread as Weft runs it: the core's thread, what POSIX adds, and at the very end the stack's own record, so that it
// stands at the top of its stack's mapping, above its thread block. A pthread_t is the thread pointer, as in glibc.
//
// At its end it runs its destructors, leaves the registry, and retires; the rest is sync/ending.hpp.
#pragma once
#include <pthread.h>
#include <signal.h>

#include <cstddef>
#include <cstdint>

#include "base/spinlock.hpp"
#include "core/thread.hpp"
#include "mem/stack_pool.hpp"
#include "posix/scheduling.hpp"
#include "posix/signal_inbox.hpp"
#include "sync/ending.hpp"

namespace weft::engine::posix {

/// A once routine that runs now; exceptions and pthread_exit undo it (posix/once.cpp).
struct once_in_progress {
  once_in_progress* outer;
  pthread_once_t* control;
};

struct user_thread : thread {
  void* (*start)(void*) = nullptr;
  void* argument = nullptr;
  void* result = nullptr;

  sync::ending life;
  bool alive = false;      ///< Its handle is valid: created and not yet given back.
  bool joining = false;    ///< Somebody is inside pthread_join for it; under life.lock.
  bool abandoned = false;  ///< It ended without destructors: the block must be built anew.
  bool block_built = false;
  user_thread* joins = nullptr;  ///< Whom it is joining, to detect two threads that join each other.

  user_thread* next_alive = nullptr;  ///< The registry of living threads.
  user_thread* prev_alive = nullptr;

  std::uint64_t number = 0;  ///< In order of creation, for people; main is 1.
  char name[16] = {};
  char* stack_low = nullptr;      ///< What the thread may use as its stack, for pthread_getattr_np.
  std::size_t stack_bytes = 0;
  std::size_t asked_stack_bytes = 0;  ///< What the program asked for and is told; there may be more.
  std::size_t guard_bytes = 0;    ///< As asked for.
  std::size_t wider_guard = 0;    ///< What its guard has beyond the stack's own guard page.
  stack_t signal_stack = {.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
  once_in_progress* once = nullptr;

  signal_inbox inbox;                  ///< Signals for this thread that have not been delivered.
  atomic<std::uint64_t> waits_for{0};  ///< What it takes by sigwait just now, although it blocks it.
  void* signal_frame = nullptr;        ///< The kernel's frame in which handlers may run, while it stands in one outside sections.
  std::uint64_t mask_after = 0;        ///< Inside sigsuspend: the mask when the handler has run ...
  bool has_mask_after = false;         ///< ... if this is set.
  bool listed = false;                 ///< In the registry, under its lock.
  bool handler_restarts = true;        ///< Had all the handlers that ran last SA_RESTART?
  std::uint32_t handlers_run = 0;      ///< How many handlers have run on it; tells a wait whether to return EINTR.
  std::uint32_t cancel_held = 0;  ///< Asynchronous cancellation has to wait (posix/cancel).
  spinlock own_lock;              ///< Guards `own` and `leaving`, and whether the thread is bound.
  scheduling own;                 ///< What it has for itself of the kernel's scheduling.
  void* robust_held = nullptr;    ///< The robust mutexes that it holds (posix/robust).
  bool leaving = false;           ///< Its kernel thread, if it has one, is about to end.
  bool vforked = false;           ///< A child of vfork runs in its place (posix/fork) ...
  std::uint64_t mask_before_vfork = 0;  ///< ... and this is the mask to which the parent comes back.
  bool robust_list_known = false; ///< The kernel knows its list of robust mutexes (posix/binding).

  mem::stack_top top;
};

/// The calling thread; made on first use for kernel threads that Weft did not make.
[[nodiscard]] user_thread& self() noexcept;

/// The thread with this handle, or null when it is none of ours (a kernel thread of libc's, or not a handle at all).
[[nodiscard]] user_thread* from_handle(pthread_t handle) noexcept;
[[nodiscard]] inline pthread_t handle_of(const user_thread& t) noexcept { return t.thread_pointer; }

}  // namespace weft::engine::posix
