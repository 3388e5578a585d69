// SPDX-License-Identifier: BSL-1.0
// Deadlocks: when nothing runs and nothing can wake who waits, and cycles among the owners of mutexes while the rest runs.
//
// The first is found by the monitor when it has nothing to do: every slot is idle, and no timer and no event is waited for. A kernel thread
// of the program's own that does not wait in this library could still wake somebody: then nothing is said.
// The second is looked for by whoever is about to wait for a mutex: does its owner wait for a mutex, whose owner ...? It says
// first what it waits for itself, so of those who close a cycle at the same time the last one sees it. A cycle is said only if a second walk finds
// the same waits.
#pragma once
#include "api/strand.hpp"

namespace weft::engine::api {

/// Scheduler hook (quiet).
nanoseconds_at look_for_deadlock(nanoseconds_at now) noexcept;

/// `me` has a wait_note for a mutex, without a deadline, and is about to park.
void look_for_cycle(strand& me) noexcept;

}  // namespace weft::engine::api
