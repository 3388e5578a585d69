// SPDX-License-Identifier: BSL-1.0
// Thread ids as the program sees them: what gettid tells, what libc's locks take for the owner, what the calls take that
// the kernel would address to one of its own threads. main's is the process's; the others' are above the kernel's greatest.
#pragma once
#include "mem/thread_block.hpp"
#include "posix/user_thread.hpp"

namespace weft::engine::posix {

[[nodiscard]] inline int id_of(const user_thread& t) noexcept { return mem::thread_id(t.thread_pointer); }

/// The living thread with this id; null if it is none of ours. 0 is not the caller here. Outside sections.
[[nodiscard]] user_thread* by_id(int id) noexcept;

/// tgkill and tkill for one of ours: -1 with errno, or 0. Outside sections.
int signal_by_id(user_thread& t, int signal) noexcept;

}  // namespace weft::engine::posix
