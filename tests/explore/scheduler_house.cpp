// SPDX-License-Identifier: BSL-1.0
//
// See scheduler_house.hpp. Here stand the replacements for what reaches outside of the scheduler: making carriers, membarrier, the clock.
#include "explore/scheduler_house.hpp"

#include "arch/context.hpp"
#include "core/cpu_time.hpp"
#include "explore/explored_atomic.hpp"
#include "os/features.hpp"
#include "os/kernel_thread.hpp"
#include "os/task.hpp"
#include "os/thread_pointer.hpp"

#include <signal.h>
#include <time.h>

#include <memory>
#include <utility>

namespace weft::engine {

constinit scheduler the_scheduler;

namespace {
explore::scheduler_house* open_house = nullptr;
}

// In the place of carriers.cpp. It makes all records at once, and a spare carrier is a virtual thread that waits for its tid. As there, one
// carrier more than needed sleeps from the start, unless the plan has more carriers than slots or none to spare.

int scheduler::start(thread&, const scheduler_options& options, const scheduler_hooks& hooks) noexcept {
    explore::scheduler_house& house = *open_house;
    options_ = options;
    hooks_ = hooks;
    slots_ = house.slots_.get();
    house.loop_ = &scheduler::loop_entry;
    for (std::uint32_t i = 0; i < house.carriers.size(); ++i) {
        if (i < house.plan_.carriers) house.carriers[i]->tid.store(1);
        house.carriers[i]->home = this;
        house.carriers[i]->index = i;
        if (i < options.parallelism && i < house.plan_.carriers) hand(*house.carriers[i], slots_[i]);
    }
    for (std::uint32_t i = house.plan_.carriers; i < options.parallelism; ++i) idle_.put_slot(slots_[i]);
    if (house.plan_.carriers <= options.parallelism) keep_a_spare();
    return 0;
}

void scheduler::loop_entry(void* raw) noexcept {
    auto& c = *static_cast<carrier*>(raw);
    current_carrier = &c;
    c.home->loop(c);
}

carrier* scheduler::new_carrier(slot* s) noexcept {
    explore::scheduler_house& house = *open_house;
    carrier* c = nullptr;
    {
        const locked hold(carriers_lock_);
        if (house.spare_used < house.plan_.spare) c = house.carriers[house.plan_.carriers + house.spare_used++].get();
    }
    if (c == nullptr) {
        carriers_refused.fetch_add(1);
        return nullptr;
    }
    if (s != nullptr) hand(*c, *s);
    c->tid.store(1, memory_order::seq_cst);  // its virtual thread begins
    return c;
}

std::uint32_t scheduler::carriers_made() const noexcept { return open_house->plan_.carriers + open_house->spare_used; }
carrier* scheduler::carrier_at(std::uint32_t index) noexcept { return open_house->carriers[index].get(); }

constinit atomic<std::uint32_t> accounting_switches{0};
void account_switch(carrier&) noexcept {}
void account_when_due(carrier&) noexcept {}

void scheduler::recycle_carrier(carrier&) noexcept { explore::check(false, "no carrier of a small house is spare"); }
void scheduler::end_bound(carrier&) noexcept { explore::check(false, "no thread of a small house is bound"); __builtin_unreachable(); }

namespace os {
constinit features machine{};
void barrier_everywhere() noexcept { explore::barrier_everywhere(); }
void set_thread_pointer_slowly(std::uintptr_t) noexcept { explore::check(false, "guests borrow the carrier's storage"); }
/// Never `running` for ever: a carrier that is blocked is found out sooner or later.
task_state state_of_task(std::int32_t) noexcept {
    explore::step("asks the kernel");
    if (++open_house->questions % 4 == 0) return task_state::blocked;
    return explore::below(2) == 0 ? task_state::running : task_state::blocked;
}
std::uint64_t voluntary_switches(std::int32_t) noexcept { return 1; }
void signal_kernel_thread(std::int32_t, int) noexcept {
    if (open_house->on_signal) open_house->on_signal();
}
void become_punctual() noexcept {}
void set_slice(nanoseconds) noexcept {}
void write_to_process_stderr(const char*, unsigned long) noexcept {}
/// The monitor has just blocked all signals of its kernel thread, which here is the whole test's.
void leave_descriptor_table() noexcept {
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, nullptr);
}
}  // namespace os

