// SPDX-License-Identifier: BSL-1.0
//
// sync/: reader-writer locks, barriers and the futex table, used by threads on the real scheduler (scheduler_house.hpp), schedule by schedule.
#include "explore/expect.hpp"
#include "explore/scheduler_house.hpp"
#include "sync/barrier.hpp"
#include "sync/futex_table.hpp"
#include "sync/rwlock.hpp"
#include "sync/semaphore.hpp"

#include <array>
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
using sync::prefers;

constexpr house_plan one_slot{.slots = 1, .carriers = 1, .spare = 1};
constexpr house_plan two_slots{.slots = 2, .carriers = 2, .spare = 1};
constexpr house_plan three_slots{.slots = 3, .carriers = 3, .spare = 1};
constexpr house_plan watched{.slots = 1, .carriers = 1, .spare = 2, .monitor = true};

/// As a face would lay them out: the word and its lists.
struct rwlock {
    explicit rwlock(prefers k) : kind(k) {}
    sync::rwlock_word word;
    sync::wait_list readers, writers;
    prefers kind;
    int reading = 0, writing = 0;

    int read_until(guest& me, nanoseconds_at deadline) {
        if (const int error = word.try_read(); error != 0) {
            check(error == EBUSY, "few readers");
            const section in(me);
            if (const int late = word.read_slow(me, {readers, writers, kind}, deadline); late != 0) return late;
        }
        ++reading;
        check(writing == 0, "readers without a writer");
        return 0;
    }
    int write_until(guest& me, nanoseconds_at deadline) {
        if (!word.try_write()) {
            const section in(me);
            if (const int error = word.write_slow(me, {readers, writers, kind}, deadline); error != 0) return error;
        }
        check(++writing == 1 && reading == 0, "a writer alone");
        return 0;
    }
    void unlock_read(guest& me) {
        --reading;
        if (word.unlock_read_fast()) return;
        const section in(me);
        word.unlock_read_slow({readers, writers, kind});
    }
    void unlock_write(guest& me) {
        check(--writing == 0 && reading == 0, "alone until the unlock");
        if (word.unlock_write_fast()) return;
        const section in(me);
        word.unlock_write_slow({readers, writers, kind});
    }
    void check_free() {
        check(reading == 0 && writing == 0, "nobody inside in the end");
        check(!word.is_held(), "free in the end");
        check(readers.empty() && writers.empty(), "nobody is left in the lists");
    }
};

body read_and_write(house_plan plan, prefers kind, int readers, int writers) {
    return [=](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        auto l = std::make_shared<rwlock>(kind);
        for (int i = 0; i < readers; ++i) {
            house->start_before(house->make([l = l.get()](guest& me) {
                for (int turn = 0; turn < 2; ++turn) {
                    check(l->read_until(me, never) == 0, "an untimed lock succeeds");
                    me.yield();
                    l->unlock_read(me);
                }
            }));
        }
        for (int i = 0; i < writers; ++i) {
            house->start_before(house->make([l = l.get()](guest& me) {
                for (int turn = 0; turn < 2; ++turn) {
                    check(l->write_until(me, never) == 0, "an untimed lock succeeds");
                    me.yield();
                    l->unlock_write(me);
                }
            }));
        }
        house->wait_for_all(s);
        s.finally([l] { l->check_free(); });
    };
}

TEST(rwlock, excludes_and_loses_nobody_on_one_slot) {
    for (const prefers kind : {prefers::readers, prefers::writers, prefers::writers_strictly})
        explore::expect_sound(read_and_write(one_slot, kind, 2, 2), 2000, 1000);
}
TEST(rwlock, excludes_and_loses_nobody_on_two_slots) {
    for (const prefers kind : {prefers::readers, prefers::writers, prefers::writers_strictly})
        explore::expect_sound(read_and_write(two_slots, kind, 2, 2), 2000, 1000);
}
TEST(rwlock, excludes_and_loses_nobody_under_a_monitor) {
    explore::expect_sound(read_and_write(watched, prefers::writers_strictly, 2, 1), 2000, 1000);
}

/// One thread forgets those who wait.
TEST(rwlock, forgetting_the_waiters_is_found) {
    explore::expect_found([](scenario& s) {
        auto house = scheduler_house::open(s, two_slots);
        auto l = std::make_shared<rwlock>(prefers::readers);
        for (int i = 0; i < 2; ++i) {
            house->start_before(house->make([l = l.get()](guest& me) {
                check(l->write_until(me, never) == 0, "an untimed lock succeeds");
                me.yield();
                --l->writing;
                (void)l->word.unlock_write_fast();
            }));
        }
        house->wait_for_all(s);
        s.finally([l] { l->check_free(); });
    });
}

