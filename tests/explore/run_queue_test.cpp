// SPDX-License-Identifier: BSL-1.0
//
// core/run_queue.hpp with four places instead of 256, so that full, empty and wrapped are common: nothing is lost, nothing is run twice.
#include "core/run_queue.hpp"

#include "explore/expect.hpp"

#include <memory>
#include <vector>

namespace {

using namespace weft::engine;
using explore::body;
using explore::check;
using explore::scenario;

struct job {
    int taken = 0;
};
using small_queue = run_queue<job, 4>;

struct shop {
    small_queue queue;
    std::vector<job> jobs = std::vector<job>(7);
    std::vector<job*> overflow;
    void take(job& j) { check(++j.taken == 1, "a job is taken once"); }
    void all_taken() {
        while (job* j = queue.pop()) take(*j);
        for (job* j : overflow) take(*j);
        for (const job& j : jobs) check(j.taken == 1, "no job is lost");
    }
};

/// The owner pushes more than fits and takes some itself; what does not fit goes elsewhere, as the engine's overflow queue.
void owner(shop& s) {
    for (std::size_t i = 0; i < s.jobs.size(); ++i) {
        if (!s.queue.push(s.jobs[i])) s.overflow.push_back(&s.jobs[i]);
        if (i % 3 == 2) {
            if (job* j = s.queue.pop()) s.take(*j);
        }
    }
    check(s.queue.size() <= 4, "never more than fits");
}

void thief(shop& s, small_queue& own) {
    for (int turn = 0; turn < 2; ++turn) {
        if (job* j = s.queue.steal_into(own)) s.take(*j);
        while (job* j = own.pop()) s.take(*j);
    }
}

body owner_and_thieves(int thieves) {
    return [thieves](scenario& s) {
        auto st = std::make_shared<shop>();
        s.thread("owner", [st] { owner(*st); });
        for (int i = 0; i < thieves; ++i) {
            auto own = std::make_shared<small_queue>();
            s.thread("thief", [st, own] { thief(*st, *own); });
        }
        s.finally([st] { st->all_taken(); });
    };
}

TEST(run_queue, one_thief) { explore::expect_sound(owner_and_thieves(1)); }
TEST(run_queue, two_thieves) { explore::expect_sound(owner_and_thieves(2)); }

TEST(run_queue, thieves_of_each_other) {
    explore::expect_sound([](scenario& s) {
        auto left = std::make_shared<shop>();
        auto right = std::make_shared<shop>();
        const auto trader = [](shop& own, shop& other) {
            for (std::size_t i = 0; i < 3; ++i) check(own.queue.push(own.jobs[i]), "three fit");
            while (job* j = own.queue.pop()) own.take(*j);
            if (job* j = other.queue.steal_into(own.queue)) own.take(*j);
            while (job* j = own.queue.pop()) own.take(*j);
        };
        s.thread("left", [=] { trader(*left, *right); });
        s.thread("right", [=] { trader(*right, *left); });
        s.finally([=] {
            for (shop* each : {left.get(), right.get()}) {
                for (std::size_t i = 0; i < 3; ++i) check(each->jobs[i].taken == 1, "each job once");
            }
        });
    });
}

TEST(run_queue, a_full_queue_is_halved_by_its_owner) {
    explore::expect_sound([](scenario& s) {
        auto st = std::make_shared<shop>();
        auto own = std::make_shared<small_queue>();
        s.thread("owner", [st] {
            for (job& j : st->jobs) {
                while (!st->queue.push(j)) {
                    std::vector<job*> half(4);
                    const std::uint32_t n = st->queue.take_half([&](std::uint32_t i, job* seen) { half[i] = seen; });
                    st->overflow.insert(st->overflow.end(), half.begin(), half.begin() + n);
                }
            }
        });
        s.thread("thief", [st, own] { thief(*st, *own); });
        s.finally([st] { st->all_taken(); });
    });
}

TEST(run_queue, first_in_first_out) {
    explore::expect_sound(
        [](scenario& s) {
            auto st = std::make_shared<shop>();
            s.thread("owner", [st] {
                for (std::size_t i = 0; i < 4; ++i) check(st->queue.push(st->jobs[i]), "four fit");
                check(!st->queue.push(st->jobs[4]), "the fifth does not");
                for (std::size_t i = 0; i < 4; ++i) check(st->queue.pop() == &st->jobs[i], "oldest first");
                check(st->queue.pop() == nullptr && st->queue.empty(), "then none");
            });
        },
        100, 100);
}

TEST(run_queue, overfilling_is_found) { explore::expect_fault_found("run_queue.overfills", owner_and_thieves(1)); }
TEST(run_queue, taking_without_exchange_is_found) {
    explore::expect_fault_found("run_queue.pop_without_exchange", owner_and_thieves(1));
}

}  // namespace
