// SPDX-License-Identifier: BSL-1.0
//
// The engine's real scheduler and monitor under the explorer: loop.cpp, ready.cpp, switch.cpp, timers.cpp and monitor.cpp are compiled as
// they are, with explored atomics. Carriers and the monitor are the explorer's virtual threads; Weft threads have stacks of their own and are
// switched by the real context switch, which the explorer does not even notice. Replaced are carriers.cpp, which makes kernel threads, and
// what the monitor asks the kernel: whether a carrier is blocked is the schedule's choice, because a true answer may be stale at once.
#pragma once

#include "core/scheduler.hpp"
#include "core/section.hpp"
#include "explore/explorer.hpp"
#include "rescue/monitor.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace weft::engine::explore {

class scheduler_house;

/// A Weft thread of a test.
struct guest : thread {
    scheduler_house* house = nullptr;
    std::function<void(guest&)> body;
    bool retired = false;
    atomic<std::uint64_t> published{0};  ///< Ticket of its latest wait, as a wait list would hold it.

    /// Waits as the engine's clients do.
    wake_reason wait(nanoseconds_at deadline = never);
    void yield();
    /// Uses its slot in an engine section, and notices if somebody else does, too.
    void use_slot();
};

struct house_plan {
    std::uint32_t slots = 2;
    std::uint32_t carriers = 2;      ///< That sleep or hold a slot from the start: the first `slots` of them hold one.
    std::uint32_t spare = 0;         ///< That may be made later; beyond them making a carrier fails.
    bool kernel_has_barrier = true;  ///< membarrier; else fences.
    bool monitor = false;            ///< Runs, and takes slots away whenever the schedule says that a carrier is blocked.
};

/// One scheduler with its carriers and threads; lives for one schedule.
class scheduler_house {
public:
    static std::shared_ptr<scheduler_house> open(scenario& s, const house_plan& plan);
    ~scheduler_house();
    scheduler_house(const scheduler_house&) = delete;
    scheduler_house& operator=(const scheduler_house&) = delete;

    /// Makes a thread; start() puts it into the global queue before the schedule begins, or a running guest starts it.
    guest& make(std::function<void(guest&)> body);
    void start_before(guest& g);
    void start_from(guest& parent, guest& g);
    /// Wakes `g`'s wait `t` from a kernel thread that is no carrier.
    bool wake_from_outside(guest& g, ticket t, wake_reason why);
    bool wake_from(guest& waker, thread& woken, ticket t, wake_reason why);
    /// The latest ticket that `g` published; waits for number `wait` (1, 2, ...).
    static ticket await_ticket(guest& g, std::uint64_t wait = 1);

    /// Fails if some guest is in use_slot().
    void nobody_inside() const;

    /// Adds the thread that the schedule waits for: it ends when all guests have retired.
    void wait_for_all(scenario& s);
    [[nodiscard]] bool all_retired() const;

    scheduler& engine = the_scheduler;  ///< Made anew for each house: parts of the engine name it.
    std::vector<std::unique_ptr<carrier>> carriers;
    std::uint32_t spare_used = 0;
    std::uint32_t questions = 0;  ///< Of the monitor to the kernel.
    std::function<void()> on_signal;  ///< The engine signalled some kernel thread.

private:
    explicit scheduler_house(const house_plan& plan);
    friend class weft::engine::scheduler;
    friend struct guest;
    static void guest_entry(void* raw);
    house_plan plan_;
    void (*loop_)(void* carrier) = nullptr;
    std::unique_ptr<slot[]> slots_;
    std::vector<int> users_;  ///< Of each slot, at use_slot().
    std::unique_ptr<weft::engine::monitor> monitor_;
    std::vector<std::unique_ptr<guest>> guests_;
    std::vector<std::unique_ptr<unsigned char[]>> stacks_;
};

}  // namespace weft::engine::explore
