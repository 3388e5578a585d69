// SPDX-License-Identifier: BSL-1.0
//
// arch/context.hpp: what must survive a switch survives it, a new context starts as the ABI wants it, and unwinders find the end of its
// stack. This file is compiled without a red zone, because it calls the switch from inline assembly.
#include "arch/context.hpp"
#include "base/annotate.hpp"

#include <array>
#include <cfenv>
#include <cstdint>
#include <cstring>
#include <execinfo.h>
#include <gtest/gtest.h>
#include <memory>
#include <stdexcept>
#include <unwind.h>
#include <vector>

namespace {

using namespace weft::engine;

/// A context of our own that runs a function and comes back as often as both sides like.
class other {
public:
    explicit other(void (*body)(other&)) : body_(body) {
        context_ = arch::make_context(stack_.get() + bytes, &other::begin, this);
        mine_.created(stack_.get(), bytes);
        home_annotation_.adopted();
    }
    ~other() { mine_.destroyed(); }
    other(const other&) = delete;
    other& operator=(const other&) = delete;

    /// From the test: runs the other side until it comes home.
    void go() {
        home_annotation_.leave_for(mine_, false);
        arch::switch_context(home_, context_, 0);
        home_annotation_.entered();
    }
    /// From the other side.
    void come_home(bool for_ever = false) {
        mine_.leave_for(home_annotation_, for_ever);
        arch::switch_context(context_, home_, 0);
        mine_.entered();
    }
    [[nodiscard]] bool on_its_stack(const void* address) const {
        const auto* const p = static_cast<const unsigned char*>(address);
        return p >= stack_.get() && p < stack_.get() + bytes;
    }
    arch::context home_;
    arch::context context_;
    stack_annotation home_annotation_;
    stack_annotation mine_;
    std::vector<std::uint64_t> notes;

private:
    static void begin(void* self) {
        auto& me = *static_cast<other*>(self);
        me.mine_.entered();
        me.body_(me);
        me.come_home(true);
    }
    static constexpr std::size_t bytes = 256 * 1024;
    void (*body_)(other&);
    std::unique_ptr<unsigned char[]> stack_ = std::make_unique<unsigned char[]>(bytes);
};

TEST(context, runs_on_its_own_stack_and_comes_back) {
    other o([](other& me) {
        for (std::uint64_t i = 0; i < 3; ++i) {
            volatile int local = 0;
            me.notes.push_back(me.on_its_stack(const_cast<int*>(&local)) ? i : 99);
            me.come_home();
        }
    });
    for (int i = 0; i < 4; ++i) o.go();
    EXPECT_EQ(o.notes, (std::vector<std::uint64_t>{0, 1, 2}));
}

TEST(context, a_new_stack_is_aligned_as_after_a_call) {
    other o([](other& me) {
        // The compiler trusts the ABI's alignment and would place this without looking.
        alignas(16) volatile char block[16] = {};
        me.notes.push_back(reinterpret_cast<std::uintptr_t>(&block) % 16);
        me.notes.push_back(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) % 16);
    });
    o.go();
    EXPECT_EQ(o.notes, (std::vector<std::uint64_t>{0, 0}));
}

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)

/// What the compiler makes of a function with a switch in it.
extern "C" [[gnu::noinline, gnu::used]] void switch_by_function(arch::context* from, const arch::context* to) {
    arch::switch_context(*from, *to, 0);
}

/// Switches with known values in the callee-saved registers and returns what stands there afterwards.
std::array<std::uint64_t, 5> registers_over(arch::context* from, const arch::context* to, std::uint64_t base) {
    std::array<std::uint64_t, 5> seen{};
    std::uint64_t* into = seen.data();
    asm volatile(
        "movq %[base], %%rbx\n\t"
        "leaq 1(%%rbx), %%r12\n\t"
        "leaq 2(%%rbx), %%r13\n\t"
        "leaq 3(%%rbx), %%r14\n\t"
        "leaq 4(%%rbx), %%r15\n\t"
        "pushq %[into]\n\t"
        "call switch_by_function\n\t"
        "popq %%rax\n\t"
        "movq %%rbx, 0(%%rax)\n\t"
        "movq %%r12, 8(%%rax)\n\t"
        "movq %%r13, 16(%%rax)\n\t"
        "movq %%r14, 24(%%rax)\n\t"
        "movq %%r15, 32(%%rax)\n\t"
        : "+D"(from), "+S"(to), [base] "+a"(base), [into] "+c"(into)
        :
        : "rbx", "r12", "r13", "r14", "r15", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
    return seen;
}

TEST(context, callee_saved_registers_survive_on_both_sides) {
    other o([](other& me) {
        for (const std::uint64_t base : {0x1000U, 0x2000U}) {
            for (const std::uint64_t value : registers_over(&me.context_, &me.home_, base)) me.notes.push_back(value);
        }
    });
    for (const std::uint64_t base : {0xa000U, 0xb000U, 0xc000U}) {
        const auto seen = registers_over(&o.home_, &o.context_, base);
        for (std::uint64_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], base + i) << "register " << i;
    }
    EXPECT_EQ(o.notes, (std::vector<std::uint64_t>{0x1000, 0x1001, 0x1002, 0x1003, 0x1004, 0x2000, 0x2001, 0x2002, 0x2003, 0x2004}));
}

