// SPDX-License-Identifier: BSL-1.0
//
// Who decides at a schedule point. The machine lists what may happen next; a chooser picks one entry. Everything that is not fixed by the
// code under test comes from here (the next step, whether a store lingers in its buffer, a spurious failure, a test's own dice), so a
// schedule is a function of the chooser's state alone and can be replayed.
//
// Three ways to search, because they find different things:
//   random_walk  every step by weighted dice; the weights themselves are drawn anew for each schedule, so that some schedules hop between
//                threads at each operation and others let stores linger for long.
//   pct          random priorities and d - 1 priority changes (Burckhardt, Kothari, Musuvathi, Nagarakatte, ASPLOS 2010): a mistake that
//                needs d ordered steps is found with probability >= 1 / (n * k^(d-1)) in each schedule.
//   exhaustive   depth first over all schedules with at most `budget` deviations (a preemption, a lingering store, an early clock tick).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace weft::engine::explore {

/// One thing that may happen next.
struct action {
    enum class kind : std::uint8_t {
        run,    ///< The thread performs its next operation.
        drain,  ///< The oldest store in the thread's buffer reaches memory.
        tick,   ///< The virtual clock jumps to the earliest deadline; `thread` means nothing.
    };
    kind what = kind::run;
    unsigned thread = 0;
    bool preempts = false;  ///< Takes the processor from a thread that could go on, or moves the clock before it must.
};

class chooser {
public:
    chooser() = default;
    chooser(const chooser&) = delete;
    chooser& operator=(const chooser&) = delete;
    virtual ~chooser() = default;

    /// Prepares the next schedule; false when the search space is used up.
    virtual bool next_schedule() = 0;
    /// Index of what happens next; `options` is never empty, and going on with the running thread comes first where that is possible.
    virtual std::size_t pick(std::span<const action> options) = 0;
    /// Does a store that may linger in its thread's buffer do so?
    virtual bool store_lingers() = 0;
    /// A number below `bound` for dice inside a scenario.
    virtual std::size_t below(std::size_t bound) = 0;
    /// Injected trouble (spurious compare-exchange failure, interrupted wait).
    virtual bool trouble() = 0;
    /// What EXPLORE_SEED must hold to run the current schedule again.
    [[nodiscard]] virtual std::string token() const = 0;
};

std::unique_ptr<chooser> make_random_walk(std::uint64_t seed);
std::unique_ptr<chooser> make_pct(std::uint64_t seed, unsigned bug_depth);
std::unique_ptr<chooser> make_exhaustive(unsigned budget);
/// Runs one schedule only, named by a token; null when the token says nothing sensible.
std::unique_ptr<chooser> make_replay(const std::string& token, unsigned bug_depth, unsigned budget);

}  // namespace weft::engine::explore
