// SPDX-License-Identifier: BSL-1.0
// What the scheduler knows of a thread. The faces (posix/, later api/) derive from it and add what a user sees.
//
// I1  no_preempt is raised before engine state, the stack or the thread pointer is touched, and is not zero in any
//     thread that does not run: a signal in the middle of a switch finds it, whichever thread it takes for current.
// I2  `on` is written by the carrier that resumes the thread; it is stable only while no_preempt is raised.
// I3  Memory of a thread is never unmapped: a late waker's claim may still look at its wait word. It may have been given
//     back and read as zeros, which no ticket matches; a thread that is built there anew begins with an epoch beyond all
//     that were ever used on given-back memory (wait_word::continue_after).
#pragma once
#include <cstdint>

#include "arch/context.hpp"
#include "arch/thread_pointer.hpp"
#include "base/annotate.hpp"
#include "base/atomic.hpp"
#include "core/deadline.hpp"
#include "core/wait_word.hpp"

namespace weft::engine {

struct carrier;
class scheduler;
struct slot;

enum class thread_kind : std::uint8_t {
  foreign,  ///< A kernel thread that Weft did not make (or main before the engine starts): waits by futex.
  user,     ///< Runs on carriers, parks, is preempted.
};

/// A count that its thread alone writes and that others (the monitor) may read at any time.
class preempt_count {
 public:
  /// Returns the count before. A signal handler in between raises and lowers evenly, so no read-modify-write is needed.
  std::uint32_t raise() noexcept {
    const std::uint32_t before = count_.load(memory_order::relaxed);  // relaxed: ours; see slot_claim for the ordering
    count_.store(before + 1, memory_order::relaxed);                  // relaxed: as above
    compiler_barrier();
    return before;
  }
  /// Returns the count after.
  std::uint32_t lower() noexcept {
    compiler_barrier();
    const std::uint32_t after = count_.load(memory_order::relaxed) - 1;  // relaxed: ours
    count_.store(after, leaving);
    compiler_barrier();
    return after;
  }
  [[nodiscard]] bool raised() const noexcept { return count_.load(looking) != 0; }
  /// For a thread that begins (1: inside the engine) or whose stack was left by longjmp.
  void set(std::uint32_t value) noexcept { count_.store(value, memory_order::relaxed); }  // relaxed: ours

 private:
#if defined(__SANITIZE_THREAD__)
  // [left-1] Who finds a thread outside of the engine (the monitor, after its heavy fence) may touch what the thread left
  // there: the fence has made it visible. ThreadSanitizer knows neither membarrier nor fences, so for it we say the same
  // with release here and acquire there.
  static constexpr memory_order leaving = memory_order::release;
  static constexpr memory_order looking = memory_order::acquire;  // [left-1]
#else
  static constexpr memory_order leaving = memory_order::relaxed;  // relaxed: as in raise
  static constexpr memory_order looking = memory_order::relaxed;  // relaxed: as in raise
#endif
  atomic<std::uint32_t> count_{1};
};

/// What a signal handler leaves for the end of the engine section that it interrupted.
struct pending_work {
  static constexpr std::uint32_t preempt = 1;  ///< Somebody waits for this carrier: yield.
  static constexpr std::uint32_t signals = 2;  ///< A signal came: look whether it is for this thread (hooks.signals).
  static constexpr std::uint32_t settle = 4;   ///< Somebody wished something of this thread that it must do itself.
};

/// What the C++ runtime keeps of exceptions that are being handled: those caught, and how many are under way.
struct exception_state {
  void* caught = nullptr;
  std::uintptr_t under_way = 0;
};

struct thread {
  // What every switch touches stands first, on one cache line.
  arch::context context;
  std::uintptr_t thread_pointer = 0;  ///< 0: borrows the carrier's thread-local storage.
  carrier* on = nullptr;
  std::uint64_t signal_mask = 0;      ///< The kernel's format; the carrier adopts it when it resumes the thread.
  wait_word wait;
  preempt_count no_preempt;
  atomic<std::uint32_t> pending{0};   ///< pending_work bits; written by handlers on the thread, and by who sends it signals.
  thread* next = nullptr;             ///< Link of the one queue that holds it.
  scheduler* home = nullptr;          ///< Whose slots it runs on; set when it starts.
  thread_kind kind = thread_kind::user;
  bool placed = false;                ///< It is not to be put wherever there is room: it is pinned, or its scheduler has an order.
  std::int32_t pinned = -1;           ///< To the slot of that number.
  atomic<std::int64_t> rank{0};       ///< See core/order.hpp, whose lock guards changes.
  deadline_node* timer = nullptr;     ///< Of the last wait with a deadline; no longer its own once it has fired.
  slot* timer_slot = nullptr;         ///< The slot whose timer queue holds it.
  atomic<nanoseconds> cpu_time{0};        ///< As far as it is accounted (core/cpu_time).
  atomic<std::uint32_t> foreign_wake{0};  ///< Futex word of a foreign thread's wait: made_ready, poked.
  static constexpr std::uint32_t poked = 1;       ///< By a handler on the thread itself: there is something to look at.
  static constexpr std::uint32_t made_ready = 2;  ///< By whoever claimed the wait.
  deadline_node own_timer;            ///< For when there is no memory for another.
  exception_state exceptions;         ///< Of a thread that borrows, while it does not run.
  [[no_unique_address]] stack_annotation stack;
};

/// The thread that runs now; null on a carrier's own context and in kernel threads that never entered the engine.
/// Read through current(): the address of a thread_local must not be cached over a switch of borrowed storage.
extern thread_local constinit thread* current_thread __asm__("weft_current_thread") __attribute__((tls_model("initial-exec")));

/// May threads borrow the carrier's storage? In the library for C++ programs (fibers) and in tests: sanitizers cannot follow
/// threads with storage of their own. Not in the preloaded library.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__) || defined(WEFT_BORROWED_TLS)
inline constexpr bool threads_may_borrow = true;
inline thread* current() noexcept {
  thread* t;
  WEFT_READ_THREAD_LOCAL(t, "weft_current_thread");
  return t;
}
#else
inline constexpr bool threads_may_borrow = false;
inline thread* current() noexcept { return current_thread; }
#endif

}  // namespace weft::engine
