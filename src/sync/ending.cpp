// SPDX-License-Identifier: BSL-1.0
#include "sync/ending.hpp"

#include "sync/wait.hpp"

namespace weft::engine::sync {

thread* ending::claim_parked_joiner() noexcept {
  const locked hold(lock);
  if (joiner == nullptr || joiner->who->kind != thread_kind::user) return nullptr;
  thread* const who = joiner->who;
  const claim_result claimed = who->wait.claim(joiner->wait, wake_reason::owner);
  if (claimed != claim_result::lost) joiner = nullptr;
  return claimed == claim_result::parked ? who : nullptr;
}

bool ending::finish() noexcept {
  bool nobody_joins = false;
  thread* parked = nullptr;
  {
    const locked hold(lock);
    ended = true;
    nobody_joins = detached;
    if (joiner != nullptr) {
      thread* const who = joiner->who;
      if (who->wait.claim(joiner->wait, wake_reason::owner) == claim_result::parked) parked = who;
      joiner = nullptr;
    }
  }
  if (parked != nullptr) make_ready(*parked);
  return nobody_joins;
}

wake_reason ending::wait(thread& me, nanoseconds_at deadline) noexcept {
  waiter w(me);
  for (;;) {
    {
      const locked hold(lock);
      if (ended) return wake_reason::owner;
      w.wait = me.wait.prepare();
      joiner = &w;
    }
    const wake_reason why = park(me, w.wait, deadline);
    if (why == wake_reason::owner) continue;  // ended, or about to be: look again
    const locked hold(lock);
    joiner = nullptr;
    return ended ? wake_reason::owner : why;
  }
}

}  // namespace weft::engine::sync
