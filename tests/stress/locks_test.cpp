// SPDX-License-Identifier: BSL-1.0
//
// Mutexes, conditions and semaphores under many threads. What they guard are plain variables: the sanitizer sees whether they really do.
#include "os/clock.hpp"
#include "stress/engine.hpp"

#include <array>
#include <cerrno>
#include <gtest/gtest.h>
#include <memory>
#include <pthread.h>
#include <vector>

namespace {

using namespace weft::engine;
using namespace weft::engine::stress;

struct accounts {
    struct account {
        mutex m;
        std::uint64_t sum = 0;
    };
    std::array<account, 3> list;
    weft::engine::atomic<std::uint64_t> added{0};
};

void hammer(worker& me, const std::shared_ptr<accounts>& a, int threads, int rounds) {
    make_crowd(me, threads, [a, rounds](worker& self, int) {
        for (int round = 0; round < rounds; ++round) {
            accounts::account& one = a->list[self.below(3)];
            const bool timed = self.below(4) == 0;
            const int error = one.m.lock_until(self, timed ? os::now() + self.below(40'000) : never);
            check(error == 0 || (timed && error == ETIMEDOUT), "locked, or out of time");
            if (error != 0) continue;
            ++one.sum;
            if (self.below(16) == 0) self.yield();
            one.m.unlock(self);
            a->added.fetch_add(1);
        }
    });
}

void expect_all_added(const accounts& a) {
    std::uint64_t sum = 0;
    for (const auto& one : a.list) {
        sum += one.sum;
        check(!one.m.word.is_held() && one.m.list.empty(), "free in the end");
    }
    check(sum == a.added.load(), "nothing was lost");
}

void mutexes(const house& plan, int threads, int rounds) {
    auto a = std::make_shared<accounts>();
    run(plan, [=](worker& me) { hammer(me, a, threads, rounds); }, [=] { expect_all_added(*a); });
}

TEST(locks, mutexes_on_two_slots) { mutexes({.slots = 2}, 200, 400); }
TEST(locks, mutexes_on_four_slots) { mutexes({.slots = 4}, 200, 400); }
TEST(locks, mutexes_on_eight_slots) { mutexes({.slots = 8}, 200, 400); }
TEST(locks, mutexes_without_membarrier) { mutexes({.slots = 4, .kernel_has_barrier = false}, 100, 300); }

/// Kernel threads that the engine did not make take the same locks.
TEST(locks, mutexes_among_kernel_threads) {
    struct state : accounts {
        weft::engine::atomic<std::uint32_t> left{3};
    };
    auto a = std::make_shared<state>();
    run(
        {.slots = 2},
        [=](worker& me) {
            for (int i = 0; i < 3; ++i) {
                pthread_t handle{};
                auto* share = new std::shared_ptr<state>(a);
                check(pthread_create(
                          &handle, nullptr,
                          [](void* raw) -> void* {
                              const std::unique_ptr<std::shared_ptr<state>> own(static_cast<std::shared_ptr<state>*>(raw));
                              state& s = **own;
                              auto* self = new outsider;  // never freed: a late waker may still look at it (thread.hpp, I3)
                              self->enter();
                              for (unsigned round = 0; round < 2000; ++round) {
                                  accounts::account& one = s.list[round % 3];
                                  one.m.lock(*self);
                                  ++one.sum;
                                  one.m.unlock(*self);
                                  s.added.fetch_add(1);
                              }
                              current_thread = nullptr;
                              s.left.fetch_sub(1);
                              return nullptr;
                          },
                          share) == 0,
                      "a kernel thread");
                pthread_detach(handle);
            }
            hammer(me, a, 60, 300);
            while (a->left.load() != 0) me.sleep_for(100 * microsecond);
        },
        [=] { expect_all_added(*a); });
}

/// Boxes with room for four: producers and consumers, with a condition for each side, some of them in a hurry.
void boxes(const house& plan, int pairs, int things) {
    struct box {
        mutex m;
        sync::condition filled, emptied;
        int inside = 0;
        std::uint64_t put = 0, taken = 0;
    };
    auto b = std::make_shared<box>();
    const auto move = [](box& x, worker& me, bool put) {
        sync::condition& mine = put ? x.emptied : x.filled;
        sync::condition& theirs = put ? x.filled : x.emptied;
        x.m.lock(me);
        while (put ? x.inside == 4 : x.inside == 0) {
            {
                const section in(me);
                mine.wait(me, me.below(3) == 0 ? os::now() + me.below(60'000) : never, [&] { x.m.unlock(me); });
            }
            x.m.lock(me);
        }
        x.inside += put ? 1 : -1;
        ++(put ? x.put : x.taken);
        x.m.unlock(me);
        if (theirs.anybody()) {
            const section in(me);
            if (me.below(8) == 0) {
                theirs.broadcast();
            } else {
                theirs.signal();
            }
        }
    };
    run(
        plan,
        [=](worker& me) {
            make_crowd(me, 2 * pairs, [=](worker& self, int i) {
                for (int n = 0; n < things; ++n) move(*b, self, i % 2 == 0);
            });
        },
        [=] {
            check(b->put == static_cast<std::uint64_t>(pairs * things) && b->taken == b->put && b->inside == 0, "each thing was taken once");
        });
}

TEST(locks, conditions_on_two_slots) { boxes({.slots = 2}, 40, 400); }
TEST(locks, conditions_on_four_slots) { boxes({.slots = 4}, 40, 400); }
TEST(locks, conditions_on_eight_slots) { boxes({.slots = 8}, 40, 400); }

/// Tokens go round; those who lose patience come back for theirs.
void tokens(const house& plan, int pairs, int each) {
    auto s = std::make_shared<semaphore>();
    auto taken = std::make_shared<weft::engine::atomic<int>>(0);
    run(
        plan,
        [=](worker& me) {
            make_crowd(me, 2 * pairs, [=](worker& self, int i) {
                if (i % 2 == 0) {
                    for (int n = 0; n < each; ++n) {
                        s->post(self);
                        if (self.below(4) == 0) self.yield();
                    }
                    return;
                }
                for (int n = 0; n < each;) {
                    const bool timed = self.below(2) == 0;
                    const int error = s->wait_until(self, timed ? os::now() + self.below(40'000) : never);
                    check(error == 0 || (timed && error == ETIMEDOUT), "a token, or out of time");
                    if (error != 0) continue;
                    taken->fetch_add(1);
                    ++n;
                }
            });
        },
        [=] { check(taken->load() == pairs * each && s->word.value() == 0 && s->list.empty(), "each token was taken once"); });
}

TEST(locks, semaphores_on_two_slots) { tokens({.slots = 2}, 60, 400); }
TEST(locks, semaphores_on_four_slots) { tokens({.slots = 4}, 60, 400); }
TEST(locks, semaphores_on_eight_slots) { tokens({.slots = 8}, 60, 400); }

}  // namespace
