// SPDX-License-Identifier: BSL-1.0
#include "api/runtimes.hpp"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <charconv>
#include <new>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "api/inheritance.hpp"
#include "api/runtime.hpp"
#include "base/text.hpp"
#include "core/cpu_time.hpp"
#include "os/clock.hpp"
#include "sync/generation.hpp"
#include "weft/runtime.hpp"
#include "weft/testing.hpp"

namespace weft::engine::api {

// -- the core's seam --

namespace {

void show(strand& s) noexcept {
  s.about.cpu_time = std::chrono::nanoseconds(s.cpu_time.load(memory_order::relaxed));  // relaxed: the carrier that ran it has written it
  s.about.priority = s.urgency.load(memory_order::relaxed);                               // relaxed: who raises it calls changed()
  s.about.deadline = std::chrono::nanoseconds(s.deadline.load(memory_order::relaxed));  // relaxed: its own doing
}
void take_rank(strand& s) noexcept { s.rank.store(s.about.rank, memory_order::relaxed); }  // relaxed: see core/order.hpp

policy::why reason_of(became_ready why) noexcept {
  switch (why) {
    case became_ready::started: return policy::why::started;
    case became_ready::woken: return policy::why::woken;
    case became_ready::yielded: return policy::why::yielded;
    case became_ready::put_back: break;
  }
  return policy::why::put_back;
}

}  // namespace

void policy_order::push(thread& t, became_ready why) noexcept {
  auto& s = static_cast<strand&>(t);
  const bool anew = why == became_ready::started || why == became_ready::woken;
  if (anew && s.due_after != 0) s.deadline.store(s.home->now() + s.due_after, memory_order::relaxed);  // relaxed: it does not run
  show(s);
  by->push(s.about, reason_of(why));
  take_rank(s);
}
thread* policy_order::pop() noexcept {
  schedulable* const t = by != nullptr ? by->pop() : nullptr;
  return t != nullptr ? static_cast<strand::listed*>(t)->who : nullptr;
}
void policy_order::changed(thread& t) noexcept {
  auto& s = static_cast<strand&>(t);
  show(s);
  by->changed(s.about);
  take_rank(s);
}

// -- schedulers and who has them --

namespace {

constinit spinlock side_lock;
constinit atomic<side_scheduler*> sides{nullptr};  // nobody leaves it

side_scheduler* take_side(const needs& wanted) noexcept {
  const locked hold(side_lock);
  for (side_scheduler* s = sides.load(memory_order::relaxed); s != nullptr; s = s->next) {  // relaxed: under the lock
    if (s->in_use || s->as != wanted) continue;
    s->in_use = true;
    return s;
  }
  return nullptr;
}

/// Null: no memory, or no kernel threads.
side_scheduler* make_side(const needs& wanted) noexcept {
  auto* s = new (std::nothrow) side_scheduler;
  if (s == nullptr) return nullptr;
  s->as = wanted;
  s->in_use = true;
  s->by.is_virtual = wanted.virtual_time;
  scheduler_options options = the_scheduler.options();
  options.parallelism = wanted.parallelism;
  options.slice = wanted.slice;
  options.order = wanted.ordered ? &s->by : nullptr;
  const bool started = s->engine.start_beside(options, hooks_beside()) == 0;
  // In a time of its own nothing happens unseen: no slice ends, no timer fires while somebody runs.
  if (!started || (!wanted.virtual_time && start_monitor(*new (s->monitor_memory) monitor(s->engine)) != 0)) return nullptr;  // what has started sleeps for ever
  const locked hold(side_lock);
  s->next = sides.load(memory_order::relaxed);  // relaxed: under the lock
  sides.store(s, memory_order::release);        // [sides-1] who looks for deadlocks (acquire) finds it whole, and what it links to
  return s;
}

side_scheduler* side_with(const needs& wanted, policy* by) noexcept {
  side_scheduler* s = take_side(wanted);
  if (s == nullptr) s = make_side(wanted);
  if (s == nullptr) return nullptr;
  const locked hold(s->engine.global().lock());
  s->by.by = by;
  if (wanted.virtual_time) s->engine.begin_virtual_time();
  return s;
}

void give_side(side_scheduler& s) noexcept {
  {  // a carrier may just be about to ask the policy, in vain
    const locked hold(s.engine.global().lock());
    s.by.by = nullptr;
  }
  const locked hold(side_lock);
  s.in_use = false;
}

/// An engine's lock may only be held where nobody is preempted.
template <class F>
auto in_section(F f) {
  const section in(self());
  return f();
}

constexpr nanoseconds fair_slice = 4 * millisecond, no_slice = std::int64_t{1} << 60;

nanoseconds slice_of(const runtime_options& o) noexcept {
  if (o.order == scheduling::seeded) return no_slice;
  if (o.slice.count() > 0) return o.slice.count();
  if (o.own_policy == nullptr && o.order == scheduling::fifo) return no_slice;
  return o.own_policy == nullptr && o.order == scheduling::fair ? fair_slice : the_scheduler.options().slice;
}

void choose_policy(runtime_state& r, const runtime_options& o) {
  if (o.own_policy != nullptr) {
    r.by = o.own_policy;
    return;
  }
  switch (o.order) {
    case scheduling::stealing: break;
    case scheduling::fifo: r.by = &r.own.emplace<fifo_policy>(); break;
    case scheduling::priority: r.by = &r.own.emplace<priority_policy>(); break;
    case scheduling::fair: r.by = &r.own.emplace<fair_policy>(); break;
    case scheduling::deadline: r.by = &r.own.emplace<deadline_policy>(); break;
    case scheduling::seeded: r.by = r.seeded = &r.own.emplace<seeded_policy>(o.seed); break;
  }
  // Also a policy of the program's may ask for priorities; it sees those that are inherited.
}

void refuse(int error, const char* why) { throw std::system_error(error, std::generic_category(), why); }

}  // namespace

side_scheduler* first_side_scheduler() noexcept { return sides.load(memory_order::acquire); }  // [sides-1]

void forget_side_schedulers() noexcept {
  side_lock.reset();
  sides.store(nullptr, memory_order::relaxed);  // relaxed: the child has one thread
}

runtime_state* runtime_for(const spawn_options& options, const strand& creator) noexcept {
  return options.in != nullptr ? &detail::runtime_access::state_of(*options.in) : creator.in;
}

void enter_runtime(strand& s, runtime_state* in) noexcept {
  s.in = in;
  if (in != nullptr) in->threads.fetch_add(1, memory_order::relaxed);  // relaxed: the caller keeps it from ending
}

void leave_runtime(runtime_state* in) noexcept {
  if (in == nullptr) return;
  // [runtime-1] acq_rel: whoever waits for the last one finds that all others are over.
  if (in->threads.fetch_sub(1, memory_order::acq_rel) == 1) (void)in->end.finish();
}

void describe_seeds(text<300>& out) noexcept {
  for (side_scheduler* s = first_side_scheduler(); s != nullptr; s = s->next) {
    const locked hold(s->engine.global().lock());
    if (s->as.virtual_time && s->by.by != nullptr)
      out << "weft:   with seed " << static_cast<seeded_policy*>(s->by.by)->seed() << " (WEFT_SEED of with_seeds)\n";
  }
}

}  // namespace weft::engine::api

