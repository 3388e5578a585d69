// SPDX-License-Identifier: BSL-1.0
// The process's runtime as the C++ library starts it: options, first thread, carriers, monitor.
#pragma once
#include <cstdint>

#include "api/strand.hpp"
#include "core/options.hpp"
#include "rescue/monitor.hpp"

namespace weft::engine::api {

/// Those of WEFT_OPTIONS over those that the program configured before the start.
[[nodiscard]] const options& chosen_options() noexcept;
/// The strand of the process's main thread, if the runtime was started by it.
[[nodiscard]] strand* main_if_adopted() noexcept;
/// What a scheduler beside the default one asks of this face.
[[nodiscard]] scheduler_hooks hooks_beside() noexcept;
/// On a kernel thread of its own. 0 or an errno code.
[[nodiscard]] int start_monitor(monitor& m) noexcept;
/// For the next strand.
[[nodiscard]] std::uint64_t new_number() noexcept;
/// In a forked child.
void begin_strands_anew() noexcept;
/// Once, before any strand on a kernel thread.
void watch_ends_of_kernel_threads() noexcept;
/// Makes the calling kernel thread, which the program made, a strand of its own kind.
strand& adopt_kernel_thread() noexcept;
/// As the standard wants it of a thread's constructor.
[[noreturn]] void throw_start_failed(int error);

}  // namespace weft::engine::api
