// SPDX-License-Identifier: BSL-1.0
// Robust mutexes within the process: a thread that ends while it holds one leaves it to the next locker, who is told
// (EOWNERDEAD) and must make the state consistent before it unlocks, or nobody will lock it again (ENOTRECOVERABLE).
//
// Every thread has a list of those it holds, linked through the mutexes: the link's halves stand where libc counts users
// and spins, the state in the link's lowest bits. Only the holder touches either.
#pragma once
#include "posix/mutex.hpp"
#include "posix/user_thread.hpp"

namespace weft::engine::posix {

/// The caller has just got the mutex. 0, EOWNERDEAD, or ENOTRECOVERABLE: it must unlock it again.
int robust_taken(user_thread& me, mutex_data& m) noexcept;
/// The caller is about to unlock it.
void robust_let_go(user_thread& me, mutex_data& m) noexcept;
/// False if there was nothing to be made consistent. The caller holds it.
bool make_consistent(mutex_data& m) noexcept;
/// [section] The thread ends: whatever it still holds goes to whoever waits for it.
void leave_robust_mutexes(user_thread& me) noexcept;

}  // namespace weft::engine::posix
