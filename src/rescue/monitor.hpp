// SPDX-License-Identifier: BSL-1.0
// The monitor: one kernel thread that watches the carriers from outside. It never runs threads, never allocates, never
// takes a libc lock: everything it waits for might depend on a thread that only it can rescue.
//
// What it does, and when
//   rescue    a slot's switch count stands still while work waits, and the kernel says that its carrier is blocked:
//             the slot goes to another carrier (slot_claim).
//   preempt   the same, but the carrier burns its CPU: it is asked by signal, after its slice, or sooner when what waits
//             has just been woken. Never a carrier that slept since the last look: it may sit in a system call, and
//             several of those return EINTR in spite of SA_RESTART.
//   share     work waits behind a running thread while a slot is free: the work is offered, a carrier woken.
//   time      fires timers when no idle carrier keeps the time.
//   tidy      lets the face give memory back after a crowd, a bit at a time.
//   events    sends a sleeping carrier to look for events when none watches. (It has no descriptors of its own to do so.)
// While nothing waits it dozes: no periodic wake-up. tell_monitor() ends that.
#pragma once
#include <cstdint>

#include "core/scheduler.hpp"

namespace weft::engine {

class monitor {
 public:
  explicit monitor(scheduler& s) noexcept : scheduler_(s) {}

  /// The body of the monitor's kernel thread. Blocks all signals, leaves the descriptor table; never returns.
  [[noreturn]] void run() noexcept;
  /// One look at everything; run() calls it, and tests do. `now` is os::now(). Returns true while something waits.
  bool look(nanoseconds_at now) noexcept;

 private:
  struct watch {
    std::uint64_t switches = 0, slices = 0;
    nanoseconds_at switched_at = 0, slice_at = 0;  ///< When we first saw those counts.
    std::uint64_t voluntary = 0;                   ///< The carrier's voluntary switches, as sampled ...
    std::uint64_t voluntary_for = 0;               ///< ... at this switch count (+1) ...
    nanoseconds_at sampled_at = 0;                 ///< ... and time.
    std::uint64_t paced_switches = 0;              ///< As seen by judge_pace.
  };

  void judge_pace(nanoseconds_at now) noexcept;
  bool look_at_slot(slot& s, watch& w, nanoseconds_at now) noexcept;
  static bool inside(const slot& s, const carrier& c, const watch& w) noexcept;
  bool begin_taking(const slot& s, carrier& c) noexcept;
  bool finish_taking(const slot& s, carrier& c, bool carrier_is_inside) noexcept;
  bool give_taken(slot& s) noexcept;
  void share_newest(slot& s, carrier& c, const watch& w) noexcept;
  bool rescue(slot& s, carrier& c, const watch& w) noexcept;
  void consider_preemption(slot& s, carrier& c, watch& w, nanoseconds_at now) noexcept;
  void look_at_strays() noexcept;
  bool burns_cpu(std::int32_t tid, std::uint64_t& voluntary, std::uint64_t& voluntary_for, nanoseconds_at& sampled_at,
                 std::uint64_t switches, nanoseconds_at now) noexcept;
  void tidy(nanoseconds_at now) noexcept;
  nanoseconds_at ask_whether_quiet(nanoseconds_at now) noexcept;
  void sleep_until(nanoseconds_at end, bool doze) noexcept;
  void complain_about_cap() noexcept;

  scheduler& scheduler_;
  watch watches_[scheduler::most_slots];
  nanoseconds interval_ = 0;
  nanoseconds_at waited_at_ = 0;
  nanoseconds_at tidy_at_ = never;
  nanoseconds_at paced_at_ = 0;
  std::uint32_t next_stray_ = 0;
  bool acted_ = false;
  bool complained_ = false;
};

}  // namespace weft::engine
