// SPDX-License-Identifier: BSL-1.0
//
// Parking, waking, deadlines, yields, and threads that block in the kernel without a word.
#include "os/clock.hpp"
#include "stress/engine.hpp"

#include <array>
#include <cerrno>
#include <gtest/gtest.h>
#include <memory>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace weft::engine;
using namespace weft::engine::stress;

/// One waits with short deadlines, the other wakes whatever wait it sees: each wake-up that counted was noticed, and no other.
void wakes_and_deadlines(worker& me, int pairs, int rounds) {
    struct pair {
        weft::engine::atomic<worker*> waiter{nullptr};
        weft::engine::atomic<std::uint64_t> published{0};
        weft::engine::atomic<std::uint32_t> finished{0};
        std::uint64_t noticed = 0;
        int value = 0;  // written by the waker before its claim, read by the waiter after it
    };
    auto all = std::make_shared<std::vector<pair>>(static_cast<std::size_t>(pairs));
    make_crowd(me, 2 * pairs, [all, rounds](worker& self, int i) {
        pair& p = (*all)[static_cast<std::size_t>(i / 2)];
        if (i % 2 == 0) {
            p.waiter.store(&self);
            for (int round = 0; round < rounds; ++round) {
                const section in(self);
                const ticket t = self.wait.prepare();
                p.published.store(static_cast<std::uint64_t>(t));
                const bool patient = round % 4 == 0;
                const wake_reason why = self.on->home->park(self, t, patient ? never : os::now() + self.below(150'000));
                check(why == wake_reason::owner || (!patient && why == wake_reason::deadline), "one of the two");
                if (why != wake_reason::owner) continue;
                ++p.noticed;
                check(p.value != 0, "the value came with the wake-up");
            }
            p.finished.store(1);
            return;
        }
        std::uint64_t seen = 0, counted = 0;
        while (p.finished.load() == 0) {
            const std::uint64_t now = p.published.load();
            if (now != seen) {
                seen = now;
                if (counted == 0) p.value = 1;
                const section in(self);
                if (the_scheduler.wake(*p.waiter.load(), ticket{now}, wake_reason::owner)) ++counted;
            } else if (self.below(8) == 0) {
                self.sleep_for(self.below(50'000));
            }
            self.yield();
        }
        check(counted == p.noticed, "each wake-up that counted was noticed");
    });
}

TEST(waits, wakeups_and_deadlines_race_on_two_slots) { run({.slots = 2}, [](worker& me) { wakes_and_deadlines(me, 80, 400); }); }
TEST(waits, wakeups_and_deadlines_race_on_four_slots) { run({.slots = 4}, [](worker& me) { wakes_and_deadlines(me, 80, 400); }); }
TEST(waits, wakeups_and_deadlines_race_on_eight_slots) { run({.slots = 8}, [](worker& me) { wakes_and_deadlines(me, 80, 300); }); }
TEST(waits, wakeups_and_deadlines_race_without_membarrier) {
    run({.slots = 4, .kernel_has_barrier = false}, [](worker& me) { wakes_and_deadlines(me, 60, 300); });
}

void sleepers(worker& me, int threads, int rounds) {
    make_crowd(me, threads, [rounds](worker& self, int) {
        for (int round = 0; round < rounds; ++round) {
            const nanoseconds span = self.below(400'000);
            const nanoseconds_at before = os::now();
            self.sleep_for(span);
            check(os::now() >= before + span, "not before its time");
        }
    });
}

TEST(waits, hundreds_sleep_on_two_slots) { run({.slots = 2}, [](worker& me) { sleepers(me, 300, 60); }); }
TEST(waits, hundreds_sleep_on_eight_slots) { run({.slots = 8}, [](worker& me) { sleepers(me, 300, 60); }); }

/// A ring of pipes: each thread blocks in read(), which the engine does not know of, and passes the byte on. Others want to run all the time.
void ring_of_pipes(worker& me, int threads, int bytes, int laps) {
    struct ring {
        std::vector<std::array<int, 2>> pipes;
        weft::engine::atomic<int> running{0};
    };
    auto r = std::make_shared<ring>();
    r->pipes.resize(static_cast<std::size_t>(threads));
    r->running.store(threads);
    for (auto& p : r->pipes) check(pipe(p.data()) == 0, "a pipe");
    for (int i = 0; i < threads; ++i) {
        make_thread(me, [r, i, bytes, laps](worker& self) {
            const int in = r->pipes[static_cast<std::size_t>(i)][0];
            const int out = r->pipes[static_cast<std::size_t>(i + 1) % r->pipes.size()][1];
            for (int n = 0; n < bytes * laps; ++n) {
                char byte = 0;
                check(read(in, &byte, 1) == 1, "a byte");
                check(write(out, &byte, 1) == 1, "passed on");
                self.yield();  // comes back to the engine without the slot that was taken from it
            }
            r->running.fetch_sub(1);
        });
    }
    for (int i = 0; i < 4; ++i) {
        make_thread(me, [r](worker& self) {
            while (r->running.load() != 0) {
                self.yield();
                if (self.below(4) == 0) self.sleep_for(self.below(100'000));
            }
        });
    }
    for (int b = 0; b < bytes; ++b) check(write(r->pipes[0][1], "x", 1) == 1, "the start");
}

TEST(waits, readers_of_pipes_are_rescued_on_two_slots) { run({.slots = 2}, [](worker& me) { ring_of_pipes(me, 24, 8, 16); }); }
TEST(waits, readers_of_pipes_are_rescued_on_four_slots) { run({.slots = 4}, [](worker& me) { ring_of_pipes(me, 24, 8, 16); }); }
TEST(waits, readers_of_pipes_are_rescued_without_membarrier) {
    run({.slots = 2, .kernel_has_barrier = false}, [](worker& me) { ring_of_pipes(me, 24, 8, 12); });
}

/// Blocked right after it made somebody ready: what waits in its slot must be shared or rescued.
void blocked_behind_their_own_work(worker& me, int threads, int rounds) {
    for (int i = 0; i < threads; ++i) {
        make_thread(me, [rounds](worker& self) {
            for (int round = 0; round < rounds; ++round) {
                std::array<int, 2> ends{};
                check(pipe(ends.data()) == 0, "a pipe");
                make_thread(self, [out = ends[1]](worker&) { check(write(out, "x", 1) == 1, "written"); });
                char byte = 0;
                check(read(ends[0], &byte, 1) == 1, "a byte");
                close(ends[0]);
                close(ends[1]);
            }
        });
    }
}

TEST(waits, work_behind_blocked_threads_gets_out_on_two_slots) {
    run({.slots = 2}, [](worker& me) { blocked_behind_their_own_work(me, 20, 40); });
}
TEST(waits, work_behind_blocked_threads_gets_out_on_eight_slots) {
    run({.slots = 8}, [](worker& me) { blocked_behind_their_own_work(me, 20, 40); });
}

}  // namespace
