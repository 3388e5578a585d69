// SPDX-License-Identifier: BSL-1.0
//
// See machine.hpp. The only subtle part is `reschedule`: it runs on the stack of the thread that stands at a point (or has just ended),
// carries out drains and clock ticks in place, and leaves when a thread was picked.
#include "explore/machine.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#define WEFT_EXPLORE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_EXPLORE_ASAN 1
#endif
#endif
#ifdef WEFT_EXPLORE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace weft::engine::explore {
namespace {

constexpr std::size_t stack_bytes = 128U * 1024U;

machine* active = nullptr;

/// Stacks are used again by later schedules.
std::vector<std::unique_ptr<unsigned char[]>>& free_stacks() {
    static std::vector<std::unique_ptr<unsigned char[]>> list;
    return list;
}
std::unique_ptr<unsigned char[]> take_stack() {
    auto& list = free_stacks();
    if (list.empty()) return std::make_unique_for_overwrite<unsigned char[]>(stack_bytes);
    auto stack = std::move(list.back());
    list.pop_back();
    return stack;
}

/// `leaves_for_good`: nothing will switch back, so the sanitizer may drop the fake stack.
void transfer(standing_place& from, standing_place& to, [[maybe_unused]] bool leaves_for_good) {
#ifdef WEFT_EXPLORE_ASAN
    __sanitizer_start_switch_fiber(leaves_for_good ? nullptr : &from.fake_stack, to.bottom, to.bytes);
    swapcontext(&from.registers, &to.registers);
    __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#else
    swapcontext(&from.registers, &to.registers);
#endif
}

}  // namespace

machine* machine::current() noexcept { return active; }

machine::~machine() {
    // Abandoned fibers stay for good, and reachable even after static destructors, so that there is no leak to report.
    static auto& abandoned = *new std::vector<std::unique_ptr<fiber>>;
    for (auto& f : fibers_) {
        if (!f->stack) continue;
        if (f->done || (f->may_stay && !failed_)) {
#ifdef WEFT_EXPLORE_ASAN
            __asan_unpoison_memory_region(f->stack.get(), stack_bytes);
#endif
            free_stacks().push_back(std::move(f->stack));
        } else {
            abandoned.push_back(std::move(f));
        }
    }
}

void machine::thread(std::string name, std::function<void()> body) {
    auto f = std::make_unique<fiber>();
    f->name = std::move(name);
    f->body = std::move(body);
    f->number = static_cast<unsigned>(fibers_.size());
    f->stack = take_stack();
    f->place.bottom = f->stack.get();
    f->place.bytes = stack_bytes;
    getcontext(&f->place.registers);
    f->place.registers.uc_stack.ss_sp = f->stack.get();
    f->place.registers.uc_stack.ss_size = stack_bytes;
    f->place.registers.uc_link = nullptr;
    makecontext(&f->place.registers, &machine::entry, 0);
    fibers_.push_back(std::move(f));
}

void machine::daemon(std::string name, std::function<void()> body) {
    thread(std::move(name), std::move(body));
    fibers_.back()->may_stay = true;
    has_daemons_ = true;
}

void machine::per_thread(void* memory, std::size_t size) { regions_.push_back({static_cast<unsigned char*>(memory), size}); }

/// Exchanges what lies in per_thread memory with what `f` (null: the caller of run) keeps for it.
void machine::swap_private_memory(fiber* f) {
    auto& kept = f == nullptr ? outer_memory_ : f->own_memory;
    std::size_t all = 0;
    for (const region& r : regions_) all += r.size;
    kept.resize(all);
    unsigned char* at = kept.data();
    for (const region& r : regions_) {
        std::swap_ranges(r.memory, r.memory + r.size, at);
        at += r.size;
    }
}

void machine::entry() {
    machine& m = *active;
    fiber& f = *m.running_;
#ifdef WEFT_EXPLORE_ASAN
    // The very first fiber learns here where the kernel thread's own stack lies.
    const void* from = nullptr;
    std::size_t bytes = 0;
    __sanitizer_finish_switch_fiber(nullptr, &from, &bytes);
    if (m.home_.bottom == nullptr) {
        m.home_.bottom = from;
        m.home_.bytes = bytes;
    }
#endif
    try {
        f.body();
    } catch (const std::exception& e) {
        m.fail(std::string("exception: ") + e.what());
    } catch (...) {
        m.fail("exception of an unknown type");
    }
    f.done = true;
    ++m.changes_;
    m.record(f.number, "end", nullptr);
    m.reschedule();
}

bool machine::run(const std::function<void(scenario&)>& body) {
    active = this;
    body(*this);
    if (!failed_ && !fibers_.empty()) reschedule();
    running_ = nullptr;
    flush_all();  // what daemons have stored is on its way to memory, too
    for (auto& last : finally_) {
        if (!failed_) last();
    }
    for (auto& f : fibers_) {
        if (f->done) f->body = nullptr;
    }
    finally_.clear();
    active = nullptr;
    return !failed_;
}

bool machine::can_run(fiber& f) {
    if (f.done) return false;
    if (f.holds == nullptr || (f.deadline && *f.deadline <= now_)) return true;
    fiber* const viewer = std::exchange(running_, &f);
    ++quiet_;
    const bool holds = (*f.holds)();
    --quiet_;
    running_ = viewer;
    return holds;
}

