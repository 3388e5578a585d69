// SPDX-License-Identifier: BSL-1.0
//
// The scheduler under its monitor, schedule by schedule: it may doze, take slots away, share work, fire timers or wake carriers, and no thread
// notices or is left behind.
#include "explore/scheduler_scenes.hpp"

namespace {

using namespace weft::engine;
using namespace weft::engine::explore;

/// The monitor takes slots away at all times, and the threads must neither notice nor be lost.
body under_a_busy_monitor(house_plan plan) {
    plan.monitor = true;
    return [plan](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        for (int i = 0; i < 2; ++i) {
            house->start_before(house->make([](guest& me) {
                for (int turn = 0; turn < 3; ++turn) {
                    me.use_slot();
                    explore::step("runs user code");
                    me.yield();
                }
            }));
        }
        house->wait_for_all(s);
    };
}

house_plan monitored(house_plan plan) {
    plan.monitor = true;
    return plan;
}

// The same scenarios as without a monitor: it may doze, take slots, fire timers or wake carriers, and nothing else changes.
TEST(rescue, woken_from_outside_under_a_monitor) {
    expect_sound(woken_from_outside(monitored({.slots = 1, .carriers = 1, .spare = 2})), 4000, 3000);
    expect_sound(woken_from_outside(monitored({.slots = 2, .carriers = 2, .spare = 1})), 4000, 3000);
}
TEST(rescue, no_carrier_can_be_made_under_a_monitor) {
    expect_sound(woken_from_outside(monitored({.slots = 1, .carriers = 1})), 4000, 3000);
    expect_sound(under_a_busy_monitor({.slots = 1, .carriers = 1}), 4000, 3000);
    expect_sound(under_a_busy_monitor({.slots = 2, .carriers = 2}), 4000, 3000);
}
TEST(rescue, deadline_races_with_owner_under_a_monitor) {
    expect_sound(deadline_races_with_owner(monitored({.slots = 1, .carriers = 1, .spare = 2})), 4000, 3000);
    expect_sound(deadline_races_with_owner(monitored({.slots = 2, .carriers = 1, .spare = 2})), 4000, 3000);
}
TEST(rescue, fan_out_under_a_monitor) {
    expect_sound(fan_out(monitored({.slots = 1, .carriers = 1, .spare = 2})), 3000, 2000);
    expect_sound(fan_out(monitored({.slots = 2, .carriers = 2, .spare = 2})), 3000, 2000);
}
TEST(rescue, sleepers_under_a_monitor) {
    expect_sound(sleepers(monitored({.slots = 2, .carriers = 2, .spare = 1})), 3000, 2000);
}

TEST(rescue, slots_taken_away_on_one_slot) {
    expect_sound(under_a_busy_monitor({.slots = 1, .carriers = 1, .spare = 3}), 8000, 5000);
}
TEST(rescue, slots_taken_away_on_two_slots) {
    expect_sound(under_a_busy_monitor({.slots = 2, .carriers = 2, .spare = 3}), 4000, 5000);
}
TEST(rescue, slots_taken_away_without_membarrier) {
    expect_sound(under_a_busy_monitor({.slots = 1, .carriers = 1, .spare = 3, .kernel_has_barrier = false}), 8000, 5000);
}
TEST(rescue, taking_from_a_carrier_inside_is_found) {
    expect_fault_found("slot_claim.never_undoes", under_a_busy_monitor({.slots = 1, .carriers = 1, .spare = 3}));
}

/// A thread starts another one and then blocks in the kernel until that one has run: only the monitor can help.
body blocked_behind_its_own_work(house_plan plan) {
    return [plan](scenario& s) {
        auto house = scheduler_house::open(s, monitored(plan));
        auto done = std::make_shared<weft::engine::atomic<int>>(0);
        guest& other = house->make([done = done.get()](guest&) { done->store(1); });
        house->start_before(house->make([house = house.get(), &other, done = done.get()](guest& me) {
            house->start_from(me, other);
            block_until([done] { return done->load() == 1; }, "a read from a pipe");
        }));
        house->wait_for_all(s);
        s.finally([done] { check(done->load() == 1, "the other one ran"); });
    };
}

TEST(rescue, work_behind_a_blocked_carrier) {
    expect_sound(blocked_behind_its_own_work({.slots = 1, .carriers = 1, .spare = 2}), 4000, 3000);
    expect_sound(blocked_behind_its_own_work({.slots = 2, .carriers = 2, .spare = 2}), 4000, 3000);
}
// The monitor announces that it dozes, then looks once more; who pushes does the reverse.
TEST(rescue, a_monitor_that_dozes_off_without_a_second_look_is_found) {
    expect_fault_found("doze.no_second_look", blocked_behind_its_own_work({.slots = 1, .carriers = 1, .spare = 2}));
}

/// The carrier that kept the time while it slept is the one that is woken, for a thread that blocks until the sleeper's deadline was fired: now
/// the monitor, which had dozed off, must keep the time.
body deadline_behind_a_blocked_carrier(house_plan plan) {
    return [plan](scenario& s) {
        auto house = scheduler_house::open(s, monitored(plan));
        auto done = std::make_shared<weft::engine::atomic<int>>(0);
        guest& blocked = house->make([done = done.get()](guest& me) {
            me.wait();
            block_until([done] { return done->load() == 1; }, "a read from a pipe");
        });
        guest& sleeper = house->make([done = done.get()](guest& me) {
            check(me.wait(50'000'000) == wake_reason::deadline, "woken by the clock");
            done->store(1);
        });
        house->start_before(blocked);
        house->start_before(sleeper);
        s.thread("outside", [house, &blocked, &sleeper] {
            scheduler_house::await_ticket(sleeper);
            sleep_until(std::chrono::milliseconds(40));
            check(house->wake_from_outside(blocked, scheduler_house::await_ticket(blocked), wake_reason::owner), "the only waker wins");
        });
        house->wait_for_all(s);
        s.finally([done] { check(done->load() == 1, "the sleeper ran"); });
    };
}

TEST(rescue, deadline_behind_a_blocked_carrier) {
    expect_sound(deadline_behind_a_blocked_carrier({.slots = 1, .carriers = 1, .spare = 1}), 3000, 2000);
    expect_sound(deadline_behind_a_blocked_carrier({.slots = 2, .carriers = 2, .spare = 2}), 3000, 2000);
}
TEST(rescue, a_deadline_that_nobody_looks_out_for_is_found) {
    expect_fault_found("timers.no_lookout", deadline_behind_a_blocked_carrier({.slots = 1, .carriers = 1, .spare = 1}));
}

// Two threads come from the global queue at once: the first one blocks, the other one was in no queue when the monitor dozed off.
TEST(rescue, a_thread_that_is_moved_in_silence_is_found) {
    expect_fault_found("doze.moves_in_silence", deadline_behind_a_blocked_carrier({.slots = 1, .carriers = 1, .spare = 1}));
}

/// Slots are taken while others are free: a carrier that lost its slot may have another before the monitor is through.
TEST(rescue, slots_taken_away_while_others_are_free) {
    expect_sound(under_a_busy_monitor({.slots = 3, .carriers = 2, .spare = 3}), 6000, 5000);
    expect_sound(woken_from_outside(monitored({.slots = 3, .carriers = 3, .spare = 2})), 3000, 2000);
}

}  // namespace
