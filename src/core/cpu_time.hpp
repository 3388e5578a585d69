// SPDX-License-Identifier: BSL-1.0
// How much CPU time each thread has used. The kernel knows it of carriers; what a carrier used since it was last asked belongs
// to the thread that it runs.
//
// A clock read at every switch costs more than the switch itself may, so there are two ways:
//   from the start       the kernel is asked where something slow happens anyway (a preemption, a slot that runs dry, a new
//                        thread when a tick has passed). What ran in between without such an event is counted for the last.
//   since somebody asks  every switch is accounted: short runs by the monotonic clock, and the first switch after `fine`
//                        asks the kernel and puts right what was counted since. So blocked time and time stolen by other
//                        processes is in no thread's account, but for `fine` at most.
// Written by the carrier alone, in sections; others read.
#pragma once

#include "core/carrier.hpp"
#include "core/thread.hpp"

namespace weft::engine {

extern constinit atomic<std::uint32_t> accounting_switches;  ///< How many want it.
/// From now on, or no longer, on somebody's behalf.
void account_all_switches(bool yes) noexcept;

/// The carrier is about to leave its thread, for another one or for the loop.
void account_switch(carrier& c) noexcept;
/// The same when a tick or more has passed since the kernel was last asked. 5 ns if not.
void account_when_due(carrier& c) noexcept;
/// Asks the kernel.
void account_now(carrier& c) noexcept;

/// [section] What `t` has used. From the first call on every switch is accounted.
[[nodiscard]] nanoseconds cpu_time_of(thread& me, thread& t) noexcept;

}  // namespace weft::engine
