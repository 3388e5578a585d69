// SPDX-License-Identifier: BSL-1.0
//
// The scheduler as a whole, schedule by schedule: carriers fall asleep while work comes in from all sides, and no thread is ever left behind.
#include "explore/scheduler_scenes.hpp"

namespace {

using namespace weft::engine;
using namespace weft::engine::explore;

TEST(scheduler, woken_from_outside_on_one_slot) { explore::expect_sound(woken_from_outside({.slots = 1, .carriers = 1}), 10000, 20000); }
TEST(scheduler, woken_from_outside_on_two_slots) { explore::expect_sound(woken_from_outside({.slots = 2, .carriers = 2}), 10000, 20000); }
TEST(scheduler, woken_from_outside_with_carriers_to_spare) {
    explore::expect_sound(woken_from_outside({.slots = 2, .carriers = 1, .spare = 2}), 10000, 20000);
}
TEST(scheduler, woken_from_outside_without_membarrier) {
    explore::expect_sound(woken_from_outside({.slots = 2, .carriers = 2, .kernel_has_barrier = false}), 10000, 20000);
}
TEST(scheduler, deadline_races_with_owner_on_one_slot) {
    explore::expect_sound(deadline_races_with_owner({.slots = 1, .carriers = 1}), 10000, 20000);
}
TEST(scheduler, deadline_races_with_owner_on_two_slots) {
    explore::expect_sound(deadline_races_with_owner({.slots = 2, .carriers = 2}), 10000, 20000);
}
TEST(scheduler, sleepers_on_one_slot) { explore::expect_sound(sleepers({.slots = 1, .carriers = 1}), 10000, 20000); }
TEST(scheduler, sleepers_on_two_slots) { explore::expect_sound(sleepers({.slots = 2, .carriers = 2}), 10000, 20000); }
TEST(scheduler, fan_out_on_one_slot) { explore::expect_sound(fan_out({.slots = 1, .carriers = 1}), 10000, 20000); }
TEST(scheduler, fan_out_on_two_slots) { explore::expect_sound(fan_out({.slots = 2, .carriers = 2}), 5000, 10000); }
TEST(scheduler, fan_out_on_three_slots_of_which_two_are_free) {
    explore::expect_sound(fan_out({.slots = 3, .carriers = 1, .spare = 2}), 5000, 10000);
}
TEST(scheduler, ping_pong_on_one_slot) { explore::expect_sound(ping_pong({.slots = 1, .carriers = 1}), 10000, 20000); }
TEST(scheduler, ping_pong_on_two_slots) { explore::expect_sound(ping_pong({.slots = 2, .carriers = 2}), 5000, 10000); }

TEST(scheduler, ping_pong_at_places_of_their_own) { explore::expect_sound(ping_pong_pinned({.slots = 2, .carriers = 2, .spare = 1}), 5000, 10000); }
TEST(scheduler, ping_pong_at_the_same_place) { explore::expect_sound(ping_pong_pinned({.slots = 1, .carriers = 1, .spare = 1, .monitor = true}), 3000, 3000); }
TEST(scheduler, pinned_work_that_nobody_sees_is_found) {
    explore::expect_fault_found("idle.pinned_unseen", ping_pong_pinned({.slots = 2, .carriers = 2, .spare = 1}));
}

// A slot is published as idle before the second look; without that look, work that came in between lies there for good.
TEST(scheduler, no_second_look_is_found) {
    explore::expect_fault_found("idle.no_second_look", woken_from_outside({.slots = 1, .carriers = 1}));
}
// Who pushed found the free slot and nobody asleep, and could not make a carrier: the one that falls asleep now must take the slot itself.
TEST(scheduler, a_sleeper_that_does_not_look_is_found) {
    explore::expect_fault_found("idle.sleeper_does_not_look", woken_from_outside({.slots = 1, .carriers = 1}));
}

}  // namespace
