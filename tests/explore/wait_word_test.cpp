// SPDX-License-Identifier: BSL-1.0
//
// core/wait_word.hpp under all schedules: exactly one waker wins, early wakes are remembered, stale tickets do nothing, and the thread is
// made ready by exactly one side.
#include "core/wait_word.hpp"

#include "explore/expect.hpp"

#include <array>
#include <memory>

namespace {

using namespace weft::engine;
using explore::body;
using explore::check;
using explore::scenario;

struct waiting_thread {
    wait_word word;
    atomic<std::uint64_t> published{0};  ///< The ticket, as a wait list would hold it.
    int made_ready = 0;                  ///< By a winner that found it parked.
    int wins = 0;
    wake_reason winner = wake_reason::none;

    ticket begin() {
        const ticket t = word.prepare();
        published.store(static_cast<std::uint64_t>(t), memory_order::release);
        return t;
    }
    /// What the carrier does with a thread that wants to park; returns when the thread may run again.
    void park() {
        if (!word.commit()) return;
        explore::block_until([this] { return made_ready > 0; }, "park");
        --made_ready;
    }
    ticket await_ticket(std::uint64_t at_least = 1) {
        explore::block_until([this, at_least] { return published.load() >= at_least; }, "ticket");
        return ticket{published.load(memory_order::acquire)};
    }
    claim_result wake(ticket t, wake_reason why) {
        const claim_result got = word.claim(t, why);
        if (got == claim_result::lost) return got;
        ++wins;
        winner = why;
        if (got == claim_result::parked) check(++made_ready == 1, "made ready once");
        return got;
    }
};

constexpr std::array reasons{wake_reason::owner, wake_reason::deadline, wake_reason::interrupt};

void three_wakers(scenario& s) {
    auto w = std::make_shared<waiting_thread>();
    s.thread("waiter", [w] {
        w->begin();
        w->park();
        check(w->wins == 1, "woken by a winner");
        check(w->word.reason() == w->winner, "the reason is the winner's");
    });
    for (const wake_reason why : reasons) {
        s.thread("waker", [w, why] { w->wake(w->await_ticket(), why); });
    }
    s.finally([w] {
        check(w->wins == 1, "exactly one wins");
        check(w->made_ready == 0, "nobody makes a running thread ready");
    });
}

TEST(wait_word, of_owner_deadline_and_interrupt_exactly_one_wins) { explore::expect_sound(three_wakers); }

TEST(wait_word, overwriting_an_early_wake_is_found) { explore::expect_fault_found("wait_word.commit_overwrites", three_wakers); }

/// The deadline's ticket is taken in the first wait and used whenever; that is what a timer node does.
void stale_ticket(scenario& s) {
    auto w = std::make_shared<waiting_thread>();
    auto stale = std::make_shared<ticket>();
    s.thread("waiter", [w, stale] {
        *stale = w->begin();
        w->park();
        const int before = w->wins;
        check(before == 1, "first wait: one winner");
        w->begin();
        w->park();
        check(w->word.reason() == wake_reason::owner, "second wait: ended by its owner");
    });
    s.thread("late deadline", [w, stale] {
        w->await_ticket();
        explore::step("the timer fires");
        w->wake(*stale, wake_reason::deadline);
    });
    s.thread("owner of the first", [w, stale] {
        w->await_ticket();
        w->wake(*stale, wake_reason::owner);
    });
    s.thread("owner of the second", [w] { w->wake(w->await_ticket(2), wake_reason::owner); });
    s.finally([w] { check(w->wins == 2 && w->made_ready == 0, "two waits, two winners"); });
}

TEST(wait_word, late_waker_cannot_end_the_next_wait) { explore::expect_sound(stale_ticket); }

TEST(wait_word, owner_may_follow_a_thread_through_two_waits) {
    // The owner's first claim may come when the deadline has won already; it must then lose, whatever the thread does meanwhile.
    explore::expect_sound([](scenario& s) {
        auto w = std::make_shared<waiting_thread>();
        s.thread("waiter", [w] {
            w->begin();
            w->park();
            w->begin();
            if (w->word.woken()) {
                check(w->word.cancel() == wake_reason::owner, "woken before parking");
            } else {
                w->park();
            }
        });
        s.thread("deadline", [w] { w->wake(ticket{1}, wake_reason::deadline); });
        s.thread("owner", [w] {
            w->wake(w->await_ticket(), wake_reason::owner);
            w->wake(w->await_ticket(2), wake_reason::owner);
        });
    });
}

TEST(wait_word, ignoring_the_epoch_is_found) { explore::expect_fault_found("wait_word.ignores_epoch", stale_ticket); }

/// The waiter gives up before parking: either nobody had won and every later claim loses, or it learns who won.
void cancelling(scenario& s) {
    auto w = std::make_shared<waiting_thread>();
    auto cancelled = std::make_shared<wake_reason>(wake_reason::none);
    s.thread("waiter", [w, cancelled] {
        w->begin();
        explore::step("looks once more");
        *cancelled = w->word.cancel();
        if (*cancelled == wake_reason::none) check(w->wins == 0, "nobody won");
    });
    for (const wake_reason why : reasons) {
        s.thread("waker", [w, why] { check(w->wake(w->await_ticket(), why) != claim_result::parked, "it never parked"); });
    }
    s.finally([w, cancelled] {
        check(w->winner == *cancelled, "cancel names the winner");
        check(w->wins == (*cancelled == wake_reason::none ? 0 : 1), "at most one wins");
    });
}

TEST(wait_word, cancel_and_claim_agree) { explore::expect_sound(cancelling); }

/// What the winner wrote before its claim is there when the waiter goes on, and the other way round.
TEST(wait_word, values_are_handed_over) {
    explore::expect_sound([](scenario& s) {
        struct exchange_of_values {
            waiting_thread w;
            atomic<int> request{0}, answer{0};
        };
        auto x = std::make_shared<exchange_of_values>();
        s.thread("waiter", [x] {
            x->request.store(7, memory_order::relaxed);
            x->w.begin();
            x->w.park();
            check(x->answer.load(memory_order::relaxed) == 8, "the answer came with the wake-up");
        });
        s.thread("waker", [x] {
            ticket t{};
            explore::block_until([x] { return x->w.published.load() != 0; });
            check(x->w.word.current_ticket(t), "a thread that published its ticket waits");
            x->answer.store(x->request.load(memory_order::relaxed) + 1, memory_order::relaxed);
            check(x->w.wake(t, wake_reason::interrupt) != claim_result::lost, "the only waker wins");
        });
    });
}

}  // namespace
