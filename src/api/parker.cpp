// SPDX-License-Identifier: BSL-1.0
#include "weft/detail/parker.hpp"

#include <errno.h>

#include "api/engine_part.hpp"
#include "api/strand.hpp"
#include "sync/mutex.hpp"
#include "sync/wait.hpp"

namespace weft::detail {

using namespace weft::engine;
using api::self;
using api::strand;

void parker::finish() noexcept {
  auto* who = static_cast<strand*>(const_cast<void*>(who_));
  // [parker-1] acq_rel: what was handed over is seen by the owner, which acquires `done`; and who it is was read before, because
  // the parker may be gone after this.
  const std::uint64_t sleep = state_.exchange(done, std::memory_order_acq_rel);
  if (sleep == 0) return;
  const section in(self());
  (void)the_scheduler.wake(*who, ticket{sleep >> 1}, wake_reason::owner);
}

void parker::interrupt() noexcept {
  auto* who = static_cast<strand*>(const_cast<void*>(who_));
  // [parker-2] The owner publishes its sleep, then looks at the flag; we set the flag, then look for a sleep. All seq_cst.
  interrupted_.store(true, std::memory_order_seq_cst);
  const std::uint64_t sleep = state_.load(std::memory_order_seq_cst);  // [parker-2]
  if (sleep == 0 || sleep == done) return;
  const section in(self());
  (void)the_scheduler.wake(*who, ticket{sleep >> 1}, wake_reason::interrupt);
}

parker::ended parker::wait(deadline when) noexcept {
  strand& me = self();
  const api::wait_note note(me, api::waiting_for::kind::channel, this, when);
  for (;;) {
    const section in(me);
    const ticket t = me.wait.prepare();
    const std::uint64_t sleep = static_cast<std::uint64_t>(t) << 1;
    std::uint64_t seen = 0;
    if (!state_.compare_exchange_strong(seen, sleep, std::memory_order_seq_cst, std::memory_order_acquire)) {  // [parker-1] [parker-2]
      (void)me.wait.cancel();
      return ended::finished;
    }
    wake_reason why = wake_reason::interrupt;
    if (interrupted_.load(std::memory_order_seq_cst)) {  // [parker-2]
      (void)me.wait.cancel();
    } else {
      why = sync::park(me, t, when);
    }
    seen = sleep;
    if (!state_.compare_exchange_strong(seen, 0, std::memory_order_acq_rel, std::memory_order_acquire)) return ended::finished;  // [parker-1]
    if (why == wake_reason::deadline) return ended::late;
    if (interrupted_.load(std::memory_order_relaxed)) return ended::interrupted;  // relaxed: whoever set it has looked for the sleep
  }
}

void plain_lock::lock_slow() noexcept {
  strand& me = self();
  auto& word = api::engine_part<sync::mutex_word>(word_);
  unsigned losses = 0;
  for (;;) {
    const section in(me);
    if (word.lock_slow(me, api::engine_part<sync::wait_list>(waiting_), never, losses) != EINTR) return;
  }
}

void plain_lock::unlock_slow() noexcept {
  const section in(self());
  api::engine_part<sync::mutex_word>(word_).unlock_slow(api::engine_part<sync::wait_list>(waiting_));
}

}  // namespace weft::detail
