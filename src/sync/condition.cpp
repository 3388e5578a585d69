// SPDX-License-Identifier: BSL-1.0
#include "sync/condition.hpp"

#include "base/fifo.hpp"

namespace weft::engine::sync {

void condition::signal() noexcept {
  if (lock_.is_elsewhere()) return;
  wait_list::woken next;
  {
    const locked_list hold(*this);
    next = list_.claim_first();
    if (list_.empty()) count_.store(0, memory_order::relaxed);  // relaxed: see wait
  }
  if (next.parked) make_ready(*next.who);
}

void condition::broadcast() noexcept {
  if (lock_.is_elsewhere()) return;
  // A claimed, parked thread is in no queue: its link is ours until we make it ready.
  fifo<thread, &thread::next> ready;
  {
    const locked_list hold(*this);
    for (;;) {
      const wait_list::woken next = list_.claim_first();
      if (next.who == nullptr) break;
      if (next.parked) ready.push(*next.who);
    }
    if (list_.empty()) count_.store(0, memory_order::relaxed);  // relaxed: see wait
  }
  while (thread* t = ready.pop()) make_ready(*t);
}

}  // namespace weft::engine::sync