/// Held for a while by a reader or a writer; others give up in time or get it.
body impatient(house_plan plan, prefers kind, bool writer_holds) {
    return [=](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        auto l = std::make_shared<rwlock>(kind);
        house->start_before(house->make([=, l = l.get()](guest& me) {
            check((writer_holds ? l->write_until(me, never) : l->read_until(me, never)) == 0, "an untimed lock succeeds");
            me.wait(explore::now().count() + static_cast<nanoseconds_at>(explore::below(300'000)));
            writer_holds ? l->unlock_write(me) : l->unlock_read(me);
        }));
        for (int i = 0; i < 3; ++i) {
            house->start_before(house->make([=, l = l.get()](guest& me) {
                const bool writes = i == 1;
                const nanoseconds_at deadline = i == 2 ? never : explore::now().count() + 100'000;
                const int error = writes ? l->write_until(me, deadline) : l->read_until(me, deadline);
                check(error == 0 || (error == ETIMEDOUT && deadline != never), "got it or gave up");
                if (error == 0) writes ? l->unlock_write(me) : l->unlock_read(me);
            }));
        }
        house->wait_for_all(s);
        s.finally([l] { l->check_free(); });
    };
}

TEST(rwlock, timed_lockers_leave_the_lists_whole) {
    for (const prefers kind : {prefers::readers, prefers::writers_strictly}) {
        explore::expect_sound(impatient(two_slots, kind, true), 1500, 1000);
        explore::expect_sound(impatient(two_slots, kind, false), 1500, 1000);
    }
}
TEST(rwlock, running_ahead_of_the_hand_over_is_found) {
    explore::expect_fault_found("rwlock.runs_ahead", impatient(two_slots, prefers::readers, true));
}
TEST(rwlock, timed_lockers_leave_the_lists_whole_on_one_slot) {
    explore::expect_sound(impatient(one_slot, prefers::writers_strictly, false), 2000, 1500);
}

/// A reader holds the lock until another reader was inside, too; a writer waits in between, and loses patience.
body reader_needs_a_reader(house_plan plan) {
    return [=](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        struct state {
            rwlock l{prefers::writers_strictly};
            sync::semaphore_word joined;
            sync::wait_list waiting;
            bool held = false, wanted = false;
        };
        auto st = std::make_shared<state>();
        house->start_before(house->make([st = st.get()](guest& me) {
            check(st->l.read_until(me, never) == 0, "an untimed lock succeeds");
            st->held = true;
            if (!st->joined.try_wait()) {
                const section in(me);
                check(st->joined.wait_slow(me, st->waiting, never) == 0, "the other came in");
            }
            st->l.unlock_read(me);
        }));
        house->start_before(house->make([st = st.get()](guest& me) {
            while (!st->held) me.yield();
            st->wanted = true;
            if (st->l.write_until(me, explore::now().count() + 2'000'000) == 0) st->l.unlock_write(me);
        }));
        house->start_before(house->make([st = st.get()](guest& me) {
            while (!st->wanted) me.yield();
            check(st->l.read_until(me, never) == 0, "an untimed lock succeeds");
            bool overflow = false;
            if (!st->joined.post_fast(overflow)) {
                const section in(me);
                st->joined.post_slow(st->waiting, overflow);
            }
            st->l.unlock_read(me);
        }));
        house->wait_for_all(s);
        s.finally([st] { st->l.check_free(); });
    };
}

TEST(rwlock, a_writer_that_gives_up_lets_the_readers_in) {
    explore::expect_sound(reader_needs_a_reader(one_slot), 2000, 1500);
    explore::expect_sound(reader_needs_a_reader(three_slots), 2000, 1500);
}
TEST(rwlock, staying_closed_is_found) {
    explore::expect_fault_found("rwlock.stays_closed", reader_needs_a_reader(three_slots));
}

/// Threads go round together; `interrupted`: a signal ends some of their waits.
body rounds(house_plan plan, int threads, int turns, bool interrupted) {
    return [=](scenario& s) {
        auto house = scheduler_house::open(s, plan);
        struct state {
            explicit state(int n) : b(static_cast<std::uint32_t>(n)) {}
            sync::barrier b;
            std::array<int, 4> arrived{}, serial{};
        };
        auto st = std::make_shared<state>(threads);
        std::vector<guest*> all;
        for (int i = 0; i < threads; ++i) {
            guest& g = house->make([=, st = st.get()](guest& me) {
                for (int turn = 0; turn < turns; ++turn) {
                    const auto now = static_cast<std::size_t>(turn);
                    ++st->arrived[now];
                    std::uint32_t round = 0;
                    sync::barrier::outcome result;
                    {
                        const section in(me);
                        result = st->b.arrive(me, round);
                    }
                    while (result == sync::barrier::outcome::interrupted) {
                        const section in(me);
                        result = st->b.again(me, round);
                    }
                    check(st->arrived[now] == threads, "nobody passes before all have arrived");
                    if (result == sync::barrier::outcome::completed) ++st->serial[now];
                }
            });
            all.push_back(&g);
            house->start_before(g);
        }
        if (interrupted) {
            s.thread("interrupter", [house, all] {
                for (guest* g : all) {
                    ticket t{};
                    if (g->thread::wait.current_ticket(t)) house->wake_from_outside(*g, t, wake_reason::interrupt);
                }
            });
        }
        house->wait_for_all(s);
        s.finally([=] {
            for (int turn = 0; turn < turns; ++turn) check(st->serial[static_cast<std::size_t>(turn)] == 1, "one completes a round");
        });
    };
}

TEST(barrier, rounds_keep_apart_on_one_slot) { explore::expect_sound(rounds(one_slot, 3, 3, false), 3000, 2000); }
TEST(barrier, rounds_keep_apart_on_two_slots) { explore::expect_sound(rounds(two_slots, 3, 3, false), 3000, 2000); }
TEST(barrier, rounds_keep_apart_under_a_monitor) { explore::expect_sound(rounds(watched, 2, 2, false), 3000, 2000); }
TEST(barrier, interrupted_waits_go_on) {
    explore::expect_sound(rounds(one_slot, 2, 3, true), 3000, 2000);
    explore::expect_sound(rounds(two_slots, 3, 2, true), 3000, 2000);
}
TEST(barrier, forgetting_the_round_is_found) { explore::expect_fault_found("barrier.forgets_the_round", rounds(two_slots, 2, 2, true)); }

/// The last to pass destroys it: whoever is still inside would be seen.
TEST(barrier, is_not_in_use_when_all_have_left) {
    explore::expect_sound(
        [](scenario& s) {
            auto house = scheduler_house::open(s, two_slots);
            auto b = std::make_shared<sync::barrier>(2);
            for (int i = 0; i < 2; ++i) {
                house->start_before(house->make([b = b.get()](guest& me) {
                    std::uint32_t round = 0;
                    const section in(me);
                    if (b->arrive(me, round) == sync::barrier::outcome::completed)
                        check(b->in_use() == sync::barrier::use::none, "nobody is inside");
                }));
            }
            house->wait_for_all(s);
            s.finally([b] { check(b->in_use() == sync::barrier::use::none, "nor afterwards"); });
        },
        3000, 2000);
}

int futex_wait(guest& me, sync::futex_word& word, std::uint32_t expected, nanoseconds_at deadline = never) {
    const section in(me);
    return sync::futexes.wait(me, word, expected, sync::futex_table::any, deadline);
}

/// A lock as everybody's first futex: 0 free, 1 held, 2 held and perhaps waited for.
body futex_locks(house_plan plan, int threads) {
    return [=](scenario& s) {
        sync::futexes.begin_anew();  // a schedule that failed left its waiters there
        auto house = scheduler_house::open(s, plan);
        struct state {
            sync::futex_word word{0};
            int inside = 0;
        };
        auto st = std::make_shared<state>();
        for (int i = 0; i < threads; ++i) {
            house->start_before(house->make([st = st.get()](guest& me) {
                for (int turn = 0; turn < 2; ++turn) {
                    std::uint32_t seen = 0;
                    if (!st->word.compare_exchange_strong(seen, 1)) {
                        while (st->word.exchange(2) != 0) {
                            const int error = futex_wait(me, st->word, 2);
                            check(error == 0 || error == EAGAIN, "woken, or changed before");
                        }
                    }
                    check(++st->inside == 1, "alone inside");
                    me.yield();
                    --st->inside;
                    if (st->word.exchange(0) == 2) {
                        const section in(me);
                        check(sync::futexes.wake(st->word, 1) <= 1, "one at most");
                    }
                }
            }));
        }
        house->wait_for_all(s);
        s.finally([st] { check(st->word.load() == 0 && sync::futexes.wake(st->word, 1) == 0, "free in the end"); });
    };
}

TEST(futex_table, no_wake_is_lost_on_one_slot) { explore::expect_sound(futex_locks(one_slot, 3), 3000, 2000); }
TEST(futex_table, no_wake_is_lost_on_two_slots) { explore::expect_sound(futex_locks(two_slots, 3), 3000, 2000); }
TEST(futex_table, no_wake_is_lost_under_a_monitor) { explore::expect_sound(futex_locks(watched, 2), 3000, 2000); }
TEST(futex_table, not_looking_is_found) { explore::expect_fault_found("futex.does_not_look", futex_locks(two_slots, 2)); }

/// Waiters of one word are moved to another, which has a waiter of its own, while their deadlines pass. Which other word, and so whether
/// it shares the bucket, is the schedule's choice.
body moved(house_plan plan) {
    return [=](scenario& s) {
        sync::futexes.begin_anew();
        auto house = scheduler_house::open(s, plan);
        struct state {
            std::array<sync::futex_word, 8> words{};
            std::size_t chosen = 0;
            sync::futex_word& from() { return words[0]; }
            sync::futex_word& to() {
                if (chosen == 0) chosen = 1 + static_cast<std::size_t>(explore::below(7));
                return words[chosen];
            }
        };
        auto st = std::make_shared<state>();
        for (int i = 0; i < 2; ++i) {
            house->start_before(house->make([st = st.get()](guest& me) {
                while (st->from().load() == 0) {
                    const nanoseconds_at deadline = explore::now().count() + 50'000;
                    const int error = futex_wait(me, st->from(), 0, st->from().load() == 0 && explore::below(2) == 0 ? deadline : never);
                    check(error == 0 || error == EAGAIN || (error == ETIMEDOUT && explore::now().count() >= deadline), "for a reason");
                }
            }));
        }
        house->start_before(house->make([st = st.get()](guest& me) {
            while (st->to().load() == 0) (void)futex_wait(me, st->to(), 0);
        }));
        house->start_before(house->make([st = st.get()](guest& me) {
            const std::uint32_t zero = 0, one = 1;
            sync::futex_table::requeued done;
            me.wait(explore::now().count() + static_cast<nanoseconds_at>(explore::below(100'000)));
            {
                const section in(me);
                check(!sync::futexes.requeue(st->from(), st->to(), 1, 1, &one, done) && done.woken + done.moved == 0, "another value: nothing");
                check(sync::futexes.requeue(st->from(), st->to(), 0, 2, &zero, done), "the value");
                check(done.woken == 0 && done.moved <= 2, "moved");
            }
            for (sync::futex_word* word : {&st->from(), &st->to()}) {
                word->store(1);
                const section in(me);
                sync::futexes.wake(*word, 4);
            }
        }));
        house->wait_for_all(s);
        s.finally([st] {
            for (sync::futex_word& word : st->words) check(sync::futexes.wake(word, 4) == 0, "nobody is left");
        });
    };
}

TEST(futex_table, moving_waiters_loses_nobody_on_one_slot) { explore::expect_sound(moved(one_slot), 3000, 2000); }
TEST(futex_table, moving_waiters_loses_nobody_on_two_slots) { explore::expect_sound(moved(two_slots), 3000, 2000); }

/// A waiter is moved behind another while its deadline passes, and waits for the first word again.
body moved_while_giving_up(house_plan plan) {
    return [=](scenario& s) {
        sync::futexes.begin_anew();
        auto house = scheduler_house::open(s, plan);
        struct state {
            std::array<sync::futex_word, 8> words{};
            std::size_t chosen = 1;
        };
        auto st = std::make_shared<state>();
        guest& first = house->make([st = st.get()](guest& me) {
            st->chosen = 1 + static_cast<std::size_t>(explore::below(7));
            check(futex_wait(me, st->words[st->chosen], 0) == 0, "woken");
        });
        house->start_before(first);
        house->start_before(house->make([st = st.get()](guest& me) {
            (void)futex_wait(me, st->words[0], 0, explore::now().count() + static_cast<nanoseconds_at>(explore::below(100'000)));
            while (st->words[0].load() == 0) {
                const int error = futex_wait(me, st->words[0], 0);
                check(error == 0 || error == EAGAIN, "woken, or changed before");
            }
        }));
        house->start_before(house->make([st = st.get(), first = &first](guest& me) {
            for (ticket t{}; !first->thread::wait.current_ticket(t);) me.yield();
            me.wait(explore::now().count() + static_cast<nanoseconds_at>(explore::below(100'000)));
            sync::futex_table::requeued done;
            {
                const section in(me);
                check(sync::futexes.requeue(st->words[0], st->words[st->chosen], 0, 1, nullptr, done), "no condition");
            }
            me.wait(explore::now().count() + 200'000);
            for (sync::futex_word* word : {&st->words[0], &st->words[st->chosen]}) {
                word->store(1);
                const section in(me);
                sync::futexes.wake(*word, 4);
            }
        }));
        house->wait_for_all(s);
        s.finally([st] { check(st->words[0].load() == 1, "all were woken"); });
    };
}

TEST(futex_table, moving_one_that_gives_up_loses_nobody) { explore::expect_sound(moved_while_giving_up(two_slots), 3000, 2000); }
TEST(futex_table, trusting_the_bucket_is_found) { explore::expect_fault_found("futex.trusts_its_bucket", moved_while_giving_up(two_slots)); }

}  // namespace
