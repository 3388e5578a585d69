// SPDX-License-Identifier: BSL-1.0
//
// Runs the engine for real inside a test: the scheduler, its monitor, and threads on borrowed thread-local storage (thread_pointer == 0), which
// sanitizers can follow. Each run is a process of its own, because there is one scheduler in a process and it never ends.
//
// Rules for bodies: no thread-local variable and no errno across anything that may switch; no lock of libc's held across it either.
#pragma once

#include "core/scheduler.hpp"
#include "core/section.hpp"
#include "sync/condition.hpp"
#include "sync/mutex.hpp"
#include "sync/semaphore.hpp"

#include <cstdint>
#include <functional>
#include <random>

namespace weft::engine::stress {

/// An engine thread of a test. Its memory is used again for later threads, and never unmapped (thread.hpp, I3).
struct worker : thread {
    std::function<void(worker&)> body;
    worker* successor = nullptr;  ///< Claimed and parked: to run at once when this one ends (see end_with).
    void* low = nullptr;          ///< Of its stack.
    std::minstd_rand dice{1};

    std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(dice()) % bound; }
    void yield() {
        const section in(*this);
        on->home->yield(*this);
    }
    void sleep_for(nanoseconds span);
    /// The caller has claimed the wait of `parked` (claim_result::parked): that one runs next on this slot, as soon as the caller ends.
    void end_with(worker& parked) { successor = &parked; }
};

/// A kernel thread of the test's own, as the faces adopt it.
struct outsider : thread {
    outsider() {
        kind = thread_kind::foreign;
        no_preempt.set(0);
    }
    /// On that kernel thread, first of all.
    void enter() { current_thread = this; }
};

/// Starts a thread. On an engine thread.
worker& make_thread(worker& parent, std::function<void(worker&)> body);

/// Starts `threads` of them at once: none begins before all exist (making one takes long under ThreadSanitizer). Each is told its number.
void make_crowd(worker& parent, int threads, const std::function<void(worker&, int)>& body);

struct counts {
    std::uint64_t made = 0, retired = 0;
};
[[nodiscard]] counts threads_so_far();

struct house {
    std::uint32_t slots = 2;
    bool kernel_has_barrier = true;
};

/// In a new process: starts the engine, runs `body` as its first thread, waits until every thread has retired, and then runs `after`. The
/// test fails unless the process ends well.
void run(const house& plan, const std::function<void(worker&)>& body, const std::function<void()>& after = {});
/// The same, and returns how the process ended: its exit status, or 128 and the signal.
int how_it_ends(const house& plan, const std::function<void(worker&)>& body, const std::function<void()>& after = {});
/// In that process: ends it as failed.
void check(bool holds, const char* what);

/// A mutex and a semaphore as a face would lay them out.
struct mutex {
    sync::mutex_word word;
    sync::wait_list list;

    int lock_until(thread& me, nanoseconds_at deadline);
    void lock(thread& me) { check(lock_until(me, never) == 0, "an untimed lock succeeds"); }
    void unlock(thread& me);
};
struct semaphore {
    sync::semaphore_word word;
    sync::wait_list list;

    int wait_until(thread& me, nanoseconds_at deadline);
    void wait(thread& me) { check(wait_until(me, never) == 0, "an untimed wait gets a token"); }
    void post(thread& me);
};

}  // namespace weft::engine::stress
