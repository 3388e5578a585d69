// SPDX-License-Identifier: BSL-1.0
// How threads and fibers are started and joined. Not for programs.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "weft/detail/export.hpp"
#include "weft/detail/time.hpp"

namespace weft {

class runtime;

/// How a thread is carried.
enum class carried : std::uint8_t {
  by_default,  ///< As the runtime's model says: a user-level thread, or a kernel thread under 1:1.
  shared,      ///< A user-level thread: carriers run it in turn with others.
  alone,       ///< By a kernel thread of its own.
};

/// What a new thread or fiber shall be like. Sizes of 0 mean the default.
struct spawn_options {
  std::string_view name = {};  ///< For people; the first 31 bytes are kept.
  std::size_t stack_size = 0;  ///< Bytes; memory is used as it is touched. Default: 256 KiB for threads, 64 KiB for fibers.
  carried by = carried::by_default;  ///< Fibers are always shared.
  runtime* in = nullptr;       ///< Where it runs; null: where its creator does, or the default runtime.
  int priority = 0;            ///< -32 to 31, greater is more urgent; for runtimes whose order asks for it, as the next two.
  unsigned weight = 100;       ///< Its share of CPU time.
  std::chrono::nanoseconds deadline{0};  ///< So long after it becomes ready its work is due; 0: it has no deadline.
  int pinned_to = -1;          ///< It runs only on the runtime's place of that number, 0 to parallelism - 1: never at the same time as others that are
                               ///< pinned there. Only where the order is stealing. -1: anywhere.
  bool detached = false;       ///< The handle will not be joinable.
};

namespace detail {

struct strand_handle;  // opaque

struct prepared {
  strand_handle* strand = nullptr;  ///< Null: no memory, or no kernel thread to be had.
  void* place = nullptr;            ///< Where the callable is to be made.
};
/// Memory for a strand with a callable of that size on its own stack.
WEFT_EXPORT prepared prepare(const spawn_options& options, bool fiber, std::size_t bytes, std::size_t alignment);
/// Lets it run: run(place), which destroys the callable.
WEFT_EXPORT void start(strand_handle* s, void (*run)(void* place));
/// Instead of start: the callable could not be made.
WEFT_EXPORT void abandon(strand_handle* s) noexcept;
/// Waits for the end, at most so long, and gives the memory back. False: not yet.
WEFT_EXPORT bool join(strand_handle* s, patience p) noexcept;
WEFT_EXPORT void detach(strand_handle* s) noexcept;
[[nodiscard]] WEFT_EXPORT std::uint64_t number_of(const strand_handle* s) noexcept;
[[nodiscard]] WEFT_EXPORT std::uint64_t own_number() noexcept;
[[nodiscard]] WEFT_EXPORT bool is_caller(const strand_handle* s) noexcept;
WEFT_EXPORT void yield() noexcept;
/// False: stop was requested before.
WEFT_EXPORT bool sleep_until(patience p) noexcept;
[[nodiscard]] WEFT_EXPORT std::uint32_t parallelism() noexcept;
WEFT_EXPORT void set_priority(int priority) noexcept;
WEFT_EXPORT void set_deadline(deadline when) noexcept;
struct runtime_state;   // opaque, as the next
struct runtime_access;

/// Run when the calling strand ends, after its thread_local destructors, last in first out.
struct exit_action {
  void (*run)(exit_action*) = nullptr;
  exit_action* next = nullptr;
};
WEFT_EXPORT void at_exit_of_caller(exit_action& a) noexcept;

/// A blocking stretch: others have the caller's place until it ends.
WEFT_EXPORT void begin_blocking() noexcept;
WEFT_EXPORT void end_blocking() noexcept;

}  // namespace detail
}  // namespace weft
