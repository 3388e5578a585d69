// SPDX-License-Identifier: BSL-1.0
//
// A deterministic scheduler for small concurrent tests: the same test body runs again and again, each time under another schedule, on one
// kernel thread. Every operation on an explored atomic (explored_atomic.hpp) is a schedule point, and between two points nothing else runs.
//
// I1  Same token, same schedule: nothing but the chooser decides.
// I2  Memory is x86-TSO: each virtual thread has a FIFO store buffer for its plain stores; read-modify-writes, sequentially consistent
//     stores and fences empty it; a load looks into its own buffer first.
// I3  Time is virtual. It moves only when the chooser says so, to the next deadline somebody waits for.
// I4  A failing schedule is abandoned where it stands: its stacks are kept and never run on, so `noexcept` code can be tested.
//
// Rejected: real threads with injected delays (no replay); modelling all of C++11 memory (the engine runs on x86-64; weaker orders than
// TSO's are the business of ThreadSanitizer and of the label check). Idea: relacy, loom, CHESS; search after PCT.
//
//   const auto found = explore::search({.name = "handover"}, [](explore::scenario& s) {
//       auto st = std::make_shared<state>();
//       s.thread("giver", [st] { ... });
//       s.thread("taker", [st] { ...; explore::check(x == 1, "taker saw the value"); });
//       s.finally([st] { explore::check(st->count == 2, "both counted"); });
//   });
//   EXPECT_FALSE(found.failed) << found.text;
//
// EXPLORE_RUNS=N sets the number of schedules of a search; EXPLORE_SEED=TOKEN replays the one that a failure printed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace weft::engine::explore {

/// Filled by the body of a search, afresh for each schedule.
class scenario {
public:
    virtual ~scenario() = default;
    virtual void thread(std::string name, std::function<void()> body) = 0;
    /// A thread that need not end: the schedule is over when all others have. It must own nothing when it stands in a wait for good.
    virtual void daemon(std::string name, std::function<void()> body) = 0;
    /// Memory that each virtual thread has for itself, as thread_local would be: zero at its start.
    virtual void per_thread(void* memory, std::size_t size) = 0;
    /// Runs when all threads have ended and all stores have reached memory.
    virtual void finally(std::function<void()> body) = 0;
};

enum class how : std::uint8_t {
    random,      ///< Random walk for half of the runs, PCT for the other half.
    exhaustive,  ///< All schedules within the budget (or until the runs are used up).
};

struct settings {
    std::string name = "search";
    how search = how::random;
    std::size_t runs = 4000;            ///< EXPLORE_RUNS overrides it.
    std::uint64_t seed = 1;             ///< Of the first schedule.
    unsigned bug_depth = 3;             ///< PCT: ordered steps that a mistake needs.
    unsigned budget = 2;                ///< Exhaustive: preemptions, lingering stores, early ticks.
    std::size_t longest = 20000;        ///< Steps after which a schedule counts as a livelock.
};

struct report {
    bool failed = false;
    bool complete = false;      ///< Exhaustive only: every schedule within the budget was seen.
    std::size_t schedules = 0;  ///< Run so far, the failing one included.
    std::string reason;         ///< First failed check, "deadlock: ..." or "livelock: ...".
    std::string token;          ///< For EXPLORE_SEED.
    std::string text;           ///< Reason, token and the schedule, one operation a line.
};

/// Runs schedules until one fails or the search ends.
report search(const settings& how_to, const std::function<void(scenario&)>& body);

/// Ends the schedule as a failure when `holds` is false. Does not return then, when called in a virtual thread.
void check(bool holds, const std::string& what);

/// Waits until `holds()`; explored atomics may be read in it. All threads blocked and no deadline to come is a deadlock.
void block_until(const std::function<bool()>& holds, const char* why = "block_until");
/// The same with a deadline of the virtual clock; false when the time came first.
bool block_until(const std::function<bool()>& holds, std::chrono::nanoseconds deadline, const char* why = "block_until");

/// The virtual clock; zero at the start of each schedule.
[[nodiscard]] std::chrono::nanoseconds now();
/// Lets the clock go on, without a schedule point: what reading a clock costs, so that a loop bounded by time ends.
void pass(std::chrono::nanoseconds span);
/// Waits for the virtual clock.
void sleep_until(std::chrono::nanoseconds deadline);

/// A schedule point without an operation.
void step(const char* label);
/// For the body of a spin loop: lets others go first as long as nothing has changed.
void relax();
/// Dice of the schedule, for random operations in a body.
[[nodiscard]] std::size_t below(std::size_t bound);
/// Number of the running virtual thread in order of creation; none outside of one.
inline constexpr unsigned none = ~0U;
[[nodiscard]] unsigned self();
/// Names an object in printed schedules, from setup on.
void name(const volatile void* object, const char* text);

}  // namespace weft::engine::explore
