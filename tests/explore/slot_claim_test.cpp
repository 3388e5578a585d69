// SPDX-License-Identifier: BSL-1.0
//
// core/slot_claim.hpp: a carrier that enters and leaves the engine, and a monitor that takes its slot away. At no time may two use the slot,
// and it is never lost. The entry is a plain store without a fence, which is why the monitor's barrier matters (L1).
#include "core/slot_claim.hpp"

#include "explore/expect.hpp"

#include <memory>

namespace {

using namespace weft::engine;
using explore::body;
using explore::check;
using explore::scenario;

struct carrier {
    slot_claim claim;
    atomic<int> no_preempt{0};
};

struct house {
    carrier blocked, fresh;
    int users = 0;        ///< Of the one slot, right now.
    int handed = 0;       ///< To the fresh carrier by the monitor.
    int passed_back = 0;  ///< By the fresh carrier when it has done its work.
    int released = 0;     ///< By a carrier on its own.
    void use() {
        check(++users == 1, "one user of the slot");
        explore::step("uses the slot");
        check(users == 1, "still one user of the slot");
        --users;
    }
};

/// Enters the engine, uses the slot if it is still there, leaves. False when it was gone.
bool visit(house& h, carrier& c) {
    c.no_preempt.store(1, memory_order::relaxed);  // c1
    compiler_barrier();                            // c2
    const bool ours = c.claim.confirm();           // c3
    if (ours) h.use();
    c.no_preempt.store(0, memory_order::relaxed);
    return ours;
}

enum class barrier { used, forgotten };

/// One attempt of the monitor; a slot that it got goes to the fresh carrier.
void take(house& h, barrier b) {
    std::uint32_t slot = 0;
    if (!h.blocked.claim.begin_taking(slot)) return;                                   // m1
    if (b == barrier::used) explore::barrier_everywhere();                             // m2
    const bool inside = h.blocked.no_preempt.load(memory_order::relaxed) != 0;         // m3
    if (!h.blocked.claim.finish_taking(slot, inside)) return;
    ++h.handed;
    h.fresh.claim.give(0);
    h.use();
    ++h.passed_back;
}

body takeover(barrier b, int visits, int attempts) {
    return [=](scenario& s) {
        auto h = std::make_shared<house>();
        h->blocked.claim.give(0);
        s.thread("carrier", [=] {
            for (int i = 0; i < visits && visit(*h, h->blocked); ++i) explore::step("runs user code");
        });
        s.thread("monitor", [=] {
            for (int i = 0; i < attempts; ++i) take(*h, b);
        });
        s.finally([=] {
            check(h->handed <= 1, "one slot, one taker");
            check(h->blocked.claim.holds() == (h->handed == 0), "the slot is in exactly one place");
        });
    };
}

TEST(slot_claim, carrier_and_monitor_never_both_have_the_slot) { explore::expect_sound(takeover(barrier::used, 3, 2)); }
TEST(slot_claim, without_the_barrier_they_do) { explore::expect_found(takeover(barrier::forgotten, 3, 1)); }
TEST(slot_claim, taking_from_a_carrier_inside_is_found) {
    explore::expect_fault_found("slot_claim.never_undoes", takeover(barrier::used, 3, 2));
}

/// The carrier gives its slot up by itself while the monitor tries to take it: exactly one of them passes it on.
TEST(slot_claim, release_and_takeover_pass_it_on_once) {
    explore::expect_sound([](scenario& s) {
        auto h = std::make_shared<house>();
        h->blocked.claim.give(0);
        s.thread("carrier", [=] {
            if (!visit(*h, h->blocked)) return;
            h->blocked.no_preempt.store(1, memory_order::relaxed);
            compiler_barrier();
            if (h->blocked.claim.confirm()) {
                h->use();
                if (h->blocked.claim.release()) ++h->released;
            }
            h->blocked.no_preempt.store(0, memory_order::relaxed);
        });
        s.thread("monitor", [=] {
            for (int i = 0; i < 2; ++i) take(*h, barrier::used);
        });
        s.finally([=] {
            check(h->handed + h->released == 1 || (h->handed + h->released == 0 && h->blocked.claim.holds()), "passed on once");
            check(h->blocked.claim.holds() == (h->handed + h->released == 0), "and gone from here");
        });
    });
}

/// A carrier that lets go may have another slot before the monitor is through: the monitor takes the one that it began with.
TEST(slot_claim, the_monitor_knows_which_slot_it_took) {
    explore::expect_sound([](scenario& s) {
        struct state {
            slot_claim claim;
            int users[2] = {0, 0};
            bool taken = false;
            void use(std::uint32_t slot) {
                check(++users[slot] == 1, "one user of the slot");
                explore::step("uses the slot");
                --users[slot];
            }
        };
        auto st = std::make_shared<state>();
        st->claim.give(0);
        s.thread("carrier", [=] {
            if (st->claim.confirm()) return;
            st->claim.give(1);
            if (st->claim.confirm()) st->use(1);
        });
        s.thread("monitor", [=] {
            std::uint32_t slot = 7;
            if (!st->claim.begin_taking(slot)) return;
            check(slot < 2, "a slot");
            explore::barrier_everywhere();
            // As if the carrier were inside: only when it let go is the slot taken.
            if (!st->claim.finish_taking(slot, true)) return;
            check(slot == 0, "the one that it began with");
            st->use(slot);
            st->taken = true;
        });
        s.finally([=] { check(!st->taken || st->claim.holds(), "the other slot stayed with the carrier"); });
    });
}

/// A carrier that lost its slot gets another one, and the monitor may come for that one, too.
TEST(slot_claim, a_second_slot_is_as_safe_as_the_first) {
    explore::expect_sound([](scenario& s) {
        auto h = std::make_shared<house>();
        h->blocked.claim.give(0);
        s.thread("carrier", [=] {
            for (int i = 0; i < 3; ++i) {
                if (visit(*h, h->blocked)) continue;
                explore::block_until([=] { return h->passed_back > 0; }, "waits for a slot");
                --h->passed_back;
                h->blocked.claim.give(0);
            }
        });
        s.thread("monitor", [=] {
            for (int i = 0; i < 3; ++i) take(*h, barrier::used);
        });
    });
}

}  // namespace
