// SPDX-License-Identifier: BSL-1.0
//
// Reader-writer locks, barriers and the futex table under many threads. What they guard are plain variables: the sanitizer sees whether
// they really do.
#include "os/clock.hpp"
#include "stress/engine.hpp"
#include "sync/barrier.hpp"
#include "sync/futex_table.hpp"
#include "sync/rwlock.hpp"

#include <cerrno>
#include <gtest/gtest.h>
#include <memory>
#include <vector>

namespace {

using namespace weft::engine;
using namespace weft::engine::stress;

struct rwlock {
    sync::rwlock_word word;
    sync::wait_list readers, writers;
    sync::prefers kind = sync::prefers::readers;

    sync::rwlock_queues queues() { return {readers, writers, kind}; }
    int read_until(worker& me, nanoseconds_at deadline) {
        if (word.try_read() == 0) return 0;
        const section in(me);
        return word.read_slow(me, queues(), deadline);
    }
    int write_until(worker& me, nanoseconds_at deadline) {
        if (word.try_write()) return 0;
        const section in(me);
        return word.write_slow(me, queues(), deadline);
    }
    void unlock_read(worker& me) {
        if (word.unlock_read_fast()) return;
        const section in(me);
        word.unlock_read_slow(queues());
    }
    void unlock_write(worker& me) {
        if (word.unlock_write_fast()) return;
        const section in(me);
        word.unlock_write_slow(queues());
    }
};

void readers_and_writers(const house& plan, sync::prefers kind, int threads, int turns) {
    struct state {
        rwlock l;
        std::uint64_t left = 0, right = 0;
        weft::engine::atomic<std::uint64_t> written{0};
    };
    auto st = std::make_shared<state>();
    st->l.kind = kind;
    run(
        plan,
        [=](worker& me) {
            make_crowd(me, threads, [=](worker& self, int) {
                for (int turn = 0; turn < turns; ++turn) {
                    const bool writes = self.below(4) == 0, timed = self.below(4) == 0;
                    const nanoseconds_at deadline = timed ? os::now() + self.below(40'000) : never;
                    const int error = writes ? st->l.write_until(self, deadline) : st->l.read_until(self, deadline);
                    check(error == 0 || (timed && error == ETIMEDOUT), "locked, or out of time");
                    if (error != 0) continue;
                    if (writes) {
                        ++st->left;
                        if (self.below(16) == 0) self.yield();
                        ++st->right;
                        st->l.unlock_write(self);
                        st->written.fetch_add(1);
                    } else {
                        const std::uint64_t seen = st->left;
                        if (self.below(16) == 0) self.yield();
                        check(seen == st->right, "no writer inside");
                        st->l.unlock_read(self);
                    }
                }
            });
        },
        [=] {
            check(st->left == st->written.load() && st->right == st->left, "nothing was lost");
            check(!st->l.word.is_held() && st->l.readers.empty() && st->l.writers.empty(), "free in the end");
        });
}

TEST(shared_locks, readers_first) { readers_and_writers({.slots = 4}, sync::prefers::readers, 150, 300); }
TEST(shared_locks, writers_first) { readers_and_writers({.slots = 4}, sync::prefers::writers, 150, 300); }
TEST(shared_locks, writers_strictly_first) { readers_and_writers({.slots = 4}, sync::prefers::writers_strictly, 150, 300); }
TEST(shared_locks, writers_strictly_first_on_eight_slots) { readers_and_writers({.slots = 8}, sync::prefers::writers_strictly, 150, 300); }

/// Each writes its place before the barrier and reads all places after it.
void rounds(const house& plan, int threads, int turns) {
    struct state {
        explicit state(int n) : b(static_cast<std::uint32_t>(n)), places(static_cast<std::size_t>(n)) {}
        sync::barrier b;
        std::vector<int> places;
        int completed = 0;
    };
    auto st = std::make_shared<state>(threads);
    run(
        plan,
        [=](worker& me) {
            make_crowd(me, threads, [=](worker& self, int number) {
                const auto arrive = [&] {
                    std::uint32_t round = 0;
                    const section in(self);
                    const sync::barrier::outcome result = st->b.arrive(self, round);
                    check(result != sync::barrier::outcome::interrupted, "no signals here");
                    return result == sync::barrier::outcome::completed;
                };
                for (int turn = 1; turn <= turns; ++turn) {
                    st->places[static_cast<std::size_t>(number)] = turn;
                    if (arrive()) ++st->completed;
                    for (const int place : st->places) check(place == turn, "all have arrived");
                    (void)arrive();
                }
            });
        },
        [=] { check(st->completed == turns, "one completes a round"); });
}

TEST(shared_locks, barriers_on_two_slots) { rounds({.slots = 2}, 60, 150); }
TEST(shared_locks, barriers_on_eight_slots) { rounds({.slots = 8}, 60, 150); }

/// A lock made of a futex; some who wait for it are moved to a second word, and fetched from there.
void futexes(const house& plan, int threads, int turns) {
    struct state {
        sync::futex_word word{0}, elsewhere{0};
        std::uint64_t sum = 0;
    };
    auto st = std::make_shared<state>();
    run(
        plan,
        [=](worker& me) {
            make_crowd(me, threads, [=](worker& self, int) {
                const auto wake = [&](sync::futex_word& word, int most) {
                    const section in(self);
                    sync::futexes.wake(word, most);
                };
                for (int turn = 0; turn < turns; ++turn) {
                    std::uint32_t seen = 0;
                    if (!st->word.compare_exchange_strong(seen, 1)) {
                        while (st->word.exchange(2) != 0) {
                            const nanoseconds_at deadline = self.below(3) == 0 ? os::now() + self.below(60'000) : never;
                            const section in(self);
                            const int error = sync::futexes.wait(self, st->word, 2, sync::futex_table::any, deadline);
                            check(error == 0 || error == EAGAIN || (error == ETIMEDOUT && deadline != never), "for a reason");
                        }
                    }
                    ++st->sum;
                    if (self.below(8) == 0) {
                        sync::futex_table::requeued done;
                        {
                            const section in(self);
                            check(sync::futexes.requeue(st->word, st->elsewhere, 1, 8, nullptr, done), "no condition");
                        }
                        if (self.below(2) == 0) self.yield();
                        wake(st->elsewhere, 1000);
                    }
                    if (st->word.exchange(0) == 2) wake(st->word, 1);
                }
            });
        },
        [=] { check(st->sum == static_cast<std::uint64_t>(threads) * static_cast<std::uint64_t>(turns), "alone inside"); });
}

TEST(shared_locks, futexes_on_two_slots) { futexes({.slots = 2}, 100, 300); }
TEST(shared_locks, futexes_on_eight_slots) { futexes({.slots = 8}, 100, 300); }

}  // namespace
