// SPDX-License-Identifier: BSL-1.0
// The scheduler: slots, carriers and the switch between threads. Everything that blocks goes through park() and wake();
// everything that runs goes through switch_away().
//
// A thread switches directly to the next one of its slot; only when the slot is dry does it switch to its carrier's
// loop, which searches, steals and sleeps. What must be done for the thread left behind (after_switch) is done by
// whoever comes next, standing on the next stack: so no lock is held over a switch and no stack is used twice.
//
// Parts: switch.cpp (switch, park, yield), ready.cpp (wake-ups and whom to tell), loop.cpp (the carrier's loop),
// carriers.cpp (making them), timers.cpp.
// Context rule: functions marked [section] may only be called inside an engine section (core/section.hpp).
#pragma once
#include <cstdint>

#include "core/carrier.hpp"
#include "core/event_source.hpp"
#include "core/global_queue.hpp"
#include "core/idle_set.hpp"
#include "core/order.hpp"
#include "core/slot.hpp"
#include "core/thread.hpp"
#include "os/fence.hpp"

namespace weft::engine {

struct scheduler_options {
  std::uint32_t parallelism = 1;
  std::uint32_t most_carriers = 16;
  nanoseconds slice = 10 * millisecond;
  engine::order* order = nullptr;  ///< Null: work stealing.
};

/// What the faces plug in. Called on the scheduler's own stack or on the next thread's: may not block or allocate.
struct scheduler_hooks {
  void (*retired)(thread&) = nullptr;          ///< Nobody stands on the thread's stack any more.
  void (*arrived)() = nullptr;                 ///< A signal came to a sleeping carrier: find a thread for it.
  void (*signals)(thread&) = nullptr;          ///< pending_work::signals was set: deliver. Outside sections.
  void (*settle)(thread&) = nullptr;           ///< pending_work::settle was set. Null: that only ends waits.
  exception_state* (*exceptions)() = nullptr;  ///< The calling kernel thread's, in static thread-local storage.
  std::uint64_t (*idle_mask)() = nullptr;      ///< What a sleeping carrier shall block.
  nanoseconds_at (*tidy)(nanoseconds_at now) = nullptr;  ///< On the monitor: gives memory back. Returns when it wants to go on.
  /// On the monitor, about to doze: every slot is idle, and no timer and no event is waited for. Returns when to ask again.
  nanoseconds_at (*quiet)(nanoseconds_at now) = nullptr;
};

class scheduler {
 public:
  static constexpr std::uint32_t most_slots = 1024;

  /// Makes `main`, which runs now, the first thread: the calling kernel thread becomes its carrier, holding a slot.
  /// Returns 0 or an errno code (ENOMEM), then nothing has changed. Once per process (again in a forked child).
  int start(thread& main, const scheduler_options& options, const scheduler_hooks& hooks) noexcept;
  /// The same without a first thread, beside a scheduler that runs: the first carrier sleeps until there is work.
  int start_beside(const scheduler_options& options, const scheduler_hooks& hooks) noexcept;
  /// Sets a virtual time to its beginning. While there are no threads.
  void begin_virtual_time() noexcept;
  /// In a forked child: forgets every thread but `me`, the caller, and every carrier but one made anew for it.
  int start_again_in_child(thread& me) noexcept;

  // -- the waist --

  /// [section] Waits until somebody claims ticket `t` of `me` or the deadline passes. Switches.
  wake_reason park(thread& me, ticket t, nanoseconds_at deadline = never) noexcept;
  /// [section] Makes a thread ready that the caller has claimed (claim_result::parked), whichever scheduler is its home. Never waits.
  void make_ready(thread& t) noexcept;
  /// [section] claim and make_ready in one. True if this wake-up is the one that counts.
  bool wake(thread& t, ticket ticket, wake_reason why) noexcept;

  /// [section] Lets others of the same slot run first. False if there was nobody.
  bool yield(thread& me) noexcept;
  /// [section] Leaves `me` for ever; hooks.retired follows on the next stack. `successor`: claimed and to run at once.
  [[noreturn]] void retire(thread& me, thread* successor) noexcept;
  /// [section] A new thread, behind all that its slot has to run. Its context must be ready.
  void start_thread(thread& t) noexcept;

