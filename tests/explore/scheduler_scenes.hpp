// SPDX-License-Identifier: BSL-1.0
//
// Small scenes on the real scheduler that several tests play, with and without a monitor. A schedule that leaves a thread behind ends as a
// deadlock of the thread that waits for all.
#pragma once

#include "explore/expect.hpp"
#include "explore/scheduler_house.hpp"

#include <memory>
#include <vector>

namespace weft::engine::explore {

/// A thread parks, and a kernel thread from outside wakes it while the carriers go idle.
inline body woken_from_outside(house_plan plan) {
    return [plan](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        guest& g = house->make([](guest& me) {
            check(me.wait() == wake_reason::owner, "woken by its owner");
            check(me.wait() == wake_reason::owner, "and again");
        });
        house->start_before(g);
        s.thread("outside", [house, &g] {
            for (std::uint64_t wait = 1; wait <= 2; ++wait) {
                check(house->wake_from_outside(g, scheduler_house::await_ticket(g, wait), wake_reason::owner), "the only waker wins");
            }
        });
        house->wait_for_all(s);
    };
}

/// Two threads hand a value to and fro, on whichever carriers they are.
inline body ping_pong(house_plan plan) {
    return [plan](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        struct table {
            guest* left = nullptr;
            guest* right = nullptr;
            int ball = 0;
        };
        auto t = std::make_shared<table>();
        t->right = &house->make([house = house.get(), t = t.get()](guest& me) {
            check(me.wait() == wake_reason::owner, "served");
            check(t->ball == 1, "the ball came with the wake-up");
            t->ball = 2;
            while (t->left->published.load() == 0) me.yield();
            house->wake_from(me, *t->left, ticket{1}, wake_reason::owner);
        });
        t->left = &house->make([house = house.get(), t = t.get()](guest& me) {
            house->start_from(me, *t->right);
            while (t->right->published.load() == 0) me.yield();
            t->ball = 1;
            house->wake_from(me, *t->right, ticket{1}, wake_reason::owner);
            check(me.wait() == wake_reason::owner, "returned");
            check(t->ball == 2, "the ball came back");
        });
        house->start_before(*t->left);
        house->wait_for_all(s);
        s.finally([t] { check(t->ball == 2, "played to the end"); });
    };
}

/// The same with each at a place of its own, 0 and the last one; they never run anywhere else.
inline body ping_pong_pinned(house_plan plan) {
    return [plan](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        struct table {
            guest* left = nullptr;
            guest* right = nullptr;
            int ball = 0;
        };
        auto t = std::make_shared<table>();
        const auto in_place = [house = house.get()](guest& me) {
            const section in(me);
            check(me.on->holding == &house->engine.slot_at(static_cast<std::uint32_t>(me.pinned)), "at its place");
        };
        t->right = &house->make([house = house.get(), t = t.get(), in_place](guest& me) {
            in_place(me);
            check(me.wait() == wake_reason::owner, "served");
            in_place(me);
            check(t->ball == 1, "the ball came with the wake-up");
            t->ball = 2;
            house->wake_from(me, *t->left, ticket{1}, wake_reason::owner);
        });
        t->left = &house->make([t = t.get(), in_place](guest& me) {
            check(me.wait() == wake_reason::owner, "returned");
            in_place(me);
            check(t->ball == 2, "the ball came back");
        });
        t->left->pinned = 0;
        t->right->pinned = static_cast<std::int32_t>(plan.slots - 1);
        guest& parent = house->make([house = house.get(), t = t.get()](guest& me) {
            house->start_from(me, *t->left);
            house->start_from(me, *t->right);
        });
        house->start_before(parent);
        s.thread("outside", [house, t] {
            const ticket left = scheduler_house::await_ticket(*t->left);
            check(left == ticket{1}, "its first wait");
            const ticket right = scheduler_house::await_ticket(*t->right);
            t->ball = 1;
            house->wake_from_outside(*t->right, right, wake_reason::owner);
        });
        house->wait_for_all(s);
        s.finally([t] { check(t->ball == 2, "played to the end"); });
    };
}

/// The deadline and an owner from outside race; the thread wakes by one of them and never hangs.
inline body deadline_races_with_owner(house_plan plan) {
    return [plan](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        guest& g = house->make([](guest& me) {
            const nanoseconds_at deadline = explore::now().count() + 100'000;
            const wake_reason why = me.wait(deadline);
            check(why == wake_reason::owner || why == wake_reason::deadline, "one of the two");
            if (why == wake_reason::deadline) check(explore::now().count() >= deadline, "not before its time");
        });
        house->start_before(g);
        s.thread("outside", [house, &g] {
            explore::sleep_until(std::chrono::microseconds(explore::below(200)));
            house->wake_from_outside(g, scheduler_house::await_ticket(g), wake_reason::owner);
        });
        house->wait_for_all(s);
    };
}

/// Nobody but the clock wakes them, in the order of their deadlines or not: all come back, none early.
inline body sleepers(house_plan plan) {
    return [plan](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        for (const nanoseconds_at span : {300'000, 100'000, 200'000}) {
            guest& g = house->make([span](guest& me) {
                const nanoseconds_at deadline = explore::now().count() + span;
                check(me.wait(deadline) == wake_reason::deadline, "woken by the clock");
                check(explore::now().count() >= deadline, "not before its time");
            });
            house->start_before(g);
        }
        house->wait_for_all(s);
    };
}

/// A parent starts more than one slot should run alone and waits for all of them.
inline body fan_out(house_plan plan) {
    return [plan](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        struct family {
            guest* parent = nullptr;
            std::vector<guest*> children;
            atomic<int> left{3};
        };
        auto f = std::make_shared<family>();
        for (int i = 0; i < 3; ++i) {
            f->children.push_back(&house->make([house = house.get(), f = f.get()](guest& me) {
                me.yield();
                if (f->left.fetch_sub(1) == 1) house->wake_from(me, *f->parent, ticket{1}, wake_reason::owner);
            }));
        }
        f->parent = &house->make([house = house.get(), f = f.get()](guest& me) {
            const section in(me);
            const ticket t = me.thread::wait.prepare();
            for (guest* child : f->children) house->engine.start_thread(*child);
            house->engine.park(me, t);
            check(f->left.load() == 0, "woken by the last child");
        });
        house->start_before(*f->parent);
        house->wait_for_all(s);
        s.finally([f] { check(f->left.load() == 0, "all children ran"); });
    };
}

}  // namespace weft::engine::explore