namespace explore {
namespace {
constexpr std::size_t stack_bytes = 64U * 1024U;
void note_retired(thread& t) { static_cast<guest&>(t).retired = true; }
}  // namespace

scheduler_house::scheduler_house(const house_plan& plan) : plan_(plan), slots_(std::make_unique<slot[]>(plan.slots)), users_(plan.slots) {
    open_house = this;
    std::destroy_at(&the_scheduler);
    std::construct_at(&the_scheduler);
    os::machine.global_barrier = plan.kernel_has_barrier;
    for (std::uint32_t i = 0; i < plan.carriers + plan.spare; ++i) {
        carriers.push_back(std::make_unique<carrier>());
        carriers.back()->shown = &current_thread;
    }
    guest nobody;
    engine.start(nobody, {.parallelism = plan.slots}, {.retired = note_retired});
}

scheduler_house::~scheduler_house() { open_house = nullptr; }

std::shared_ptr<scheduler_house> scheduler_house::open(scenario& s, const house_plan& plan) {
    const std::shared_ptr<scheduler_house> house(new scheduler_house(plan));
    s.per_thread(&current_thread, sizeof(current_thread));
    s.per_thread(&current_carrier, sizeof(current_carrier));
    for (std::uint32_t i = 0; i < house->carriers.size(); ++i) {
        // A daemon may stand in a wait for good, so it holds no share of the house.
        s.daemon("carrier " + std::to_string(i), [raw = house.get(), i] {
            carrier& c = *raw->carriers[i];
            if (i >= raw->plan_.carriers) {
                const std::function<bool()> made = [&c] { return c.tid.load() != 0; };
                block_until(made, "not made yet");
            }
            raw->loop_(&c);
        });
    }
    if (plan.monitor) {
        house->monitor_ = std::make_unique<weft::engine::monitor>(house->engine);
        s.daemon("monitor", [raw = house.get()] { raw->monitor_->run(); });
    }
    s.finally([house] { check(open_house == house.get(), "the house stands until the end"); });
    return house;
}

guest& scheduler_house::make(std::function<void(guest&)> body) {
    auto g = std::make_unique<guest>();
    g->house = this;
    g->home = &engine;
    g->body = std::move(body);
    stacks_.push_back(std::make_unique_for_overwrite<unsigned char[]>(stack_bytes));
    g->context = arch::make_context(stacks_.back().get() + stack_bytes, &scheduler_house::guest_entry, g.get());
    guests_.push_back(std::move(g));
    return *guests_.back();
}

void scheduler_house::guest_entry(void* raw) {
    auto& me = *static_cast<guest*>(raw);
    me.on->home->finish_switch(me);
    me.no_preempt.lower();
    me.body(me);
    me.no_preempt.raise();
    if (!me.on->claim.confirm()) regain(me);
    me.on->home->retire(me, nullptr);
}

void scheduler_house::start_before(guest& g) { engine.global().push(g); }

void scheduler_house::start_from(guest& parent, guest& g) {
    const section in(parent);
    engine.start_thread(g);
}

bool scheduler_house::wake_from_outside(guest& g, ticket t, wake_reason why) { return engine.wake(g, t, why); }

bool scheduler_house::wake_from(guest& waker, thread& woken, ticket t, wake_reason why) {
    const section in(waker);
    return engine.wake(woken, t, why);
}

ticket scheduler_house::await_ticket(guest& g, std::uint64_t wait) {
    const std::function<bool()> there = [&g, wait] { return g.published.load() >= wait; };
    block_until(there, "ticket");
    return ticket{wait};
}

void scheduler_house::nobody_inside() const {
    for (const int users : users_) check(users == 0, "nobody uses a slot while the engine is frozen");
}

bool scheduler_house::all_retired() const {
    for (const auto& g : guests_) {
        if (!g->retired) return false;
    }
    return true;
}

void scheduler_house::wait_for_all(scenario& s) {
    s.thread("all have ended", [this] { block_until([this] { return all_retired(); }, "threads to end"); });
}

wake_reason guest::wait(nanoseconds_at deadline) {
    const section in(*this);
    const ticket t = thread::wait.prepare();
    published.store(static_cast<std::uint64_t>(t), memory_order::release);
    return house->engine.park(*this, t, deadline);
}

void guest::use_slot() {
    const section in(*this);
    int& users = house->users_[static_cast<std::size_t>(on->holding - house->slots_.get())];
    check(++users == 1, "a slot has one user");
    for (int i = 0; i < 3; ++i) {
        step("uses its slot");
        check(users == 1, "a slot still has one user");
        check(on->holding->holder.load() == on, "nobody takes the slot from a thread inside the engine");
    }
    --users;
}

void guest::yield() {
    const section in(*this);
    house->engine.yield(*this);
}

}  // namespace explore
}  // namespace weft::engine

// Every look at the clock costs so much that a search bounded by time ends after one round.
extern "C" int __wrap_clock_gettime(clockid_t, timespec* out);
extern "C" int __wrap_clock_gettime(clockid_t, timespec* out) {
    weft::engine::explore::pass(std::chrono::microseconds(31));
    const auto now = weft::engine::explore::now().count();
    out->tv_sec = now / 1'000'000'000;
    out->tv_nsec = now % 1'000'000'000;
    return 0;
}
