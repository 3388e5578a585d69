// SPDX-License-Identifier: BSL-1.0
// Waiting for a word of the program's memory to change, where the object itself has no room for a list (pthread_once_t).
// A small table of lists, chosen by address.
#pragma once
#include "base/atomic.hpp"
#include "sync/wait.hpp"

namespace weft::engine::sync {

/// [section] Parks the caller while `word` holds `expected` (looked at under the list's lock), until wake_all(word).
/// Returns `owner` also when the word differed at once.
wake_reason wait_on_address(thread& me, const atomic<int>& word, int expected) noexcept;

/// [section] Wakes all who wait on `word`; the caller has changed it before.
void wake_address(const atomic<int>& word) noexcept;

/// In a forked child: nobody waits.
void reset_address_lot() noexcept;

}  // namespace weft::engine::sync
