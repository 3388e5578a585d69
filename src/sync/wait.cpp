// SPDX-License-Identifier: BSL-1.0
#include "sync/wait.hpp"

#include <errno.h>

#include "base/fault.hpp"
#include "os/futex.hpp"
#include "sync/waiter.hpp"

namespace weft::engine::sync {

constinit std::uint32_t generation = 0;

namespace {
wake_reason park_foreign(thread& me, ticket t, nanoseconds_at deadline) noexcept {
  if (!me.wait.commit()) return me.wait.reason();
  for (;;) {
    if (me.wait.woken()) return me.wait.reason();
    if (fault("foreign.clears_after_the_look")) me.foreign_wake.store(0, memory_order::relaxed);  // relaxed: a planted fault
    const int result = os::futex_wait(me.foreign_wake, 0, deadline == never ? -1 : deadline);
    // [foreign-1] We clear the word before we look at the claim again; make_ready sets it after the claim (release): so
    // either we see the claim, or the word is set again and the next sleep ends at once. acquire: the claimer's writes.
    me.foreign_wake.exchange(0, memory_order::acq_rel);
    // A handler that came before the sleep has set the word and left its mark.
    const bool signal = result == -EINTR || me.pending.load(memory_order::relaxed) != 0;  // relaxed: same kernel thread
    if (result == -ETIMEDOUT || signal) {
      const wake_reason why = signal ? wake_reason::interrupt : wake_reason::deadline;
      (void)me.wait.claim(t, why);  // lost: somebody was earlier, and reason() tells who
      return me.wait.reason();
    }
  }
}
}  // namespace

wake_reason park(thread& me, ticket t, nanoseconds_at deadline) noexcept {
  if (me.kind == thread_kind::foreign) [[unlikely]]
    return park_foreign(me, t, deadline);
  return me.on->home->park(me, t, deadline);
}

}  // namespace weft::engine::sync
