// SPDX-License-Identifier: BSL-1.0
#include "sync/address_lot.hpp"

#include <cstdint>
#include <new>

#include "base/fault.hpp"
#include "base/spinlock.hpp"
#include "sync/waiter.hpp"

namespace weft::engine::sync {

namespace {
struct alignas(64) bucket {
  spinlock lock;
  wait_list list;
};
constinit bucket buckets[64];

bucket& bucket_of(const void* address) noexcept {
  return buckets[(reinterpret_cast<std::uintptr_t>(address) * 0x9e3779b97f4a7c15u) >> 58];
}
}  // namespace

wake_reason wait_on_address(thread& me, const atomic<int>& word, int expected) noexcept {
  bucket& b = bucket_of(&word);
  waiter w(me);
  w.address = &word;
  {
    locked hold(b.lock);
    // [lot-1] acquire: what was done before the word changed. The waker changes the word, then takes the lock.
    if (!fault("address_lot.does_not_look") && word.load(memory_order::acquire) != expected) return wake_reason::owner;
    w.wait = me.wait.prepare();
    b.list.push_back(w);
  }
  const wake_reason why = park(me, w.wait);
  if (why != wake_reason::owner) {
    locked hold(b.lock);
    b.list.remove(w);
  }
  return why;
}

void wake_address(const atomic<int>& word) noexcept {
  bucket& b = bucket_of(&word);
  for (;;) {
    wait_list::woken next;
    {
      locked hold(b.lock);  // [lot-1] after the word's change
      next = b.list.claim_first(&word);
    }
    if (next.who == nullptr) return;
    if (next.parked) make_ready(*next.who);
  }
}

void reset_address_lot() noexcept {
  for (bucket& b : buckets) new (&b) bucket;
}

}  // namespace weft::engine::sync