void machine::collect(std::vector<action>& options) {
    options.clear();
    std::vector<action> others;
    std::vector<action> resting;
    bool current_first = false;
    bool deadline_ahead = false;
    for (auto& f : fibers_) {
        if (!can_run(*f)) {
            deadline_ahead |= !f->done && f->deadline.has_value();
        } else if (f->resting && f->relaxed_at == changes_) {
            resting.push_back({action::kind::run, f->number, false});
        } else if (f.get() == running_) {
            current_first = true;
        } else {
            others.push_back({action::kind::run, f->number, false});
        }
    }
    if (current_first) options.push_back({action::kind::run, running_->number, false});
    for (action& a : others) a.preempts = current_first;
    if (!current_first) options.insert(options.end(), others.begin(), others.end());
    for (auto& f : fibers_) {
        if (!f->buffer.empty()) options.push_back({action::kind::drain, f->number, false});
    }
    const bool nobody = !current_first && others.empty();
    if (current_first) options.insert(options.end(), others.begin(), others.end());
    if (deadline_ahead) options.push_back({action::kind::tick, 0, !nobody});
    if (options.empty()) options = resting;
}

void machine::reschedule() {
    for (;;) {
        if (has_daemons_ && only_daemons_left()) {
            switch_to(nullptr);
            return;
        }
        if (++steps_ > longest_) fail("livelock: no end after " + std::to_string(longest_) + " steps");
        collect(options_);
        if (options_.empty()) {
            stuck();
            return;
        }
        const action next = options_[options_.size() == 1 ? 0 : chooser_.pick(options_)];
        if (next.what == action::kind::drain) {
            drain_one(*fibers_[next.thread]);
        } else if (next.what == action::kind::tick) {
            auto earliest = std::chrono::nanoseconds::max();
            for (auto& f : fibers_) {
                if (!f->done && f->deadline && *f->deadline > now_) earliest = std::min(earliest, *f->deadline);
            }
            now_ = earliest;
            ++changes_;
            record(none, "clock", nullptr);
            events_.back().value = static_cast<std::uint64_t>(now_.count());
            events_.back().has_value = true;
        } else {
            switch_to(fibers_[next.thread].get());
            return;
        }
    }
}

bool machine::only_daemons_left() const {
    return std::all_of(fibers_.begin(), fibers_.end(), [](auto& f) { return f->done || f->may_stay; });
}

void machine::stuck() {
    if (!only_daemons_left()) {
        std::string who = "deadlock:";
        for (auto& f : fibers_) {
            if (!f->done) who += " " + f->name + " in " + f->why + ";";
        }
        fail(std::move(who));
    }
    switch_to(nullptr);
}

void machine::switch_to(fiber* next) {
    fiber* const from = running_;
    if (next == from) return;
    running_ = next;
    if (!regions_.empty()) {
        swap_private_memory(from);
        swap_private_memory(next);
    }
    standing_place& here = from == nullptr ? home_ : from->place;
    standing_place& there = next == nullptr ? home_ : next->place;
    transfer(here, there, from != nullptr && (from->done || failed_));
}

void machine::fail(std::string reason) {
    if (failed_) return;
    failed_ = true;
    reason_ = std::move(reason);
    if (running_ != nullptr) {
        quiet_ = 0;
        switch_to(nullptr);
    }
}

unsigned machine::self() const noexcept { return running_ == nullptr ? none : running_->number; }

void machine::point(const char* label, const volatile void* object) {
    reschedule();
    record(self(), label, object);
}

void machine::record(unsigned thread, const char* label, const volatile void* object) {
    events_.push_back({thread, label, object, 0, false});
}

void machine::note(std::uint64_t value) {
    events_.back().value = value;
    events_.back().has_value = true;
}

bool machine::block(const std::function<bool()>& holds, std::optional<std::chrono::nanoseconds> deadline, const char* why) {
    fiber& f = *running_;
    f.holds = &holds;
    f.deadline = deadline;
    f.why = why;
    record(f.number, why, nullptr);
    reschedule();
    ++quiet_;
    const bool held = holds();
    --quiet_;
    f.holds = nullptr;
    f.deadline.reset();
    record(f.number, held ? "goes on" : "timed out", nullptr);
    return held;
}

void machine::relax() {
    fiber& f = *running_;
    f.resting = f.relaxed_at == changes_;
    f.relaxed_at = changes_;
    point("relax", nullptr);
}

std::string machine::trace() const {
    std::map<const volatile void*, std::string> shown = names_;
    std::string text;
    constexpr std::size_t most = 400;
    const std::size_t first = events_.size() > most ? events_.size() - most : 0;
    if (first > 0) text += "  (" + std::to_string(first) + " operations before)\n";
    for (std::size_t i = 0; i < events_.size(); ++i) {
        const event& e = events_[i];
        if (e.object != nullptr && !shown.contains(e.object)) {
            shown.emplace(e.object, "word" + std::to_string(shown.size()));
        }
        if (i < first) continue;
        text += "  " + (e.thread == none ? std::string("clock") : fibers_[e.thread]->name) + ": " + e.label;
        if (e.object != nullptr) text += " " + shown[e.object];
        if (e.has_value) text += " = " + std::to_string(e.value);
        text += "\n";
    }
    return text;
}

}  // namespace weft::engine::explore
