// SPDX-License-Identifier: BSL-1.0
//
// sync/wait and sync/address_lot, schedule by schedule: kernel threads that Weft did not make wait by futex among threads that park, and
// words of the program's memory are waited for by address.
#include "explore/expect.hpp"
#include "explore/scheduler_house.hpp"
#include "sync/address_lot.hpp"
#include "sync/wait.hpp"

#include <memory>

namespace {

using namespace weft::engine;
using namespace weft::engine::explore;

/// A kernel thread as the faces adopt it.
struct outsider : thread {
    weft::engine::atomic<std::uint64_t> published{0};
    void enter() {
        kind = thread_kind::foreign;
        no_preempt.set(0);
        current_thread = this;
    }
    wake_reason wait_once(nanoseconds_at deadline) {
        const section in(*this);
        const ticket t = thread::wait.prepare();
        published.store(static_cast<std::uint64_t>(t), memory_order::release);
        return sync::park(*this, t, deadline);
    }
};

/// A thread wakes the newest wait of a kernel thread until two of its wake-ups counted; signals and deadlines come in between.
body outsider_waits(nanoseconds patience) {
    return [=](scenario& s) {
        auto house = scheduler_house::open(s, {.slots = 1, .carriers = 1, .spare = 1});
        struct state {
            outsider o;
            int value = 0;
        };
        auto st = std::make_shared<state>();
        s.thread("outsider", [st, patience] {
            st->o.enter();
            for (int owned = 0; owned < 2;) {
                const nanoseconds_at deadline = patience == never ? never : explore::now().count() + patience;
                const wake_reason why = st->o.wait_once(deadline);
                if (why == wake_reason::deadline) check(explore::now().count() >= deadline, "not before its time");
                if (why == wake_reason::owner) check(st->value >= ++owned, "the value came with the wake-up");
            }
        });
        house->start_before(house->make([house = house.get(), st = st.get()](guest& me) {
            std::uint64_t seen = 0;
            for (int wins = 0; wins < 2;) {
                block_until([st, seen] { return st->o.published.load() != seen; }, "the next wait");
                seen = st->o.published.load();
                st->value = wins + 1;
                if (house->wake_from(me, st->o, ticket{seen}, wake_reason::owner)) ++wins;
            }
        }));
        house->wait_for_all(s);
        s.finally([st] { check(st->value == 2, "told twice"); });
    };
}

TEST(park_foreign, no_wakeup_is_lost) { expect_sound(outsider_waits(never), 10000, 10000); }
TEST(park_foreign, deadlines_and_wakeups_race) { expect_sound(outsider_waits(100'000), 10000, 10000); }
TEST(park_foreign, clearing_the_futex_word_before_the_sleep_is_found) {
    expect_fault_found("foreign.clears_before_the_sleep", outsider_waits(never));
}

/// As pthread_once: one does it, the others wait for the word to change; `outsiders` of them are kernel threads.
body once(house_plan plan, int guests, int outsiders) {
    return [=](scenario& s) {
        sync::reset_address_lot();  // a schedule that failed left its waiters there
        auto house = scheduler_house::open(s, plan);
        struct state {
            weft::engine::atomic<int> word{0};
            int done = 0;
            std::vector<std::unique_ptr<outsider>> outsiders;
        };
        auto st = std::make_shared<state>();
        const auto call = [](state& o, thread& me) {
            for (;;) {
                int seen = o.word.load(memory_order::acquire);
                if (seen == 2) break;
                if (seen == 1) {
                    const section in(me);
                    (void)sync::wait_on_address(me, o.word, 1);
                    continue;
                }
                if (!o.word.compare_exchange_strong(seen, 1)) continue;
                ++o.done;
                o.word.store(2, memory_order::release);
                const section in(me);
                sync::wake_address(o.word);
            }
            check(o.done == 1, "done, once, and seen to be");
        };
        for (int i = 0; i < guests; ++i) house->start_before(house->make([st = st.get(), call](guest& me) { call(*st, me); }));
        for (int i = 0; i < outsiders; ++i) {
            st->outsiders.push_back(std::make_unique<outsider>());
            s.thread("outsider " + std::to_string(i), [st, call, i] {
                outsider& me = *st->outsiders[static_cast<std::size_t>(i)];
                me.enter();
                call(*st, me);
            });
        }
        house->wait_for_all(s);
        s.finally([st] { check(st->done == 1, "somebody did it"); });
    };
}

TEST(address_lot, nobody_is_left_on_one_slot) { expect_sound(once({.slots = 1, .carriers = 1, .spare = 1}, 3, 0), 6000, 4000); }
TEST(address_lot, nobody_is_left_on_two_slots) { expect_sound(once({.slots = 2, .carriers = 2, .spare = 1}, 3, 0), 6000, 4000); }
TEST(address_lot, nobody_is_left_among_kernel_threads) { expect_sound(once({.slots = 1, .carriers = 1, .spare = 1}, 1, 2), 6000, 4000); }
TEST(address_lot, not_looking_under_the_lock_is_found) {
    expect_fault_found("address_lot.does_not_look", once({.slots = 2, .carriers = 2, .spare = 1}, 2, 0));
}

/// A wait that ends by an interruption leaves the list whole for those behind it.
TEST(address_lot, an_interrupted_waiter_leaves_the_list_whole) {
    expect_sound(
        [](scenario& s) {
            sync::reset_address_lot();
            auto house = scheduler_house::open(s, {.slots = 2, .carriers = 2, .spare = 1});
            auto word = std::make_shared<weft::engine::atomic<int>>(1);
            std::vector<guest*> waiters;
            for (int i = 0; i < 2; ++i) {
                guest& g = house->make([word = word.get()](guest& me) {
                    while (word->load() == 1) {
                        const section in(me);
                        (void)sync::wait_on_address(me, *word, 1);
                    }
                });
                waiters.push_back(&g);
                house->start_before(g);
            }
            s.thread("interrupter", [house, waiters] {
                for (guest* g : waiters) {
                    ticket t{};
                    if (g->thread::wait.current_ticket(t)) house->wake_from_outside(*g, t, wake_reason::interrupt);
                }
            });
            house->start_before(house->make([word = word.get()](guest& me) {
                word->store(2, memory_order::release);
                const section in(me);
                sync::wake_address(*word);
            }));
            house->wait_for_all(s);
            s.finally([word] { check(word->load() == 2, "changed once"); });
        },
        6000, 4000);
}

}  // namespace
