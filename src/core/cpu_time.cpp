// SPDX-License-Identifier: BSL-1.0
#include "core/cpu_time.hpp"

#include "os/clock.hpp"

namespace weft::engine {

constinit atomic<std::uint32_t> accounting_switches{0};

namespace {
constexpr nanoseconds fine = 20 * microsecond;
constexpr nanoseconds tick = 4 * millisecond;

// relaxed: below, all of these have one writer, the carrier's kernel thread, and are exact for it; others read an estimate.
template <class T>
void add(atomic<T>& to, T what) noexcept {
  to.store(to.load(memory_order::relaxed) + what, memory_order::relaxed);  // relaxed: one writer
}

void charge(carrier& c, nanoseconds span) noexcept {
  if (thread* t = c.current.load(memory_order::relaxed)) add(t->cpu_time, span);  // relaxed: our own carrier's
}
}  // namespace

void account_now(carrier& c) noexcept {
  const nanoseconds used = os::thread_cpu_time();
  // relaxed: one writer, us
  nanoseconds span = used - c.cpu_seen.load(memory_order::relaxed) - c.cpu_ahead.load(memory_order::relaxed);
  nanoseconds ahead = 0;
  if (span < 0) {  // short runs were interrupted by the kernel: they have been given more than there was
    ahead = -span;
    span = 0;
  }
  c.cpu_ahead.store(ahead, memory_order::relaxed);  // relaxed: one writer
  c.cpu_seen.store(used, memory_order::relaxed);    // relaxed: one writer
  c.cpu_noted_at = os::now();
  c.cpu_tick = os::coarse_now();
  charge(c, span);
}

void account_switch(carrier& c) noexcept {
  const nanoseconds_at now = os::now();
  const nanoseconds span = now - c.cpu_noted_at;
  if (span >= fine) return account_now(c);
  c.cpu_noted_at = now;
  add(c.cpu_ahead, span);
  charge(c, span);
}

void account_when_due(carrier& c) noexcept {
  if (os::coarse_now() - c.cpu_tick >= tick) account_now(c);
}

void account_all_switches(bool yes) noexcept {
  accounting_switches.fetch_add(yes ? 1 : ~0u, memory_order::relaxed);  // relaxed: a switch that does not see it yet is accounted later
}

nanoseconds cpu_time_of(thread& me, thread& t) noexcept {
  static constinit atomic<bool> asked_for{false};
  if (!asked_for.load(memory_order::relaxed) && !asked_for.exchange(true, memory_order::relaxed))  // relaxed: only once
    account_all_switches(true);
  if (&me == &t && me.on != nullptr) account_now(*me.on);
  const nanoseconds before = t.cpu_time.load(memory_order::relaxed);  // relaxed: an estimate of what changes as we look
  if (&me == &t) return before;
  carrier* c = t.on;
  // [current-1] acquire: the carrier's record, which may have been made a moment ago.
  if (c == nullptr || c->current.load(memory_order::acquire) != &t) return before;
  const std::int32_t tid = c->tid.load(memory_order::relaxed);  // relaxed: a wrong one gives no time
  const nanoseconds used = os::cpu_time_of_kernel_thread(tid);
  const nanoseconds span = used - c->cpu_seen.load(memory_order::relaxed) - c->cpu_ahead.load(memory_order::relaxed);  // relaxed: as above
  return before + (used != 0 && span > 0 ? span : 0);
}

}  // namespace weft::engine
