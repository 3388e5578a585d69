// SPDX-License-Identifier: BSL-1.0
#include "sync/wait.hpp"

#include <errno.h>

#include "base/fault.hpp"
#include "os/futex.hpp"
#include "sync/waiter.hpp"

namespace weft::engine::sync {

constinit std::uint32_t generation = 0;

namespace {
// A wait that was claimed while parked ends when the claimer says so, not before: until then the thread may lie in the claimer's list of those to
// be made ready, by the link of which there is one (waiter.hpp).
wake_reason park_foreign(thread& me, ticket t, nanoseconds_at deadline) noexcept {
  if (!me.wait.commit()) return me.wait.reason();
  for (bool ours = true;;) {
    if (fault("foreign.clears_before_the_sleep")) me.foreign_wake.store(0, memory_order::relaxed);  // relaxed: a planted fault
    const int result = os::futex_wait(me.foreign_wake, 0, deadline == never ? -1 : deadline);
    // [foreign-1] acquire: the claimer's writes, and that it is done with us. There is one call of make_ready for each claim that finds
    // `parked`, and each is awaited: no bit is left for a later wait.
    if ((me.foreign_wake.exchange(0, memory_order::acquire) & thread::made_ready) != 0) return me.wait.reason();
    if (!ours) continue;
    // A handler that came before the sleep has set the word and left its mark.
    const bool signal = result == -EINTR || me.pending.load(memory_order::relaxed) != 0;  // relaxed: same kernel thread
    if (result != -ETIMEDOUT && !signal) continue;
    const wake_reason why = signal ? wake_reason::interrupt : wake_reason::deadline;
    if (me.wait.claim(t, why) != claim_result::lost) return why;
    ours = false;  // somebody was earlier, and is about to make us ready
    deadline = never;
  }
}
}  // namespace

wake_reason park(thread& me, ticket t, nanoseconds_at deadline) noexcept {
  if (me.kind == thread_kind::foreign) [[unlikely]]
    return park_foreign(me, t, deadline);
  return me.on->home->park(me, t, deadline);
}

}  // namespace weft::engine::sync
