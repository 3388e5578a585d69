// SPDX-License-Identifier: BSL-1.0
#include "stress/engine.hpp"

#include "arch/context.hpp"
#include "base/spinlock.hpp"
#include "mem/thread_block.hpp"
#include "os/clock.hpp"
#include "os/features.hpp"
#include "os/futex.hpp"
#include "rescue/monitor.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <gtest/gtest.h>
#include <memory>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
// The child ends by _exit, so a report must end it at once. (A report by the monitor, which has no descriptors, is seen with
// TSAN_OPTIONS=log_path=FILE.)
extern "C" const char* __tsan_default_options() { return "halt_on_error=1 atexit_sleep_ms=0"; }
#endif

namespace weft::engine::stress {
namespace {

constexpr std::size_t stack_bytes = 128U * 1024U;

weft::engine::atomic<std::uint64_t> made{0};
weft::engine::atomic<std::uint64_t> retired{0};
spinlock free_lock;
fifo<thread, &thread::next> free_workers;
weft::engine::atomic<std::uint32_t> all_done{0};

/// Nobody stands on its stack any more: it may be used again. Runs on the scheduler's stack: nothing here allocates or waits.
void note_retired(thread& t) {
    {
        const locked hold(free_lock);
        free_workers.push(t);
    }
    retired.fetch_add(1);
}

void thread_entry(void* raw) noexcept {
    auto& me = *static_cast<worker*>(raw);
    me.on->home->finish_switch(me);
    if (me.no_preempt.lower() == 0 && me.pending.load() != 0) attend(me);
    me.body(me);
    me.body = nullptr;
    const section in(me);
    the_scheduler.retire(me, me.successor);
}

worker& fresh_worker() {
    {
        const locked hold(free_lock);
        if (thread* t = free_workers.pop()) return static_cast<worker&>(*t);
    }
    auto* w = new worker;
    w->low = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check(w->low != MAP_FAILED, "memory for a stack");
    return *w;
}

struct child_run {
    const house& plan;
    const std::function<void(worker&)>& body;
};

[[noreturn]] void fail_now(const char* what) {
    std::fprintf(stderr, "stress: %s\n", what);
    std::fflush(stderr);
    _exit(1);
}

void* monitor_body(void* raw) {
    static_cast<monitor*>(raw)->run();
    return nullptr;
}

/// The kernel thread that becomes the first carrier, and the engine's first thread on it.
void* first_thread(void* raw) {
    const auto& run = *static_cast<child_run*>(raw);
    // None of the two ever ends: the engine's first thread parks for good, on whichever carrier.
    auto& me = *new worker;
    auto& watcher = *new monitor(the_scheduler);
    me.no_preempt.set(0);
    current_thread = &me;
    if (the_scheduler.start(me, {.parallelism = run.plan.slots, .most_carriers = 200}, {.retired = note_retired}) != 0) fail_now("start");
    pthread_t handle{};
    if (pthread_create(&handle, nullptr, monitor_body, &watcher) != 0) fail_now("monitor");
    run.body(me);
    while (retired.load() != made.load()) me.sleep_for(100 * microsecond);
    all_done.store(1);
    os::futex_wake(all_done, 1);
    for (;;) me.sleep_for(second);
}

[[noreturn]] void be_the_child(const house& plan, const std::function<void(worker&)>& body, const std::function<void()>& after) {
    os::probe();
    mem::probe_glibc(false);  // a carrier's memory is laid out with room for a thread block, used or not
    if (!plan.kernel_has_barrier) os::machine.global_barrier = false;
    child_run run{plan, body};
    pthread_t handle{};
    if (pthread_create(&handle, nullptr, first_thread, &run) != 0) fail_now("first thread");
    while (all_done.load() == 0) os::futex_wait(all_done, 0);
    if (after) after();
    std::printf("made %lu retired %lu switches %lu rescues %lu carriers %u\n", made.load(), retired.load(), the_scheduler.switches(),
                the_scheduler.rescues.load(), the_scheduler.carriers_most());
    std::fflush(stdout);
    _exit(0);
}

}  // namespace

void check(bool holds, const char* what) {
    if (!holds) fail_now(what);
}

counts threads_so_far() { return {made.load(), retired.load()}; }

int how_it_ends(const house& plan, const std::function<void(worker&)>& body, const std::function<void()>& after) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) be_the_child(plan, body, after);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void run(const house& plan, const std::function<void(worker&)>& body, const std::function<void()>& after) {
    EXPECT_EQ(how_it_ends(plan, body, after), 0);
}

worker& make_thread(worker& parent, std::function<void(worker&)> body) {
    worker& w = fresh_worker();
    w.body = std::move(body);
    w.successor = nullptr;
    w.dice.seed(static_cast<unsigned>(made.fetch_add(1) * 7919 + 1));
    w.signal_mask = parent.signal_mask;
    w.pending.store(0);
    w.no_preempt.set(1);
    w.context = arch::make_context(static_cast<char*>(w.low) + stack_bytes, thread_entry, &w);
    w.stack.created(w.low, stack_bytes);
    const section in(parent);
    the_scheduler.start_thread(w);
    return w;
}

void make_crowd(worker& parent, int threads, const std::function<void(worker&, int)>& body) {
    auto gate = std::make_shared<semaphore>();
    for (int i = 0; i < threads; ++i) {
        make_thread(parent, [gate, body, i](worker& self) {
            gate->wait(self);
            body(self, i);
        });
    }
    for (int i = 0; i < threads; ++i) gate->post(parent);
}

void worker::sleep_for(nanoseconds span) {
    const section in(*this);
    const ticket t = thread::wait.prepare();
    check(on->home->park(*this, t, os::now() + span) == wake_reason::deadline, "nobody else ends a sleep");
}

int mutex::lock_until(thread& me, nanoseconds_at deadline) {
    unsigned losses = 0;
    while (!word.try_lock()) {
        const section in(me);
        const int error = word.lock_slow(me, list, deadline, losses);
        if (error != EINTR) return error;
    }
    return 0;
}

void mutex::unlock(thread& me) {
    if (word.unlock_fast()) return;
    const section in(me);
    word.unlock_slow(list);
}

int semaphore::wait_until(thread& me, nanoseconds_at deadline) {
    while (!word.try_wait()) {
        const section in(me);
        const int error = word.wait_slow(me, list, deadline);
        if (error != EINTR) return error;
    }
    return 0;
}

void semaphore::post(thread& me) {
    bool overflow = false;
    if (!word.post_fast(overflow)) {
        const section in(me);
        word.post_slow(list, overflow);
    }
    check(!overflow, "far from the greatest value");
}

}  // namespace weft::engine::stress
