// SPDX-License-Identifier: BSL-1.0
#include "rescue/monitor.hpp"

#include "base/fault.hpp"
#include "base/text.hpp"
#include "os/clock.hpp"
#include "os/fence.hpp"
#include "os/futex.hpp"
#include "os/kernel_thread.hpp"
#include "os/signal_mask.hpp"
#include "os/task.hpp"

namespace weft::engine {

namespace {
constexpr nanoseconds shortest_interval = 50 * microsecond;
constexpr nanoseconds longest_interval = 1 * millisecond;
/// For so long after work last waited the monitor stays awake, so that telling it costs nothing in busy times.
constexpr nanoseconds linger = 20 * millisecond;
/// A thread that has run for so long gives way to one that was woken by somebody else.
constexpr nanoseconds displaceable_after = 1 * millisecond;
/// If slots switch less often than this, a sleeping carrier waits for events although no slot is idle.
constexpr std::uint64_t brisk_switches_per_millisecond = 32;
/// Two samples at least so far apart tell whether a carrier slept in between.
constexpr nanoseconds sample_distance = 500 * microsecond;
constexpr std::uint32_t strays_per_look = 16;
}  // namespace

void monitor::run() noexcept {
  os::set_signal_mask(~std::uint64_t{0});
  os::leave_descriptor_table();
  os::become_punctual();
  interval_ = shortest_interval;
  for (;;) {
    const nanoseconds_at now = os::now();
    acted_ = false;
    const bool waiting = look(now);
    if (waiting) waited_at_ = now;
    tidy(now);
    if (acted_) {
      interval_ = shortest_interval;
    } else {
      interval_ = interval_ * 2 < longest_interval ? interval_ * 2 : longest_interval;
    }
    const bool doze = !waiting && now - waited_at_ > linger;
    if (doze) {
      const nanoseconds_at ask_at = ask_whether_quiet(now);
      sleep_until(ask_at < tidy_at_ ? ask_at : tidy_at_, true);
    } else {
      sleep_until(tidy_at_ < now + interval_ ? tidy_at_ : now + interval_, false);
    }
    if (doze) interval_ = shortest_interval;
  }
}

/// Nobody tells a dozing monitor that the last thread has parked, so it looks now and then. Returns when.
nanoseconds_at monitor::ask_whether_quiet(nanoseconds_at now) noexcept {
  if (scheduler_.hooks().quiet == nullptr) return never;
  return scheduler_.is_quiet() ? scheduler_.hooks().quiet(now) : now + second;
}

void monitor::tidy(nanoseconds_at now) noexcept {
  if (scheduler_.tidy_wanted.load(memory_order::relaxed) != 0) {  // relaxed: seen at the next look, or before the doze
    scheduler_.tidy_wanted.store(0, memory_order::relaxed);       // relaxed: as above
    if (now < tidy_at_) tidy_at_ = now;
  }
  if (now >= tidy_at_) tidy_at_ = scheduler_.hooks().tidy(now);
}

void monitor::sleep_until(nanoseconds_at end, bool doze) noexcept {
  if (doze) {
    scheduler_.monitor_dozes.store(1, memory_order::relaxed);  // relaxed: the heavy fence orders
    os::heavy_fence();  // [doze-1] pushers look at monitor_dozes after their push; we look at the queues after this
    bool waiting = !scheduler_.global().empty() || (scheduler_.events_unwatched() && !fault("doze.over_events")) ||
                   scheduler_.tidy_wanted.load(memory_order::relaxed) != 0;  // relaxed: as above
    for (std::uint32_t i = 0; i < scheduler_.slot_count() && !waiting; ++i) waiting = scheduler_.slot_at(i).has_work();
    if (waiting && !fault("doze.no_second_look")) {
      scheduler_.monitor_dozes.store(0, memory_order::relaxed);  // relaxed: we are awake
      return;
    }
  }
  // Timers are ours only when no idle carrier looks in time.                                          [lookout-1]
  const auto bound = [&] {
    const nanoseconds_at deadline = scheduler_.earliest_deadline();
    return deadline < scheduler_.idle().lookout() && deadline < end ? deadline : end;
  };
  nanoseconds_at until = bound();
  scheduler_.monitor_lookout.store(until, memory_order::seq_cst);  // [lookout-1] publish, then look once more
  if (bound() >= until)
    os::futex_wait(scheduler_.monitor_word, 0, until == never ? -1 : until);
  scheduler_.monitor_lookout.store(0, memory_order::seq_cst);  // [lookout-1] awake: we shall look
  scheduler_.monitor_word.store(0, memory_order::relaxed);     // relaxed: only a hint to return early
  scheduler_.monitor_dozes.store(0, memory_order::relaxed);    // relaxed: as above
}

bool monitor::look(nanoseconds_at now) noexcept {
  if (const nanoseconds_at deadline = scheduler_.earliest_deadline();
      deadline <= now && (scheduler_.idle().lookout() > deadline || now - deadline > millisecond)) {
    scheduler_.fire_timers(now);
    acted_ = true;
  }
  const bool unwatched = scheduler_.events_unwatched() && !fault("doze.over_events");
  if (unwatched) scheduler_.send_somebody_to_look();
  bool waiting = !scheduler_.global().empty();
  if (waiting && scheduler_.idle().slots() != 0) scheduler_.wake_one_more();
  for (std::uint32_t i = 0; i < scheduler_.slot_count(); ++i)
    waiting |= look_at_slot(scheduler_.slot_at(i), watches_[i], now);
  if (waiting) look_at_strays();
  judge_pace(now);
  return waiting || unwatched;
}

/// Carriers that switch often look for events themselves, sooner and at less cost than one that is woken for each.
void monitor::judge_pace(nanoseconds_at now) noexcept {
  if (now - paced_at_ < sample_distance) return;
  bool brisk = false;
  for (std::uint32_t i = 0; i < scheduler_.slot_count(); ++i) {
    watch& w = watches_[i];
    brisk |= (w.switches - w.paced_switches) * millisecond >= brisk_switches_per_millisecond * static_cast<std::uint64_t>(now - paced_at_);
    w.paced_switches = w.switches;
  }
  paced_at_ = now;
  scheduler_.idle().watch_in_any_case(!brisk);
}

bool monitor::look_at_slot(slot& s, watch& w, nanoseconds_at now) noexcept {
  const std::uint64_t switches = s.switches.load(memory_order::relaxed);  // relaxed: compared over time only
  const std::uint64_t slices = s.slices.load(memory_order::relaxed);      // relaxed: as above
  const bool stands = switches == w.switches;
  if (!stands) {
    w.switches = switches;
    w.switched_at = now;
  }
  if (slices != w.slices) {
    w.slices = slices;
    w.slice_at = now;
  }
  const bool own_work = s.has_work();
  // [holder-1] Who holds the slot is the claim's business; acquire, so that the carrier's record, which may have been made
  // a moment ago (hand: release), is there when we look at it.
  carrier* c = s.holder.load(memory_order::acquire);
  if (c == nullptr) {
    // No carrier could be had for it before: try again, with this slot. Another one's carrier would not see its newest.
    if (own_work && scheduler_.idle().take_slot(s)) (void)scheduler_.give_slot(s);
    return own_work;
  }
  if (!own_work && scheduler_.global().empty()) return false;
  if (scheduler_.idle().slots() != 0 && (stands || !s.queue.empty())) {
    if (stands && s.newest.load(memory_order::relaxed) != nullptr) {  // relaxed: a hint
      share_newest(s, *c, w);
    } else {
      scheduler_.wake_one_more();
    }
  }
  if (!stands) {
    // It switches, but perhaps only between threads that wake each other.
    if (now - w.slice_at >= scheduler_.options().slice)
      s.rotate.store(rotation::in_turn, memory_order::relaxed);  // relaxed: a request
    return true;
  }
  const std::int32_t tid = c->tid.load(memory_order::relaxed);  // relaxed: a wrong one is told apart by claim
  if (tid == 0) return true;
  if (os::state_of_task(tid) == os::task_state::blocked) {
    if (rescue(s, *c, w)) acted_ = true;
    return true;
  }
  consider_preemption(s, *c, w, now);
  return true;
}

bool monitor::inside(const slot& s, const carrier& c, const watch& w) noexcept {
  // [current-1] The heavy fence before orders it with the thread's entry; acquire for the record of a thread that was made
  // a moment ago (resume: release).
  const thread* t = c.current.load(memory_order::acquire);
  return t == nullptr || t->no_preempt.raised() || s.switches.load(memory_order::relaxed) != w.switches;  // relaxed: as above
}

/// What `c` holds is ours for a moment, as far as the carrier is outside. False: it holds nothing, or another slot than
/// `s` meanwhile.
bool monitor::begin_taking(const slot& s, carrier& c) noexcept {
  std::uint32_t held = 0;
  if (!c.claim.begin_taking(held)) return false;
  if (&scheduler_.slot_at(held) == &s) {
    os::heavy_fence();  // slot_claim, m2
    return true;
  }
  if (c.claim.finish_taking(held, true)) (void)give_taken(scheduler_.slot_at(held));
  return false;
}

bool monitor::finish_taking(const slot& s, carrier& c, bool carrier_is_inside) noexcept {
  return c.claim.finish_taking(static_cast<std::uint32_t>(&s - &scheduler_.slot_at(0)), carrier_is_inside);
}

bool monitor::give_taken(slot& s) noexcept {
  s.holder.store(nullptr, memory_order::relaxed);  // relaxed: a hint
  return scheduler_.give_slot(s);
}

/// The newest waits behind a thread that goes on and on, while a slot is free: everybody may have it.
void monitor::share_newest(slot& s, carrier& c, const watch& w) noexcept {
  if (!begin_taking(s, c)) return;
  // Outside: until the claim is back the carrier cannot come in, and what the slot holds is ours to change.
  thread* t = inside(s, c, w) ? nullptr : s.swap_newest(nullptr);
  // If it tried to come in just now, it has let go, and the slot is ours after all.
  if (finish_taking(s, c, true)) (void)give_taken(s);
  if (t != nullptr) scheduler_.push_global(*t);
}

bool monitor::rescue(slot& s, carrier& c, const watch& w) noexcept {
  if (!begin_taking(s, c)) return false;
  if (!finish_taking(s, c, inside(s, c, w))) return false;
  scheduler_.rescues.fetch_add(1, memory_order::relaxed);  // relaxed: a statistic
  if (give_taken(s)) return true;
  // The slot is idle now: whoever comes back first may have it, and we shall try again at every look.
  if (scheduler_.carriers_refused.load(memory_order::relaxed) != 0) complain_about_cap();  // relaxed: a statistic
  return true;
}

bool monitor::burns_cpu(std::int32_t tid, std::uint64_t& voluntary, std::uint64_t& voluntary_for,
                        nanoseconds_at& sampled_at, std::uint64_t switches, nanoseconds_at now) noexcept {
  const bool comparable = voluntary_for == switches + 1 && now - sampled_at >= sample_distance;
  const std::uint64_t before = voluntary;
  if (voluntary_for == switches + 1 && !comparable) return false;
  voluntary = os::voluntary_switches(tid);
  voluntary_for = switches + 1;
  sampled_at = now;
  return comparable && voluntary != 0 && voluntary == before && os::state_of_task(tid) == os::task_state::running;
}

void monitor::consider_preemption(slot& s, carrier& c, watch& w, nanoseconds_at now) noexcept {
  const bool slice_over = now - w.slice_at >= scheduler_.options().slice;
  const bool woken_waits = s.newest.load(memory_order::relaxed) != nullptr || !scheduler_.global().empty();  // relaxed: a hint
  const bool displaced = woken_waits && now - w.switched_at >= displaceable_after && !scheduler_.ordered();  // an order displaces by itself
  const bool burns = burns_cpu(c.tid.load(memory_order::relaxed), w.voluntary, w.voluntary_for, w.sampled_at,  // relaxed: a hint
                               w.switches, now);
  if (!burns || !(slice_over || displaced)) return;
  if (!slice_over && !scheduler_.global().empty())
    s.rotate.store(rotation::global_first, memory_order::relaxed);  // relaxed: a request
  else if (slice_over)
    s.rotate.store(rotation::in_turn, memory_order::relaxed);  // relaxed: a request
  os::signal_kernel_thread(c.tid.load(memory_order::relaxed), os::preempt_signal);           // relaxed: a hint
  acted_ = true;
}

/// Carriers that came back from the kernel without their slot and run on. They give way at their next engine entry; one
/// that burns CPU instead is asked by signal, so that the parallelism asked for is kept.
void monitor::look_at_strays() noexcept {
  const std::uint32_t made = scheduler_.carriers_made();
  for (std::uint32_t i = 0; i < strays_per_look && i < made; ++i) {
    if (next_stray_ >= made) next_stray_ = 0;
    carrier& c = *scheduler_.carrier_at(next_stray_++);
    const std::int32_t tid = c.tid.load(memory_order::relaxed);  // relaxed: a hint
    if (tid == 0 || c.claim.holds() || c.current.load(memory_order::relaxed) == nullptr) continue;  // relaxed: a hint
    if (c.bound.load(memory_order::relaxed)) continue;  // relaxed: a hint; it may burn as much as it likes
    if (os::state_of_task(tid) != os::task_state::running) {
      c.stray_voluntary_for = 0;
      continue;
    }
    if (burns_cpu(tid, c.stray_voluntary, c.stray_voluntary_for, c.stray_sampled_at, 0, os::now()))
      os::signal_kernel_thread(tid, os::preempt_signal);
  }
}

void monitor::complain_about_cap() noexcept {
  if (complained_) return;
  complained_ = true;
  text<200> line;
  line << "weft: no kernel thread can be added to the " << static_cast<std::uint64_t>(scheduler_.carriers_made())
       << " that are blocked; other threads wait (cap: WEFT_OPTIONS=carriers=N; limits: ulimit -u, pid_max)\n";
  os::write_to_process_stderr(line.data(), line.size());
}

}  // namespace weft::engine