  /// [section] The thread is about to block in the kernel and says so: its slot goes to others at once, without waiting for
  /// the monitor. It keeps its carrier; its next section gets it a slot again. Cost: two locks when nothing waits.
  void hand_off(thread& me) noexcept;
  /// [section] `me` keeps its carrier for itself and becomes a kernel thread like those that Weft did not make: it waits by
  /// futex and is not preempted. The caller has set `bound` in the carrier. When it retires, the kernel thread ends.
  void bind(thread& me) noexcept;
  /// [section] What the rank of `t` comes from has changed (core/order.hpp). If it is a running one's, it may have to yield.
  void rank_changed(thread& t) noexcept { global_.changed(t); }
  /// [section] The slot was taken away while the thread was blocked: gets another, possibly on another carrier.
  void regain_slot(thread& me) noexcept;
  /// First thing that runs on the stack of a thread that is resumed or new: finishes what its predecessor left.
  void finish_switch(thread& me) noexcept;

  // -- for the monitor, the preemption handler and the faces --

  /// Adds work from a context that has no slot, and wakes a sleeping carrier for it.
  void push_global(thread& t) noexcept;
  /// Gives `s`, which the caller owns, to a sleeping or new carrier. False: no carrier to be had; the slot is idle then.
  bool give_slot(slot& s) noexcept;
  /// Wakes one more carrier if there is a free slot for it.
  void wake_one_more() noexcept;
  /// Fires every deadline that is due. Threads become ready. Any context inside the engine.
  void fire_timers(nanoseconds_at now) noexcept;
  [[nodiscard]] nanoseconds_at earliest_deadline() const noexcept;
  /// There is something for hooks.tidy. Rare.
  void want_tidy() noexcept {
    tidy_wanted.store(1, memory_order::relaxed);  // relaxed: ordered like work in a queue, by tell_monitor
    tell_monitor();
  }
  /// Ends the sleep of a carrier that somebody took off the list of sleepers, or the caller's own (from a signal handler).
  void rouse(carrier& c, std::uint32_t why) noexcept;
  /// Plugs in where events come from; once, whenever it is first needed.
  void set_event_source(event_source& source) noexcept;
  /// [section] The caller is about to wait for an event, or is back from it.
  void begin_event_wait() noexcept;
  void end_event_wait() noexcept;
  /// Threads wait for events, and no carrier watches for them: then the monitor sends one to look.
  [[nodiscard]] bool events_unwatched() const noexcept {
    const event_source* source = events();
    return source != nullptr && source->anybody() && !idle_.watched();
  }
  void send_somebody_to_look() noexcept;
  /// Nothing runs, and nothing is about to: no thread, no timer, no event.
  [[nodiscard]] bool is_quiet() const noexcept {
    const event_source* source = events();
    return idle_.slots() == options_.parallelism && earliest_deadline() == never && global_.empty() &&
           (source == nullptr || !source->anybody());
  }
  /// Something changed that a dozing monitor must know. Cheap when it is awake.
  void tell_monitor() noexcept {
    os::light_fence();
    // relaxed: ordered by the fence here and the heavy one in the monitor before it dozes                     [doze-1]
    if (monitor_dozes.load(memory_order::relaxed) != 0) [[unlikely]] wake_monitor();
  }

  [[nodiscard]] const scheduler_hooks& hooks() const noexcept { return hooks_; }
  [[nodiscard]] bool started() const noexcept { return slots_ != nullptr; }
  [[nodiscard]] std::uint32_t slot_count() const noexcept { return options_.parallelism; }
  slot& slot_at(std::uint32_t i) noexcept { return slots_[i]; }
  idle_set& idle() noexcept { return idle_; }
  global_queue& global() noexcept { return global_; }
  [[nodiscard]] const scheduler_options& options() const noexcept { return options_; }
  [[nodiscard]] bool ordered() const noexcept { return options_.order != nullptr; }
  /// The clock of its deadlines.
  [[nodiscard]] nanoseconds_at now() const noexcept;
  [[nodiscard]] bool time_is_virtual() const noexcept { return virtual_now_.load(memory_order::relaxed) != 0; }  // relaxed: does not change while there are threads
  [[nodiscard]] std::uint32_t carriers_made() const noexcept;
  carrier* carrier_at(std::uint32_t index) noexcept;
  [[nodiscard]] std::uint64_t switches() const noexcept;
  [[nodiscard]] std::uint32_t carriers_most() const noexcept;
  [[nodiscard]] std::uint32_t carriers_alive() const noexcept { return carriers_alive_.load(memory_order::relaxed); }  // relaxed: a statistic

