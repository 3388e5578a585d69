// SPDX-License-Identifier: BSL-1.0
// What the library's locks are made of. Not for programs: names and layouts change between versions.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "weft/detail/export.hpp"
#include "weft/detail/time.hpp"

namespace weft::detail {

/// Room for an object of the engine's that is valid when it is all zeros.
template <std::size_t Bytes>
struct alignas(8) engine_object {
  unsigned char bytes[Bytes] = {};
};

struct mutex_state {
  std::atomic<std::uint32_t> word{0};
  std::uint32_t reserved = 0;
  engine_object<16> waiting;
  std::atomic<const void*> owner{nullptr};
};

// Runtimes that must hear of what others need not say: how many are seeded (in the lower half), how many let priorities be inherited.
WEFT_EXPORT extern std::atomic<std::uint32_t> watchers;
inline constexpr std::uint32_t seeded_watches = 1, inheritance_watches = 1u << 16;
[[nodiscard]] inline bool watched() noexcept { return watchers.load(std::memory_order_relaxed) != 0; }
/// In a seeded runtime another thread may go on here.
WEFT_EXPORT void switch_point_slow() noexcept;
/// Chance, as the caller's seed has it. False: no seeded runtime's thread calls.
[[nodiscard]] WEFT_EXPORT bool draw_from_seed(std::uint64_t& value) noexcept;
inline void switch_point() noexcept {
  if (watched()) [[unlikely]]
    switch_point_slow();
}

WEFT_EXPORT void lock(mutex_state& m) noexcept;
WEFT_EXPORT bool try_lock(mutex_state& m) noexcept;
WEFT_EXPORT bool lock_until(mutex_state& m, patience p) noexcept;
WEFT_EXPORT void unlock(mutex_state& m) noexcept;
[[noreturn]] WEFT_EXPORT void destroyed_in_use(const char* what) noexcept;
/// Who calls: a thread, a fiber, or a kernel thread of the program's own.
[[nodiscard]] WEFT_EXPORT const void* caller() noexcept;

struct condition_state {
  engine_object<32> list;
};
/// Gives `m` up, waits, takes `m` again. False: the time was up, or stop was requested.
WEFT_EXPORT bool wait(condition_state& c, mutex_state& m, patience p) noexcept;
WEFT_EXPORT void notify_one(condition_state& c) noexcept;
WEFT_EXPORT void notify_all(condition_state& c) noexcept;
/// Nobody may wait; those whose time was up are waited for, until they have left.
WEFT_EXPORT void end_condition(condition_state& c) noexcept;

struct semaphore_state {
  explicit semaphore_state(std::uint32_t value) noexcept : word(value) {}
  std::atomic<std::uint64_t> word;
  engine_object<16> waiting;
};
WEFT_EXPORT bool acquire_until(semaphore_state& s, patience p) noexcept;
WEFT_EXPORT bool try_acquire(semaphore_state& s) noexcept;
WEFT_EXPORT void release(semaphore_state& s, std::ptrdiff_t count) noexcept;

struct shared_mutex_state {
  std::atomic<std::uint64_t> word{0};
  engine_object<16> readers, writers;
  std::atomic<const void*> owner{nullptr};
};
WEFT_EXPORT bool lock_until(shared_mutex_state& m, patience p) noexcept;
WEFT_EXPORT bool try_lock(shared_mutex_state& m) noexcept;
WEFT_EXPORT void unlock(shared_mutex_state& m) noexcept;
WEFT_EXPORT bool lock_shared_until(shared_mutex_state& m, patience p) noexcept;
WEFT_EXPORT bool try_lock_shared(shared_mutex_state& m) noexcept;
WEFT_EXPORT void unlock_shared(shared_mutex_state& m) noexcept;

}  // namespace weft::detail