namespace weft {

using namespace weft::engine;
using namespace weft::engine::api;

detail::runtime_state& detail::runtime_access::state_of(const runtime& r) noexcept { return *r.state_; }

runtime::runtime(const runtime_options& options) : state_(nullptr) {
  const stage now = start_runtime();
  const bool seeded = options.own_policy == nullptr && options.order == scheduling::seeded;
  if (options.parallelism > scheduler::most_slots) refuse(EINVAL, "weft: runtime_options.parallelism is at most 1024");
  if (seeded && options.parallelism > 1) refuse(EINVAL, "weft: a seeded runtime runs one thread at a time: parallelism is 1");
  if (options.slice.count() < 0) refuse(EINVAL, "weft: runtime_options.slice is negative");
  if (seeded && now == stage::kernel_threads) refuse(ENOTSUP, "weft: no seeded runtimes under model=1:1, where the kernel schedules");
  auto made = std::make_unique<detail::runtime_state>();
  made->generation = sync::generation;
  made->parallelism = seeded ? 1 : options.parallelism != 0 ? options.parallelism : detail::parallelism();
  made->end.begin_anew(false);
  if (now == stage::running) {
    choose_policy(*made, options);
    made->inherits = made->by != nullptr && (options.own_policy != nullptr || options.order == scheduling::priority);
    made->accounts = made->by != nullptr && made->by->accounts_cpu_time();
    const needs wanted{.parallelism = made->parallelism, .slice = slice_of(options), .ordered = made->by != nullptr, .virtual_time = seeded};
    made->side = in_section([&] { return side_with(wanted, made->by); });
    if (made->side == nullptr) refuse(EAGAIN, "weft: a runtime cannot be started");
    if (made->accounts) account_all_switches(true);
    if (made->seeded != nullptr) detail::watchers.fetch_add(detail::seeded_watches, std::memory_order_relaxed);      // relaxed: the first thread's start orders
    if (made->inherits) detail::watchers.fetch_add(detail::inheritance_watches, std::memory_order_relaxed);  // relaxed: as above
  }
  state_ = made.release();
}

runtime::~runtime() {
  const std::unique_ptr<detail::runtime_state> mine(state_);
  if (mine->generation != sync::generation) return;  // a forked child: its threads and carriers are the parent's
  strand& me = self();
  if (me.in == mine.get()) misuse("a runtime is destroyed by one of its own threads");
  if (mine->threads.fetch_sub(1, memory_order::acq_rel) != 1) {  // [runtime-1]
    const section in(me);
    while (mine->end.wait(me, never) != wake_reason::owner) {
    }
  }
  if (mine->seeded != nullptr) detail::watchers.fetch_sub(detail::seeded_watches, std::memory_order_relaxed);      // relaxed: its threads are over
  if (mine->inherits) detail::watchers.fetch_sub(detail::inheritance_watches, std::memory_order_relaxed);  // relaxed: as above
  if (mine->accounts) account_all_switches(false);
  if (mine->side != nullptr) in_section([&] { give_side(*mine->side); });
}

unsigned runtime::parallelism() const noexcept { return state_->parallelism; }

// -- what a thread says of itself --

constinit std::atomic<std::uint32_t> detail::watchers{0};

namespace {
/// Of the caller's runtime; null if it is not seeded.
seeded_policy* seed_of(const strand& me) noexcept { return me.kind == thread_kind::user && me.in != nullptr ? me.in->seeded : nullptr; }
}  // namespace

void detail::switch_point_slow() noexcept {
  strand& me = self();
  seeded_policy* const seed = seed_of(me);
  if (seed == nullptr || me.no_preempt.raised()) return;
  const section in(me);
  if (seed->gives_way()) (void)me.home->yield(me);
}
bool detail::draw_from_seed(std::uint64_t& value) noexcept {
  seeded_policy* const seed = seed_of(self());
  if (seed == nullptr) return false;
  value = seed->draw();
  return true;
}

detail::deadline detail::now() noexcept {
  const engine::thread* me = current();
  return me != nullptr && me->kind == thread_kind::user ? me->home->now() : os::now();
}
bool detail::time_is_virtual() noexcept {
  const engine::thread* me = current();
  return me != nullptr && me->kind == thread_kind::user && me->home->time_is_virtual();
}

void detail::set_priority(int priority) noexcept {
  strand& me = self();
  if (me.kind != thread_kind::user || !me.home->ordered()) return;
  const section in(me);
  change_priority(me, priority);
  (void)me.home->yield(me);
}
void detail::set_deadline(deadline when) noexcept {
  strand& me = self();
  if (me.kind != thread_kind::user || !me.home->ordered()) return;
  me.deadline.store(when, memory_order::relaxed);  // relaxed: our own; the order reads it under its lock
  const section in(me);
  (void)me.home->yield(me);
}

// -- seeds --

std::uint64_t detail::first_seed(unsigned& runs) {
  if (const char* const given = ::getenv("WEFT_SEED")) {
    const std::string_view digits(given);
    std::uint64_t seed = 0;
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), seed);
    if (error != std::errc() || end != digits.end()) throw std::invalid_argument("WEFT_SEED=" + std::string(digits) + ": wanted a number");
    if (runs != 0) runs = 1;
    return seed;
  }
  static constinit std::atomic<std::uint64_t> next{0};
  return static_cast<std::uint64_t>(os::now()) % 1'000'000'000 + next.fetch_add(1'000'000'000, std::memory_order_relaxed);  // relaxed: only differences matter
}

void detail::say_seed_failed(std::uint64_t seed) noexcept {
  text<200> line;
  line << "weft: failed with seed " << seed << "; WEFT_SEED=" << seed << " runs only that\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace weft
