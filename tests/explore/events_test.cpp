// SPDX-License-Identifier: BSL-1.0
//
// The event source under the real scheduler, schedule by schedule: threads wait for events while carriers watch, are taken off their watch for
// other work, fall asleep without watching, and the monitor sends somebody to look. No thread is left behind, no event lies unseen.
#include "explore/scheduler_scenes.hpp"

#include "os/futex.hpp"

namespace {

using namespace weft::engine;
using namespace weft::engine::explore;

/// A source of one kind of event, as a kernel would keep it: events and rings of the bell stay until they are taken. One lives per schedule.
struct virtual_source {
    event_source seam;
    spinlock lock;
    guest* waiter = nullptr;
    ticket wait{};
    bool happened = false;
    bool rung = false;
    weft::engine::atomic<std::uint32_t> changes{0};  ///< Futex word of whoever is in wait().
};
virtual_source* source = nullptr;

void change() {
    source->changes.fetch_add(1);
    os::futex_wake(source->changes, 1);
}

void poll(ready_list& ready) {
    const locked hold(source->lock);
    if (!source->happened || source->waiter == nullptr) return;
    source->happened = false;
    guest& g = *source->waiter;
    source->waiter = nullptr;
    if (g.thread::wait.claim(source->wait, wake_reason::owner) == claim_result::parked) ready.push(g);
}

void wait(ready_list& ready, nanoseconds_at until) {
    const std::uint32_t seen = source->changes.load();
    bool nothing = true;
    {
        const locked hold(source->lock);
        nothing = !source->rung && (!source->happened || source->waiter == nullptr);
    }
    // Returns for a change, for a signal (a wake-up without one), and when the time has come.
    if (nothing) os::futex_wait(source->changes, seen, until == never ? -1 : until);
    {
        const locked hold(source->lock);
        source->rung = false;
    }
    poll(ready);
}

void interrupt() {
    {
        const locked hold(source->lock);
        source->rung = true;
    }
    change();
}

std::shared_ptr<virtual_source> plug_in(scheduler_house& house) {
    auto fresh = std::make_shared<virtual_source>();
    source = fresh.get();
    source->seam.poll = poll;
    source->seam.wait = wait;
    source->seam.interrupt = interrupt;
    house.engine.set_event_source(source->seam);
    house.on_signal = [] { os::futex_wake(source->changes, 1); };  // not remembered: who is not in wait() misses it
    return fresh;
}

/// As io/reactor does it: first it can be found, then it is counted, then it parks.
void wait_for_event(guest& me) {
    const section in(me);
    const ticket t = me.thread::wait.prepare();
    {
        const locked hold(source->lock);
        source->waiter = &me;
        source->wait = t;
    }
    change();
    me.house->engine.begin_event_wait();
    me.published.store(static_cast<std::uint64_t>(t), memory_order::release);
    check(me.house->engine.park(me, t) == wake_reason::owner, "woken by the event");
    me.house->engine.end_event_wait();
}

void happen() {
    {
        const locked hold(source->lock);
        source->happened = true;
    }
    change();
}

/// One thread waits for three events; another thread's wake-ups come from outside meanwhile and take carriers off their watch.
body events_and_wakeups(house_plan plan) {
    return [plan](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        auto events = plug_in(*house);
        guest& reader = house->make([](guest& me) {
            for (int i = 0; i < 3; ++i) wait_for_event(me);
        });
        guest& other = house->make([](guest& me) {
            for (int i = 0; i < 2; ++i) check(me.wait() == wake_reason::owner, "woken by its owner");
        });
        house->start_before(reader);
        house->start_before(other);
        s.thread("the world", [house, events, &reader] {
            for (std::uint64_t i = 1; i <= 3; ++i) {
                scheduler_house::await_ticket(reader, i);
                happen();
            }
        });
        s.thread("outside", [house, events, &other] {
            for (std::uint64_t i = 1; i <= 2; ++i) {
                check(house->wake_from_outside(other, scheduler_house::await_ticket(other, i), wake_reason::owner), "the only waker wins");
            }
        });
        house->wait_for_all(s);
        s.finally([events] { check(source == events.get(), "one source at a time"); });
    };
}

/// A thread is blocked in the kernel, with the only slot, until the event has been served: nobody runs dry and looks.
body an_event_beside_a_blocked_carrier(house_plan plan) {
    return [plan](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        auto events = plug_in(*house);
        guest& reader = house->make([](guest& me) { wait_for_event(me); });
        guest& blocked = house->make([&reader](guest&) { block_until([&reader] { return reader.retired; }, "the reader to end"); });
        house->start_before(reader);
        house->start_before(blocked);
        s.thread("the world", [house, events, &reader] {
            scheduler_house::await_ticket(reader);
            happen();
        });
        house->wait_for_all(s);
    };
}

/// A thread computes for long while another waits for an event, and a third sleeps.
body an_event_beside_work(house_plan plan) {
    return [plan](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        auto events = plug_in(*house);
        guest& reader = house->make([](guest& me) { wait_for_event(me); });
        guest& worker = house->make([&reader](guest& me) {
            for (int i = 0; i < 3 && !reader.retired; ++i) {
                me.use_slot();
                explore::step("runs user code");
            }
        });
        guest& sleeper = house->make([](guest& me) {
            check(me.wait(explore::now().count() + 150'000) == wake_reason::deadline, "woken by the clock");
        });
        house->start_before(reader);
        house->start_before(worker);
        house->start_before(sleeper);
        s.thread("the world", [house, events, &reader] {
            scheduler_house::await_ticket(reader);
            happen();
        });
        house->wait_for_all(s);
    };
}

/// The event comes only after the other thread has been served: whoever watches must be called away for that.
body the_watcher_is_called_away(house_plan plan) {
    return [plan](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        auto events = plug_in(*house);
        guest& reader = house->make([](guest& me) { wait_for_event(me); });
        guest& other = house->make([](guest& me) {
            for (int i = 0; i < 2; ++i) check(me.wait() == wake_reason::owner, "woken by its owner");
        });
        house->start_before(reader);
        house->start_before(other);
        s.thread("outside", [house, events, &other] {
            for (std::uint64_t i = 1; i <= 2; ++i) {
                // Into the queue, and no more: to whoever looks there.
                guest& g = other;
                const ticket t = scheduler_house::await_ticket(g, i);
                if (g.thread::wait.claim(t, wake_reason::owner) == claim_result::parked) house->engine.push_global(g);
            }
            block_until([&other] { return other.retired; }, "the other thread to end");
            happen();
        });
        house->wait_for_all(s);
    };
}

house_plan monitored(house_plan plan) {
    plan.monitor = true;
    return plan;
}

TEST(events, none_is_lost_on_one_slot) { expect_sound(events_and_wakeups({.slots = 1, .carriers = 1, .spare = 1}), 6000, 8000); }
TEST(events, none_is_lost_on_two_slots) { expect_sound(events_and_wakeups({.slots = 2, .carriers = 2, .spare = 1}), 6000, 8000); }
TEST(events, none_is_lost_under_a_monitor) {
    expect_sound(events_and_wakeups(monitored({.slots = 1, .carriers = 1, .spare = 2})), 4000, 3000);
    expect_sound(events_and_wakeups(monitored({.slots = 2, .carriers = 2, .spare = 1})), 4000, 3000);
}
TEST(events, the_watcher_can_be_called_away) {
    expect_sound(the_watcher_is_called_away(monitored({.slots = 1, .carriers = 1, .spare = 0})), 6000, 6000);
    expect_sound(the_watcher_is_called_away(monitored({.slots = 2, .carriers = 1, .spare = 1})), 4000, 3000);
}
TEST(events, seen_beside_a_blocked_carrier) {
    expect_sound(an_event_beside_a_blocked_carrier(monitored({.slots = 1, .carriers = 1, .spare = 2})), 4000, 3000);
}
TEST(events, seen_beside_work) { expect_sound(an_event_beside_work(monitored({.slots = 1, .carriers = 1, .spare = 2})), 4000, 3000); }
TEST(events, seen_beside_work_on_two_slots) { expect_sound(an_event_beside_work(monitored({.slots = 2, .carriers = 2, .spare = 1})), 4000, 3000); }

// It may doze only while a carrier watches, or nobody waits for events.
TEST(events, a_monitor_that_dozes_over_events_is_found) {
    expect_fault_found("doze.over_events", an_event_beside_a_blocked_carrier(monitored({.slots = 1, .carriers = 1, .spare = 2})), 40000);
}

}  // namespace
