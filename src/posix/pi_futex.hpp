// SPDX-License-Identifier: BSL-1.0
// Futexes with priority inheritance (FUTEX_LOCK_PI and its kin): words that say who holds them, by thread id. The kernel
// knows only its own threads' ids, so for threads of ours the protocol is played here. There is no priority to inherit.
//
//   word: 0, or the holder's id | FUTEX_WAITERS | FUTEX_OWNER_DIED
//
// A program takes and releases a free word by itself, and asks only when it must wait or somebody waits. Unlocking gives
// the word to whoever waits longest, with FUTEX_WAITERS set, as the kernel does.
//
// Not served: a process-shared word (the caller asks the kernel), and kernel threads whose calls do not come through libc.
#pragma once
#include "sync/futex_table.hpp"

namespace weft::engine::posix {

enum class when_held : bool { wait, give_up };
/// Outside sections; 0 or a negated errno, as the kernel answers.
long lock_pi(sync::futex_word& word, when_held what, nanoseconds_at deadline) noexcept;
long unlock_pi(sync::futex_word& word) noexcept;

}  // namespace weft::engine::posix
