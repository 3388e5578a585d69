// SPDX-License-Identifier: BSL-1.0
//
// The search loop, and the free functions that code under test reaches the machine through.
#include "explore/explorer.hpp"

#include "explore/chooser.hpp"
#include "explore/explored_atomic.hpp"
#include "explore/machine.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace weft::engine::explore {
namespace {

std::size_t number_of_runs(std::size_t wanted) {
    const char* const text = std::getenv("EXPLORE_RUNS");
    if (text == nullptr) return wanted;
    const unsigned long given = std::strtoul(text, nullptr, 10);
    return given == 0 ? wanted : given;
}

/// The machine when the caller stands in a virtual thread, else null.
machine* in_thread() noexcept {
    machine* const m = machine::current();
    return m != nullptr && m->in_thread() ? m : nullptr;
}

/// Runs up to `runs` schedules of one search; true when one failed.
bool run_some(chooser& decisions, std::size_t runs, const settings& how_to, const std::function<void(scenario&)>& body, report& found) {
    for (std::size_t i = 0; i < runs; ++i) {
        if (!decisions.next_schedule()) {
            found.complete = true;
            return false;
        }
        ++found.schedules;
        auto m = std::make_unique<machine>(decisions, how_to.longest);
        if (m->run(body)) continue;
        found.failed = true;
        found.reason = m->reason();
        found.token = decisions.token();
        found.text = how_to.name + ": " + found.reason + "\n  schedule " + std::to_string(found.schedules) + "; replay with EXPLORE_SEED=" +
                     found.token + "\n" + m->trace();
        return true;
    }
    return false;
}

}  // namespace

report search(const settings& how_to, const std::function<void(scenario&)>& body) {
    report found;
    if (const char* const token = std::getenv("EXPLORE_SEED"); token != nullptr) {
        const auto decisions = make_replay(token, how_to.bug_depth, how_to.budget);
        if (decisions == nullptr) {
            std::fprintf(stderr, "explore: EXPLORE_SEED=%s is not a token that a failure printed\n", token);
            std::exit(2);
        }
        run_some(*decisions, 1, how_to, body, found);
        return found;
    }
    const std::size_t runs = number_of_runs(how_to.runs);
    if (how_to.search == how::exhaustive) {
        run_some(*make_exhaustive(how_to.budget), runs, how_to, body, found);
        return found;
    }
    if (!run_some(*make_random_walk(how_to.seed), (runs + 1) / 2, how_to, body, found)) {
        run_some(*make_pct(how_to.seed, how_to.bug_depth), runs / 2, how_to, body, found);
    }
    return found;
}

void check(bool holds, const std::string& what) {
    if (holds) return;
    if (machine* const m = machine::current(); m != nullptr) {
        m->fail("check failed: " + what);
        return;
    }
    std::fprintf(stderr, "explore: check outside of a search failed: %s\n", what.c_str());
    std::abort();
}

void block_until(const std::function<bool()>& holds, const char* why) {
    if (machine* const m = in_thread()) m->block(holds, std::nullopt, why);
}

bool block_until(const std::function<bool()>& holds, std::chrono::nanoseconds deadline, const char* why) {
    machine* const m = in_thread();
    return m == nullptr ? holds() : m->block(holds, deadline, why);
}

std::chrono::nanoseconds now() {
    const machine* const m = machine::current();
    return m == nullptr ? std::chrono::nanoseconds{0} : m->now();
}

void pass(std::chrono::nanoseconds span) {
    if (machine* const m = in_thread()) m->pass(span);
}

void sleep_until(std::chrono::nanoseconds deadline) {
    block_until([] { return false; }, deadline, "sleep");
}

void step(const char* label) {
    if (machine* const m = in_thread()) m->point(label, nullptr);
}

void relax() {
    if (machine* const m = in_thread()) m->relax();
}

std::size_t below(std::size_t bound) {
    machine* const m = machine::current();
    return m == nullptr ? 0 : m->decisions().below(bound);
}

unsigned self() {
    const machine* const m = machine::current();
    return m == nullptr ? none : m->self();
}

void name(const volatile void* object, const char* text) {
    if (machine* const m = machine::current()) m->name(object, text);
}

namespace memory {

void point(const char* label, const volatile void* object) noexcept {
    if (machine* const m = in_thread()) m->point(label, object);
}

void read(const volatile void* object, void* out, std::size_t size) noexcept {
    machine* const m = machine::current();
    // A condition of block_until sees what its own thread sees, so buffers count there too.
    if (m != nullptr && m->self() != none) {
        m->read(object, out, size);
    } else {
        std::memcpy(out, const_cast<const void*>(object), size);
    }
}

void store(volatile void* object, const void* value, std::size_t size) noexcept {
    if (machine* const m = in_thread()) {
        m->store(object, value, size);
    } else {
        std::memcpy(const_cast<void*>(object), value, size);
    }
}

void write(volatile void* object, const void* value, std::size_t size) noexcept {
    if (machine* const m = in_thread()) {
        m->write(object, value, size);
    } else {
        std::memcpy(const_cast<void*>(object), value, size);
    }
}

void flush() noexcept {
    if (machine* const m = in_thread()) m->flush();
}

void note(std::uint64_t value) noexcept {
    if (machine* const m = in_thread()) m->note(value);
}

bool spurious() noexcept {
    machine* const m = in_thread();
    return m != nullptr && m->decisions().trouble();
}

void forget(const volatile void* object) noexcept {
    if (machine* const m = machine::current()) m->forget(object);
}

}  // namespace memory

void barrier_everywhere() noexcept {
    if (machine* const m = in_thread()) {
        m->point("barrier_everywhere", nullptr);
        m->flush_all();
    }
}

void spin_hint() noexcept { relax(); }

int futex_wait(atomic<std::uint32_t>& word, std::uint32_t expected, std::int64_t deadline) noexcept {
    machine* const m = in_thread();
    return m == nullptr ? 0 : m->futex_wait(&word, expected, deadline);
}

void sleep_for(std::int64_t span) noexcept { sleep_until(now() + std::chrono::nanoseconds(span)); }

void futex_wake(atomic<std::uint32_t>& word, int count) noexcept {
    if (machine* const m = in_thread()) m->futex_wake(&word, count);
}

}  // namespace weft::engine::explore
