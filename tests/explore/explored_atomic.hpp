// SPDX-License-Identifier: BSL-1.0
//
// std::atomic's interface on the explorer's memory. Code under test says weft::engine::atomic and gets this one when compiled with WEFT_EXPLORE.
// Stores weaker than seq_cst go through the virtual thread's buffer (explorer.hpp, I2); everything else acts on memory at its point.
// Outside of a virtual thread (setup, finally, conditions of block_until) operations act at once and are no schedule points.
#pragma once

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace weft::engine::explore {

namespace memory {

/// A schedule point before an operation; `name` must be a literal.
void point(const char* name, const volatile void* object) noexcept;
/// The running thread's view of an object: its own newest buffered store, else memory.
void read(const volatile void* object, void* out, std::size_t size) noexcept;
/// Buffers the store when the thread may; else writes.
void store(volatile void* object, const void* value, std::size_t size) noexcept;
/// Writes to memory; the buffer must be empty.
void write(volatile void* object, const void* value, std::size_t size) noexcept;
/// Empties the running thread's buffer.
void flush() noexcept;
/// Notes the operation's value for the printed schedule.
void note(std::uint64_t value) noexcept;
/// Should a compare_exchange_weak fail for no reason?
[[nodiscard]] bool spurious() noexcept;
/// The object dies: its buffered stores go with it; somebody else's are a mistake.
void forget(const volatile void* object) noexcept;

template <class T>
std::uint64_t bits(const T& value) noexcept {
    std::uint64_t out = 0;
    std::memcpy(&out, &value, sizeof(T) < sizeof(out) ? sizeof(T) : sizeof(out));
    return out;
}

}  // namespace memory

template <class T>
class atomic {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    using value_type = T;
    using difference = std::conditional_t<std::is_pointer_v<T>, std::ptrdiff_t, T>;
    static constexpr bool is_always_lock_free = std::atomic<T>::is_always_lock_free;

    constexpr atomic() noexcept : value_{} {}
    constexpr atomic(T value) noexcept : value_(value) {}  // implicit, as std::atomic's
    atomic(const atomic&) = delete;
    atomic& operator=(const atomic&) = delete;
    constexpr ~atomic() {
        if (!std::is_constant_evaluated()) memory::forget(&value_);
    }

    [[nodiscard]] bool is_lock_free() const noexcept { return true; }

    T load(std::memory_order order = std::memory_order_seq_cst) const noexcept {
        (void)order;  // TSO: no load is weaker than acquire, and seq_cst needs nothing on the loading side
        memory::point("load", &value_);
        T out;
        memory::read(&value_, &out, sizeof(T));
        memory::note(memory::bits(out));
        return out;
    }
    void store(T value, std::memory_order order = std::memory_order_seq_cst) noexcept {
        const bool strong = order == std::memory_order_seq_cst;
        memory::point(strong ? "store seq_cst" : "store", &value_);
        memory::note(memory::bits(value));
        if (!strong) {
            memory::store(&value_, &value, sizeof(T));
            return;
        }
        memory::flush();
        memory::write(&value_, &value, sizeof(T));
    }
    operator T() const noexcept { return load(); }
    T operator=(T value) noexcept {
        store(value);
        return value;
    }

    T exchange(T value, std::memory_order = std::memory_order_seq_cst) noexcept {
        return modify("exchange", [value](T) { return value; });
    }
    bool compare_exchange_strong(T& expected, T desired, std::memory_order = std::memory_order_seq_cst,
                                 std::memory_order = std::memory_order_seq_cst) noexcept {
        return compare_exchange("cas", expected, desired, false);
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order = std::memory_order_seq_cst,
                               std::memory_order = std::memory_order_seq_cst) noexcept {
        return compare_exchange("cas weak", expected, desired, true);
    }

    T fetch_add(difference by, std::memory_order = std::memory_order_seq_cst) noexcept {
        return modify("fetch_add", [by](T old) { return static_cast<T>(old + by); });
    }
    T fetch_sub(difference by, std::memory_order = std::memory_order_seq_cst) noexcept {
        return modify("fetch_sub", [by](T old) { return static_cast<T>(old - by); });
    }
    T fetch_or(T with, std::memory_order = std::memory_order_seq_cst) noexcept
        requires std::integral<T>
    {
        return modify("fetch_or", [with](T old) { return static_cast<T>(old | with); });
    }
    T fetch_and(T with, std::memory_order = std::memory_order_seq_cst) noexcept
        requires std::integral<T>
    {
        return modify("fetch_and", [with](T old) { return static_cast<T>(old & with); });
    }
    T fetch_xor(T with, std::memory_order = std::memory_order_seq_cst) noexcept
        requires std::integral<T>
    {
        return modify("fetch_xor", [with](T old) { return static_cast<T>(old ^ with); });
    }
    T operator++() noexcept { return static_cast<T>(fetch_add(1) + 1); }
    T operator++(int) noexcept { return fetch_add(1); }
    T operator--() noexcept { return static_cast<T>(fetch_sub(1) - 1); }
    T operator--(int) noexcept { return fetch_sub(1); }
    T operator+=(difference by) noexcept {
        return static_cast<T>(fetch_add(by) + by);
    }
    T operator-=(difference by) noexcept {
        return static_cast<T>(fetch_sub(by) - by);
    }
    T operator|=(T with) noexcept
        requires std::integral<T>
    {
        return static_cast<T>(fetch_or(with) | with);
    }
    T operator&=(T with) noexcept
        requires std::integral<T>
    {
        return static_cast<T>(fetch_and(with) & with);
    }

private:
    template <class F>
    T modify(const char* label, F change) noexcept {
        memory::point(label, &value_);
        memory::flush();
        const T old = value_;
        const T fresh = change(old);
        memory::note(memory::bits(fresh));
        memory::write(&value_, &fresh, sizeof(T));
        return old;
    }
    bool compare_exchange(const char* label, T& expected, T desired, bool weak) noexcept {
        memory::point(label, &value_);
        memory::flush();
        const T old = value_;
        memory::note(memory::bits(old));
        if (std::memcmp(&old, &expected, sizeof(T)) != 0 || (weak && memory::spurious())) {
            expected = old;
            return false;
        }
        memory::write(&value_, &desired, sizeof(T));
        return true;
    }

    alignas(std::atomic<T>) T value_;
};

/// An object rather than a function, so that a plain call finds this one only and not std's beside it.
inline constexpr struct {
    void operator()(std::memory_order order) const noexcept {
        if (order != std::memory_order_seq_cst) return;  // TSO: the weaker fences are for the compiler
        memory::point("fence", nullptr);
        memory::flush();
    }
} atomic_thread_fence{};

/// The virtual membarrier: every virtual thread's buffer is emptied.
void barrier_everywhere() noexcept;

/// One turn of a spin loop: others go first as long as nothing changes.
void spin_hint() noexcept;

/// The virtual futex, with the interface of os/futex.hpp. Besides real wakes it knows interruptions (-EINTR) and, on the virtual clock,
/// timeouts; which of several sleepers is woken is the schedule's choice. Both calls empty the caller's buffer, as the kernel's do.
int futex_wait(atomic<std::uint32_t>& word, std::uint32_t expected, std::int64_t deadline = -1) noexcept;
void futex_wake(atomic<std::uint32_t>& word, int count) noexcept;

/// Sleeps on the virtual clock.
void sleep_for(std::int64_t span) noexcept;

}  // namespace weft::engine::explore
