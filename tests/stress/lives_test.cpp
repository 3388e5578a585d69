// SPDX-License-Identifier: BSL-1.0
//
// Threads begin and end all the time: stacks and records are used again while late wakers still hold tickets of earlier lives.
#include "stress/engine.hpp"

#include <gtest/gtest.h>
#include <memory>

namespace {

using namespace weft::engine;
using namespace weft::engine::stress;

/// A child that ends wakes its parent: by running it next on its slot, or as anybody would.
struct family {
    weft::engine::atomic<std::uint64_t> ended{0};
    weft::engine::atomic<std::uint64_t> as_successor{0};
};

void one_generation(worker& parent, family& f, int rounds) {
    for (int round = 0; round < rounds; ++round) {
        const ticket t = [&] {
            const section in(parent);
            return parent.wait.prepare();
        }();
        make_thread(parent, [&f, &parent, t](worker& child) {
            if (child.below(2) == 0) child.yield();
            f.ended.fetch_add(1);
            const section in(child);
            if (child.below(2) == 0) {
                check(the_scheduler.wake(parent, t, wake_reason::owner), "nobody else wakes it");
                return;
            }
            switch (parent.wait.claim(t, wake_reason::owner)) {
                case claim_result::parked:
                    child.end_with(parent);
                    f.as_successor.fetch_add(1);
                    break;
                case claim_result::running:
                    break;
                case claim_result::lost:
                    check(false, "nobody else wakes it");
            }
        });
        const section in(parent);
        check(parent.on->home->park(parent, t) == wake_reason::owner, "woken by its child");
    }
}

void families(const house& plan, int parents, int rounds) {
    auto f = std::make_shared<family>();
    run(
        plan,
        [=](worker& me) { make_crowd(me, parents, [f, rounds](worker& self, int) { one_generation(self, *f, rounds); }); },
        [=] {
            const counts c = threads_so_far();
            check(c.made == c.retired && c.made == static_cast<std::uint64_t>(parents + parents * rounds), "all have ended");
            check(f->ended.load() == static_cast<std::uint64_t>(parents * rounds), "each child once");
        });
}

TEST(lives, children_wake_their_parents_on_two_slots) { families({.slots = 2}, 60, 40); }
TEST(lives, children_wake_their_parents_on_four_slots) { families({.slots = 4}, 60, 40); }
TEST(lives, children_wake_their_parents_on_eight_slots) { families({.slots = 8}, 60, 40); }
TEST(lives, children_wake_their_parents_without_membarrier) { families({.slots = 4, .kernel_has_barrier = false}, 40, 40); }

/// Each starts two more, down to the last generation; nobody waits for anybody.
void tree(worker& me, int depth) {
    if (depth == 0) return;
    for (int i = 0; i < 2; ++i) {
        make_thread(me, [depth](worker& self) {
            if (self.below(3) == 0) self.yield();
            tree(self, depth - 1);
        });
    }
}

void trees(const house& plan, int depth) {
    run(plan, [=](worker& me) { tree(me, depth); },
        [=] {
            const counts c = threads_so_far();
            check(c.made == c.retired && c.made == (std::uint64_t{2} << depth) - 2, "all of the tree");
        });
}

TEST(lives, a_tree_of_threads_on_two_slots) { trees({.slots = 2}, 9); }
TEST(lives, a_tree_of_threads_on_eight_slots) { trees({.slots = 8}, 9); }

}  // namespace
