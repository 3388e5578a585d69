// SPDX-License-Identifier: BSL-1.0
// Parking for every kind of caller: a thread parks, a kernel thread that Weft did not make waits on a futex.
#pragma once

#include "core/section.hpp"
#include "core/thread.hpp"

namespace weft::engine::sync {

/// [section] Waits until ticket `t` of `me` is claimed or the deadline passes. A kernel thread's wait may also end with
/// `interrupt` when a signal handler ran.
wake_reason park(thread& me, ticket t, nanoseconds_at deadline = never) noexcept;

/// [section] Makes ready whom the caller has claimed.
inline void make_ready(thread& t) noexcept { the_scheduler.make_ready(t); }

/// Is it worth spinning for a lock? Only when its holder can run at the same time.
[[nodiscard]] inline bool spinning_helps() noexcept { return the_scheduler.slot_count() > 1; }

}  // namespace weft::engine::sync
