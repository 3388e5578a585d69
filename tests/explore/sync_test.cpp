// SPDX-License-Identifier: BSL-1.0
//
// sync/: mutex, condition and semaphore words, used by threads on the real scheduler (scheduler_house.hpp), schedule by schedule.
#include "explore/expect.hpp"
#include "explore/scheduler_house.hpp"
#include "sync/condition.hpp"
#include "sync/mutex.hpp"
#include "sync/semaphore.hpp"

#include <cerrno>
#include <memory>

namespace {

using namespace weft::engine;
using explore::body;
using explore::check;
using explore::guest;
using explore::house_plan;
using explore::scenario;
using explore::scheduler_house;

/// As a face would lay them out: the word and its list.
struct mutex {
    sync::mutex_word word;
    sync::wait_list list;
    int inside = 0;

    int lock_until(guest& me, nanoseconds_at deadline) {
        unsigned losses = 0;
        if (!word.try_lock()) {
            const section in(me);
            if (const int error = word.lock_slow(me, list, deadline, losses); error != 0) return error;
        }
        check(++inside == 1, "alone inside");
        return 0;
    }
    void lock(guest& me) { check(lock_until(me, never) == 0, "an untimed lock succeeds"); }
    void unlock(guest& me) {
        check(--inside == 0, "alone until the unlock");
        if (word.unlock_fast()) return;
        const section in(me);
        word.unlock_slow(list);
    }
};

body several_lock_and_unlock(house_plan plan, int threads) {
    return [=](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        struct state {
            mutex m;
            int count = 0;
        };
        auto st = std::make_shared<state>();
        for (int i = 0; i < threads; ++i) {
            house->start_before(house->make([st = st.get()](guest& me) {
                for (int turn = 0; turn < 2; ++turn) {
                    st->m.lock(me);
                    ++st->count;
                    me.yield();
                    st->m.unlock(me);
                }
            }));
        }
        house->wait_for_all(s);
        s.finally([st, threads] {
            check(st->count == 2 * threads, "all were inside");
            check(!st->m.word.is_held() && st->m.list.empty(), "free in the end");
            check(st->m.word.try_lock() && st->m.word.unlock_fast(), "and nobody is on the way");
        });
    };
}

/// One thread forgets those who wait.
TEST(mutex, forgetting_the_waiters_is_found) {
    explore::expect_found([](scenario& s) {
        auto house = scheduler_house::open(s, {.slots = 2, .carriers = 2, .spare = 1});
        auto m = std::make_shared<mutex>();
        for (int i = 0; i < 2; ++i) {
            house->start_before(house->make([m = m.get()](guest& me) {
                m->lock(me);
                me.yield();
                --m->inside;
                (void)m->word.unlock_fast();
            }));
        }
        house->wait_for_all(s);
    });
}

TEST(mutex, one_that_stays_on_the_way_is_found) {
    explore::expect_fault_found("mutex.stays_on_the_way", several_lock_and_unlock({.slots = 2, .carriers = 2, .spare = 1}, 3));
}

TEST(mutex, excludes_and_loses_nobody_on_one_slot) {
    explore::expect_sound(several_lock_and_unlock({.slots = 1, .carriers = 1, .spare = 1}, 3), 4000, 3000);
}
TEST(mutex, excludes_and_loses_nobody_on_two_slots) {
    explore::expect_sound(several_lock_and_unlock({.slots = 2, .carriers = 2, .spare = 1}, 3), 3000, 2000);
}
TEST(mutex, excludes_and_loses_nobody_under_a_monitor) {
    explore::expect_sound(several_lock_and_unlock({.slots = 1, .carriers = 1, .spare = 2, .monitor = true}, 2), 3000, 2000);
}

/// One holds the lock for long, others give up in time or get it; nobody is left in the list.
TEST(mutex, timed_lockers_leave_the_list_whole) {
    explore::expect_sound(
        [](scenario& s) {
            auto house = scheduler_house::open(s, {.slots = 2, .carriers = 2, .spare = 1});
            auto m = std::make_shared<mutex>();
            house->start_before(house->make([m = m.get()](guest& me) {
                m->lock(me);
                me.wait(explore::now().count() + static_cast<nanoseconds_at>(explore::below(300'000)));
                m->unlock(me);
            }));
            for (int i = 0; i < 2; ++i) {
                house->start_before(house->make([m = m.get()](guest& me) {
                    const int error = m->lock_until(me, explore::now().count() + 100'000);
                    check(error == 0 || error == ETIMEDOUT, "got it or gave up");
                    if (error == 0) m->unlock(me);
                }));
            }
            house->wait_for_all(s);
            s.finally([m] { check(!m->word.is_held() && m->list.empty(), "free in the end"); });
        },
        3000, 2000);
}

body posts_and_waits(house_plan plan) {
    return [=](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        struct state {
            sync::semaphore_word word;
            sync::wait_list list;
            int taken = 0;
        };
        auto st = std::make_shared<state>();
        for (int i = 0; i < 2; ++i) {
            house->start_before(house->make([st = st.get()](guest& me) {
                for (int turn = 0; turn < 2; ++turn) {
                    if (!st->word.try_wait()) {
                        const section in(me);
                        check(st->word.wait_slow(me, st->list, never) == 0, "a token");
                    }
                    ++st->taken;
                }
            }));
            house->start_before(house->make([st = st.get()](guest& me) {
                for (int turn = 0; turn < 2; ++turn) {
                    bool overflow = false;
                    if (!st->word.post_fast(overflow)) {
                        const section in(me);
                        st->word.post_slow(st->list, overflow);
                    }
                    check(!overflow, "far from the greatest value");
                }
            }));
        }
        house->wait_for_all(s);
        s.finally([st] { check(st->taken == 4 && st->word.value() == 0 && st->list.empty(), "each token was taken once"); });
    };
}

TEST(semaphore, a_post_that_forgets_the_waiters_is_found) {
    explore::expect_found([](scenario& s) {
        auto house = scheduler_house::open(s, {.slots = 2, .carriers = 2, .spare = 1});
        struct state {
            sync::semaphore_word word;
            sync::wait_list list;
        };
        auto st = std::make_shared<state>();
        house->start_before(house->make([st = st.get()](guest& me) {
            const section in(me);
            st->word.wait_slow(me, st->list, never);
        }));
        house->start_before(house->make([st = st.get()](guest&) {
            bool overflow = false;
            (void)st->word.post_fast(overflow);
        }));
        house->wait_for_all(s);
    });
}

TEST(semaphore, tokens_are_neither_lost_nor_doubled_on_one_slot) {
    explore::expect_sound(posts_and_waits({.slots = 1, .carriers = 1, .spare = 1}), 4000, 3000);
}
TEST(semaphore, tokens_are_neither_lost_nor_doubled_on_two_slots) {
    explore::expect_sound(posts_and_waits({.slots = 2, .carriers = 2, .spare = 1}), 3000, 2000);
}

enum class signalled : std::uint8_t { under_the_mutex, after_it, before_the_change };

/// A box with one place: a producer and a consumer with one condition each.
body box(house_plan plan, signalled when) {
    return [=](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        struct state {
            mutex m;
            sync::condition filled, emptied;
            bool full = false;
            int taken = 0;
        };
        auto st = std::make_shared<state>();
        const auto await = [](state& b, guest& me, sync::condition& c, bool full) {
            while (b.full != full) {
                {
                    const section in(me);
                    c.wait(me, never, [&] { b.m.unlock(me); });
                }
                b.m.lock(me);
            }
        };
        const auto flip = [when](state& b, guest& me, sync::condition& c, bool full) {
            if (when != signalled::before_the_change) b.full = full;
            const auto signal = [&] {
                if (!c.anybody()) return;
                const section in(me);
                c.signal();
            };
            if (when == signalled::under_the_mutex) signal();
            b.m.unlock(me);
            if (when == signalled::under_the_mutex) return;
            signal();
            if (when == signalled::before_the_change) b.full = full;
        };
        house->start_before(house->make([=, st = st.get()](guest& me) {
            for (int i = 0; i < 2; ++i) {
                st->m.lock(me);
                await(*st, me, st->filled, true);
                ++st->taken;
                flip(*st, me, st->emptied, false);
            }
        }));
        house->start_before(house->make([=, st = st.get()](guest& me) {
            for (int i = 0; i < 2; ++i) {
                st->m.lock(me);
                await(*st, me, st->emptied, false);
                flip(*st, me, st->filled, true);
            }
        }));
        house->wait_for_all(s);
        s.finally([st] { check(st->taken == 2 && !st->full, "both things went through the box"); });
    };
}

TEST(condition, no_signal_is_lost_on_one_slot) {
    explore::expect_sound(box({.slots = 1, .carriers = 1, .spare = 1}, signalled::under_the_mutex), 4000, 3000);
}
TEST(condition, no_signal_is_lost_on_two_slots) {
    explore::expect_sound(box({.slots = 2, .carriers = 2, .spare = 1}, signalled::under_the_mutex), 3000, 2000);
}
TEST(condition, no_signal_is_lost_when_sent_after_the_unlock) {
    explore::expect_sound(box({.slots = 2, .carriers = 2, .spare = 1}, signalled::after_it), 3000, 2000);
}

TEST(condition, a_change_outside_of_the_mutex_is_found) {
    explore::expect_found(box({.slots = 2, .carriers = 2, .spare = 1}, signalled::before_the_change));
}

/// A broadcast that races with a deadline: all come back, each for one reason, and the list is empty.
TEST(condition, broadcast_and_deadlines_race) {
    explore::expect_sound(
        [](scenario& s) {
            auto house = scheduler_house::open(s, {.slots = 2, .carriers = 2, .spare = 1});
            struct state {
                mutex m;
                sync::condition c;
                bool go = false;
            };
            auto st = std::make_shared<state>();
            for (int i = 0; i < 2; ++i) {
                house->start_before(house->make([st = st.get()](guest& me) {
                    const nanoseconds_at deadline = explore::now().count() + 100'000;
                    st->m.lock(me);
                    wake_reason why = wake_reason::owner;
                    while (!st->go && why == wake_reason::owner) {
                        {
                            const section in(me);
                            why = st->c.wait(me, deadline, [&] { st->m.unlock(me); });
                        }
                        st->m.lock(me);
                    }
                    check(st->go || explore::now().count() >= deadline, "for a reason");
                    st->m.unlock(me);
                }));
            }
            house->start_before(house->make([st = st.get()](guest& me) {
                me.wait(explore::now().count() + static_cast<nanoseconds_at>(explore::below(200'000)));
                st->m.lock(me);
                st->go = true;
                st->m.unlock(me);
                const section in(me);
                if (st->c.anybody()) st->c.broadcast();
            }));
            house->wait_for_all(s);
            s.finally([st] { check(!st->c.anybody() && !st->m.word.is_held(), "nobody is left"); });
        },
        3000, 2000);
}

}  // namespace