#endif

/// Rounding lies in both control words (x87 and SSE); fegetround looks at the first, arithmetic on doubles uses the second.
std::uint64_t rounding() {
    volatile double three = 3.0;
    volatile double one = 1.0;
    const double third = one / three;
    std::uint64_t bits = 0;
    std::memcpy(&bits, &third, sizeof(bits));
    return static_cast<std::uint64_t>(std::fegetround()) << 1U | (bits & 1U);
}

TEST(context, floating_point_control_words_belong_to_the_context) {
    const int before = std::fegetround();
    std::fesetround(FE_UPWARD);
    const std::uint64_t upward = rounding();
    other o([](other& me) {
        me.notes.push_back(rounding());  // a new context has its maker's words
        std::fesetround(FE_TOWARDZERO);
        const std::uint64_t own = rounding();
        me.come_home();
        me.notes.push_back(rounding() == own ? 1 : 0);
    });
    o.go();
    EXPECT_EQ(rounding(), upward);
    std::fesetround(FE_DOWNWARD);
    const std::uint64_t downward = rounding();
    o.go();
    EXPECT_EQ(rounding(), downward);
    std::fesetround(before);
    EXPECT_EQ(o.notes, (std::vector<std::uint64_t>{upward, 1}));
}

_Unwind_Reason_Code count_frame(_Unwind_Context*, void* count) {
    ++*static_cast<std::uint64_t*>(count);
    return *static_cast<std::uint64_t*>(count) < 1000 ? _URC_NO_REASON : _URC_NORMAL_STOP;
}

[[gnu::noinline]] void unwind_from_depth(other& me, int depth) {
    if (depth > 0) {
        unwind_from_depth(me, depth - 1);
        asm volatile("" ::: "memory");  // no tail call
        return;
    }
    std::uint64_t frames = 0;
    me.notes.push_back(_Unwind_Backtrace(&count_frame, &frames));
    me.notes.push_back(frames);
    std::array<void*, 200> addresses{};
    me.notes.push_back(static_cast<std::uint64_t>(backtrace(addresses.data(), static_cast<int>(addresses.size()))));
}

TEST(context, unwinding_stops_at_the_end_of_its_stack) {
    other o([](other& me) { unwind_from_depth(me, 5); });
    o.go();
    ASSERT_EQ(o.notes.size(), 3U);
    EXPECT_EQ(o.notes[0], static_cast<std::uint64_t>(_URC_END_OF_STACK));
    EXPECT_GE(o.notes[1], 7U);
    EXPECT_LE(o.notes[1], 20U);
    EXPECT_GE(o.notes[2], 7U);
    EXPECT_LE(o.notes[2], 20U);
}

TEST(context, exceptions_are_thrown_and_caught_within_it) {
    other o([](other& me) {
        for (std::uint64_t i = 0; i < 3; ++i) {
            try {
                throw std::runtime_error("inside");
            } catch (const std::runtime_error& e) {
                me.notes.push_back(std::strlen(e.what()) + i);
            }
            me.come_home();
        }
    });
    for (int i = 0; i < 4; ++i) o.go();
    EXPECT_EQ(o.notes, (std::vector<std::uint64_t>{6, 7, 8}));
}

#if !defined(__SANITIZE_ADDRESS__)

struct call {
    const unsigned char* low;
    std::size_t bytes;
    bool on_it = false;
    std::vector<void*> frames = std::vector<void*>(200);
};

TEST(context, a_call_on_another_stack_returns_and_unwinds_to_its_caller) {
    std::vector<unsigned char> stack(256 * 1024);
    std::vector<void*> outside(200);
    outside.resize(static_cast<std::size_t>(backtrace(outside.data(), static_cast<int>(outside.size()))));
    call c{stack.data(), stack.size()};
    arch::weft_call_on_stack(
        [](void* argument) {
            auto& me = *static_cast<call*>(argument);
            volatile unsigned char local = 0;
            const auto* const here = const_cast<const unsigned char*>(&local);
            me.on_it = here >= me.low && here < me.low + me.bytes;
            me.frames.resize(static_cast<std::size_t>(backtrace(me.frames.data(), static_cast<int>(me.frames.size()))));
        },
        &c, stack.data() + stack.size());
    EXPECT_TRUE(c.on_it);
    ASSERT_GT(c.frames.size(), outside.size());
    // All frames outside of this function are the same, seen from both stacks.
    for (std::size_t i = 1; i + 1 < outside.size(); ++i) EXPECT_EQ(c.frames[c.frames.size() - i], outside[outside.size() - i]);
}

#endif

}  // namespace
