// SPDX-License-Identifier: BSL-1.0
// A carrier: a kernel thread that runs threads. It has a small stack and a minimal thread control block of its own for
// the scheduler loop, and is made by clone() without libc: making one must not need malloc's lock, because the very
// thread that holds that lock may be the one that waits for a carrier.
// Carriers are never unmapped; one that has been idle for long ends its kernel thread and leaves its memory for reuse.
#pragma once
#include <cstdint>

#include "arch/context.hpp"
#include "base/annotate.hpp"
#include "base/atomic.hpp"
#include "base/clock.hpp"
#include "core/slot_claim.hpp"

namespace weft::engine {

class scheduler;
struct exception_state;
struct slot;
struct thread;

/// What remains to be done for the thread that a switch has just left, once nobody stands on its stack.
enum class after_switch : std::uint8_t {
  nothing,
  commit_park,     ///< It wants to park: commit, or make it ready if a wake-up came first.
  requeue,         ///< It yielded: behind the others.
  requeue_global,  ///< Its carrier lost the slot: anybody may run it.
  retire,          ///< It is over: whoever owns its memory may have it.
};

struct alignas(64) carrier {
  // What every switch touches stands first.
  slot* holding = nullptr;              ///< Meaningful while claim is held.
  slot_claim claim;
  after_switch after = after_switch::nothing;
  atomic<bool> arrived{false};          ///< A signal came in the loop or in a section; its own handlers set it.
  thread* previous = nullptr;
  std::uint64_t kernel_mask = 0;        ///< What the kernel blocks for this carrier, or mask_unknown.
  arch::context context;                ///< The scheduler loop, while a thread runs.
  std::uintptr_t thread_pointer = 0;
  scheduler* home = nullptr;
  atomic<thread*> current{nullptr};     ///< Null while the scheduler loop runs.

  atomic<std::uint32_t> wake_word{0};   ///< Futex: 0 asleep or searching, 1 woken with a slot.
  atomic<std::int32_t> tid{0};          ///< 0: its kernel thread has ended (the kernel clears it).
  bool asleep = false;                  ///< In the list of sleepers; guarded by the idle lock.
  bool urgent = false;                  ///< It has asked the kernel to run it soon after it wakes (scheduler::be_urgent).
  atomic<bool> watches{false};          ///< It sleeps inside the event source. Set when it is listed as a sleeper.
  atomic<bool> in_wait{false};          ///< It is inside the event source, or on its way.
  carrier* prev_asleep = nullptr;
  carrier* next_asleep = nullptr;
  carrier* next_free = nullptr;
  void* signal_stack = nullptr;
  std::uint32_t index = 0;

  // Of the carrier's storage, for threads that borrow it (thread_pointer 0).
  thread** shown = nullptr;               ///< The `current_thread` in it.
  exception_state* exceptions = nullptr;  ///< What the C++ runtime keeps in it; null without that.

  /// One thread has it for itself and for ever (scheduler::bind): it holds no slot, and ends with its thread.
  atomic<bool> bound{false};

  atomic<std::uint32_t> credentials{0};  ///< The last change of user or group ids that it has made (posix/credentials),
  std::uint32_t credentials_asked = 0;   ///< and the last that it was asked for.

  // The carrier's notes on CPU time (core/cpu_time).
  atomic<nanoseconds> cpu_seen{0};   ///< What the kernel last said that this kernel thread has used.
  atomic<nanoseconds> cpu_ahead{0};  ///< What threads have been given since.
  nanoseconds_at cpu_noted_at = 0;   ///< Until when switches are accounted.
  nanoseconds_at cpu_tick = 0;       ///< The coarse clock when the kernel was last asked.

  // The monitor's notes on a carrier that runs without a slot (monitor::look_at_strays).
  std::uint64_t stray_voluntary = 0, stray_voluntary_for = 0;
  std::int64_t stray_sampled_at = 0;
  [[no_unique_address]] stack_annotation stack;
};

/// Never equal to a real mask: SIGKILL cannot be blocked. The next switch then sets the kernel's mask in any case.
inline constexpr std::uint64_t mask_unknown = std::uint64_t{1} << 8;

/// The carrier whose own context runs now (null inside a thread).
extern thread_local constinit carrier* current_carrier __attribute__((tls_model("initial-exec")));

}  // namespace weft::engine