  /// Futex word of the monitor and the time until which it sleeps (0: it is awake and will look; never: it dozes).
  atomic<std::uint32_t> monitor_word{0};
  atomic<nanoseconds_at> monitor_lookout{0};
  atomic<std::uint32_t> monitor_dozes{0};
  atomic<std::uint32_t> tidy_wanted{0};
  atomic<std::uint64_t> preemptions{0};
  atomic<std::uint64_t> rescues{0};
  atomic<std::uint64_t> carriers_refused{0};


 private:
  [[nodiscard]] carrier* callers_carrier() const noexcept;
  [[noreturn]] void loop(carrier& c) noexcept;
  void switch_away(thread& me, after_switch after, thread* next) noexcept;
  void finish_switch_here(thread& me) noexcept;
  void prepare_to_run(carrier& c, thread& next) noexcept;
  void resume_from_loop(carrier& c, thread& next) noexcept;
  void after(carrier& c) noexcept;
  void after_here(carrier& c) noexcept;
  thread* pick(slot& s) noexcept;
  thread* pick_for_loop(slot& s) noexcept;
  thread* pick_rotated(slot& s, rotation asked) noexcept;
  thread* pick_elsewhere_first(slot& s) noexcept;
  thread* pick_elsewhere(slot& s) noexcept;
  thread* pick_as_urgent(thread& me) noexcept;
  thread* take_global(slot& s) noexcept;
  void push_local(slot& s, thread& t) noexcept;
  void push_beyond(slot& s, thread& t) noexcept;
  void wake_monitor() noexcept;
  void push_placed(thread& t, became_ready why) noexcept;
  void push_pinned(thread& t) noexcept;
  void displace_for(std::int64_t rank) noexcept;
  bool jump_to_next_deadline() noexcept;
  int map_tables(const scheduler_options& options, const scheduler_hooks& hooks) noexcept;
  thread* find_work(carrier& c) noexcept;
  thread* search(carrier& c) noexcept;
  thread* steal(slot& mine) noexcept;
  void sleep(carrier& c) noexcept;
  void sleep_until_given(carrier& c) noexcept;
  static void be_urgent(carrier& c, bool urgent) noexcept;
  void learn_storage(carrier& c) noexcept;
  [[nodiscard]] event_source* events() const noexcept { return events_.load(memory_order::acquire); }  // [events-1]
  void poll_events() noexcept;
  void make_all_ready(ready_list& ready) noexcept;
  void adopt_idle_mask(carrier& c) noexcept;
  void commit_park(thread& left) noexcept;
  void hand(carrier& c, slot& s) noexcept;
  void arm(thread& me, ticket t, nanoseconds_at deadline) noexcept;
  void disarm(thread& me, ticket t) noexcept;
  void fire_timers_of(slot& s, nanoseconds_at now) noexcept;
  void watch_deadline(nanoseconds_at deadline) noexcept;
  carrier* make_carrier_record() noexcept;
  carrier* new_carrier(slot* s) noexcept;
  void keep_a_spare() noexcept;
  void recycle_carrier(carrier& c) noexcept;
  [[noreturn]] void end_bound(carrier& c) noexcept;
  int adopt_kernel_thread(thread& me) noexcept;
  static void loop_entry(void* c) noexcept;
  static void carrier_start(void* c) noexcept;
  static void carrier_refused(void* c) noexcept;

  scheduler_options options_;
  scheduler_hooks hooks_;
  slot* slots_ = nullptr;
  idle_set idle_;
  global_queue global_;
  alignas(64) atomic<std::uint32_t> searching_{0};
  atomic<nanoseconds_at> virtual_now_{0};  ///< 0: time is the machine's.
  atomic<event_source*> events_{nullptr};

  spinlock carriers_lock_;
  carrier* free_carriers_ = nullptr;
  atomic<std::uint32_t> carriers_made_{0};
  atomic<std::uint32_t> carriers_alive_{0};
  atomic<std::uint32_t> carriers_most_{0};
  carrier** table_ = nullptr;
};

/// Inline, as it is part of most switches.
[[gnu::always_inline]] inline void scheduler::push_local(slot& s, thread& t) noexcept {
  if (!t.placed && s.queue.push(t)) [[likely]] {
    // A thread that is moved is in no queue for a moment, and the monitor may have dozed off in just that one.
    if (!fault("doze.moves_in_silence")) tell_monitor();
  } else {
    push_beyond(s, t);
  }
}

/// The process's first scheduler: the default runtime's. Threads find theirs through their carrier; there may be others.
extern constinit scheduler the_scheduler;

}  // namespace weft::engine
