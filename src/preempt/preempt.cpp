// SPDX-License-Identifier: BSL-1.0
#include "preempt/preempt.hpp"

#include <errno.h>

#include "arch/program_counter.hpp"
#include "core/cpu_time.hpp"
#include "core/scheduler.hpp"
#include "core/section.hpp"
#include "os/signal_mask.hpp"

namespace weft::engine {

namespace {
struct stretch_of_code {
  std::uintptr_t low = 0, high = 0;
};
constexpr int most_spared = 8;
constinit stretch_of_code spared[most_spared];
constinit int spared_count = 0;

bool is_spared(std::uintptr_t at) noexcept {
  for (int i = 0; i < spared_count; ++i)
    if (at >= spared[i].low && at < spared[i].high) return true;
  return false;
}
}  // namespace

void spare_code(std::uintptr_t low, std::uintptr_t high) noexcept {
  if (spared_count < most_spared) spared[spared_count++] = {low, high};
}

void preempt_current(int, siginfo_t*, void* frame) noexcept {
  thread* me = current();
  if (me == nullptr || me->kind != thread_kind::user) return;
  if (me->thread_pointer == 0) {  // it borrows: an order's wish must wait for its next call
    if (me->home->ordered()) me->pending.fetch_or(pending_work::preempt, memory_order::seq_cst);  // [pending-1]
    return;
  }
  if (me->no_preempt.raised()) {
    // [pending-1] The end of the section looks; same kernel thread, so program order is enough, but the exchange there
    // must not tear with us.
    me->pending.fetch_or(pending_work::preempt, memory_order::seq_cst);
    return;
  }
  if (spared_count != 0 && is_spared(arch::program_counter(frame))) return;  // the monitor asks again
  const int saved = errno;
  {
    const section in(*me);
    scheduler& s = *me->on->home;
    account_now(*me->on);
    if (s.yield(*me)) s.preemptions.fetch_add(1, memory_order::relaxed);  // relaxed: a statistic
  }
  errno = saved;
}

int install_preemption() noexcept {
  struct sigaction action = {};
  action.sa_sigaction = preempt_current;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER;
  return ::sigaction(os::preempt_signal, &action, nullptr) == 0 ? 0 : errno;
}

}  // namespace weft::engine
