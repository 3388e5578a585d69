// SPDX-License-Identifier: BSL-1.0
//
// The virtual machine under explorer.hpp: virtual threads as fibers on one kernel thread, their store buffers, the clock, and the trace.
// One machine runs one schedule. A thread that reaches a schedule point asks for the next step itself and switches straight to whoever
// was picked, so most points cost no switch at all.
#pragma once

#include "explore/chooser.hpp"
#include "explore/explorer.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <ucontext.h>
#include <vector>

namespace weft::engine::explore {

/// A place where a fiber stands: its saved registers and what the address sanitizer must know about its stack.
struct standing_place {
    ucontext_t registers{};
    void* fake_stack = nullptr;
    const void* bottom = nullptr;
    std::size_t bytes = 0;
};

class machine final : public scenario {
public:
    machine(chooser& decisions, std::size_t longest) : chooser_(decisions), longest_(longest) {}
    ~machine() override;
    machine(const machine&) = delete;
    machine& operator=(const machine&) = delete;

    /// The machine whose schedule is being run, or null.
    static machine* current() noexcept;

    void thread(std::string name, std::function<void()> body) override;
    void daemon(std::string name, std::function<void()> body) override;
    void per_thread(void* memory, std::size_t size) override;
    void finally(std::function<void()> body) override { finally_.push_back(std::move(body)); }
    void name(const volatile void* object, const char* text) { names_[object] = text; }

    /// Runs setup, the threads and what comes finally; false when the schedule failed.
    bool run(const std::function<void(scenario&)>& body);
    [[nodiscard]] const std::string& reason() const { return reason_; }
    [[nodiscard]] std::string trace() const;

    // For the running virtual thread:
    [[nodiscard]] bool in_thread() const noexcept { return running_ != nullptr && quiet_ == 0; }
    [[nodiscard]] unsigned self() const noexcept;
    void point(const char* label, const volatile void* object);
    void note(std::uint64_t value);
    void read(const volatile void* object, void* out, std::size_t size);
    void store(volatile void* object, const void* value, std::size_t size);
    void write(volatile void* object, const void* value, std::size_t size);
    void flush();
    void flush_all();
    int futex_wait(const volatile void* word, std::uint32_t expected, std::int64_t deadline);
    void futex_wake(const volatile void* word, int count);
    void forget(const volatile void* object);
    bool block(const std::function<bool()>& holds, std::optional<std::chrono::nanoseconds> deadline, const char* why);
    void relax();
    /// Ends the schedule as failed; returns only outside of virtual threads.
    void fail(std::string reason);
    [[nodiscard]] std::chrono::nanoseconds now() const { return now_; }
    void pass(std::chrono::nanoseconds span) { now_ += span; }
    [[nodiscard]] chooser& decisions() { return chooser_; }

private:
    struct pending_store {
        volatile void* object;
        std::array<unsigned char, 16> bytes;
        std::size_t size;
    };
    struct fiber {
        std::string name;
        std::function<void()> body;
        unsigned number = 0;
        bool done = false;
        bool may_stay = false;  ///< A daemon.
        std::deque<pending_store> buffer;
        const std::function<bool()>* holds = nullptr;  ///< Blocked until this holds ...
        std::optional<std::chrono::nanoseconds> deadline;  ///< ... or until then.
        const char* why = "";
        std::uint64_t relaxed_at = ~std::uint64_t{0};  ///< Changes of memory at its last relax().
        bool resting = false;                          ///< Relaxed twice, and nothing changed in between.
        standing_place place;
        std::vector<unsigned char> own_memory;  ///< What per_thread memory holds while it does not run.
        std::unique_ptr<unsigned char[]> stack;
    };
    struct event {
        unsigned thread;
        const char* label;
        const volatile void* object;
        std::uint64_t value;
        bool has_value;
    };

    static void entry();
    void reschedule();
    void collect(std::vector<action>& options);
    void flush(fiber& f);
    [[nodiscard]] bool can_run(fiber& f);
    void drain_one(fiber& f);
    void switch_to(fiber* next);
    void stuck();
    [[nodiscard]] bool only_daemons_left() const;
    void swap_private_memory(fiber* f);
    void record(unsigned thread, const char* label, const volatile void* object);

    chooser& chooser_;
    std::size_t longest_;
    std::vector<std::unique_ptr<fiber>> fibers_;
    std::vector<std::function<void()>> finally_;
    std::map<const volatile void*, std::string> names_;
    std::vector<event> events_;
    std::vector<action> options_;
    struct sleeper {
        const volatile void* word;
        bool woken;
    };
    std::vector<sleeper*> sleepers_;  ///< In futex_wait; each stands on its thread's stack.
    struct region {
        unsigned char* memory;
        std::size_t size;
    };
    std::vector<region> regions_;
    std::vector<unsigned char> outer_memory_;  ///< The same for the caller of run().
    bool has_daemons_ = false;
    fiber* running_ = nullptr;
    standing_place home_;
    unsigned quiet_ = 0;  ///< Inside a condition: operations act at once.
    std::chrono::nanoseconds now_{0};
    std::uint64_t changes_ = 0;
    std::size_t steps_ = 0;
    bool failed_ = false;
    std::string reason_;
};

}  // namespace weft::engine::explore
