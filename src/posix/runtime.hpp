// SPDX-License-Identifier: BSL-1.0
// The library's life in a process: reading the options at first contact, starting the engine with the first thread (or
// the first wait), and doing nothing at all in model 1:1.
#pragma once
#include "posix/libc.hpp"
#include "core/options.hpp"
#include "posix/user_thread.hpp"

namespace weft::engine::posix {

enum class stage : std::uint8_t {
  untouched,  ///< Nobody has called yet.
  native,     ///< Model 1:1: everything goes to libc.
  waiting,    ///< User-level threads, but there is only main so far.
  running,    ///< The engine runs.
};

struct runtime_state {
  stage now = stage::untouched;
  options chosen;
  user_thread main;              ///< The initial thread of the first process.
  user_thread* first = nullptr;  ///< The initial thread of this one: main, or whichever called fork.
};
extern constinit runtime_state runtime;

/// Reads the options, looks libc up, decides the model. Idempotent; called by whatever is called first, before any
/// constructor if need be. Ends the process with status 2 on a mistake in WEFT_OPTIONS.
void touch_slow() noexcept;
inline void touch() noexcept {
  if (runtime.now == stage::untouched) [[unlikely]]
    touch_slow();
}

/// Does this call belong to libc? Every replaced function asks this first.
inline bool native() noexcept {
  touch();
  return runtime.now == stage::native;
}

/// Starts the engine if it is not running. 0 or an errno code.
int start_engine_slow() noexcept;
inline int start_engine() noexcept {
  if (runtime.now == stage::running) [[likely]] return 0;
  return start_engine_slow();
}

/// The clocks' deadline on the engine's clock. `never` for a null pointer; false if the timespec is invalid.
bool to_deadline(clockid_t clock, const timespec* when, nanoseconds_at& deadline) noexcept;

/// Of the program, for messages.
[[nodiscard]] const char* program_name() noexcept;

}  // namespace weft::engine::posix
