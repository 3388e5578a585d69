// SPDX-License-Identifier: BSL-1.0
#include "sync/futex_table.hpp"

#include <errno.h>

#include <cstdint>
#include <functional>
#include <new>

#include "base/fault.hpp"
#include "base/fifo.hpp"
#include "base/spinlock.hpp"
#include "sync/waiter.hpp"

namespace weft::engine::sync {

constinit futex_table futexes;

namespace {

struct alignas(64) bucket {
  spinlock lock;
  wait_list list;
};
#ifdef WEFT_EXPLORE
constexpr unsigned bucket_bits = 1;  // so that two words often share one
#else
constexpr unsigned bucket_bits = 8;
#endif
constinit bucket buckets[1 << bucket_bits];

bucket& bucket_of(const futex_word& word) noexcept {
  return buckets[(reinterpret_cast<std::uintptr_t>(&word) >> 2) * 0x9e3779b97f4a7c15u >> (64 - bucket_bits)];
}

struct futex_waiter : waiter {
  futex_waiter(thread& t, bucket& b, std::uint32_t which) noexcept : waiter(t), where(&b), bits(which) {}
  atomic<bucket*> where;
  std::uint32_t bits;
};

class both_locked {
 public:
  both_locked(bucket& a, bucket& b) noexcept : a_(std::less<>()(&a, &b) ? a : b), b_(&a_ == &a ? b : a) {
    a_.lock.lock();
    if (&a_ != &b_) b_.lock.lock();
  }
  ~both_locked() {
    if (&a_ != &b_) b_.lock.unlock();
    a_.lock.unlock();
  }
  both_locked(const both_locked&) = delete;
  both_locked& operator=(const both_locked&) = delete;

 private:
  bucket& a_;
  bucket& b_;
};

/// Claimed and parked threads are in no queue: their links are ours until we make them ready.
using ready_list = fifo<thread, &thread::next>;

/// The bucket's lock is held.
int claim(bucket& b, const futex_word& word, int most, std::uint32_t bits, ready_list& ready) noexcept {
  int count = 0;
  while (count < most) {
    const wait_list::woken next = b.list.claim_first_of([&](const waiter& w) {
      return w.address == &word && (static_cast<const futex_waiter&>(w).bits & bits) != 0;
    });
    if (next.who == nullptr) break;
    ++count;
    if (next.parked) ready.push(*next.who);
  }
  return count;
}

void make_all_ready(ready_list& ready) noexcept {
  while (thread* t = ready.pop()) make_ready(*t);
}

/// Out of whatever bucket holds it now (I2).
void unlink(futex_waiter& w) noexcept {
  for (;;) {
    bucket* b = w.where.load(memory_order::relaxed);  // relaxed: confirmed under the lock
    locked hold(b->lock);
    if (b != w.where.load(memory_order::relaxed) && !fault("futex.trusts_its_bucket")) continue;  // relaxed: written under the lock
    b->list.remove(w);
    return;
  }
}

}  // namespace

int futex_table::wait(thread& me, futex_word& word, std::uint32_t expected, std::uint32_t bits, nanoseconds_at deadline) noexcept {
  bucket& b = bucket_of(word);
  futex_waiter w(me, b, bits);
  w.address = &word;
  {
    locked hold(b.lock);
    // [futex-1] acquire: what was done before the word changed. The waker changes it, then takes the lock (I1).
    if (!fault("futex.does_not_look") && word.load(memory_order::acquire) != expected) return EAGAIN;
    w.wait = me.wait.prepare();
    b.list.push_back(w);
  }
  const wake_reason why = park(me, w.wait, deadline);
  if (why == wake_reason::owner) return 0;
  unlink(w);
  return why == wake_reason::deadline ? ETIMEDOUT : EINTR;
}

int futex_table::wake(futex_word& word, int most, std::uint32_t bits) noexcept {
  bucket& b = bucket_of(word);
  ready_list ready;
  int count;
  {
    locked hold(b.lock);  // [futex-1] after the word's change
    count = claim(b, word, most, bits, ready);
  }
  make_all_ready(ready);
  return count;
}

bool futex_table::requeue(futex_word& from, futex_word& to, int wake, int move, const std::uint32_t* expected,
                          requeued& done) noexcept {
  bucket& source = bucket_of(from);
  bucket& target = bucket_of(to);
  ready_list ready;
  {
    const both_locked hold(source, target);
    // [futex-1] acquire, as in wait: comparing and moving are one step for whoever changes the word.
    if (expected != nullptr && from.load(memory_order::acquire) != *expected) return false;
    done.woken = claim(source, from, wake, any, ready);
    for (waiter* w = source.list.first(); w != nullptr && done.moved < move;) {
      waiter* after = w->next;
      if (w->address == &from) {
        ++done.moved;
        w->address = &to;
        if (&source != &target) {
          source.list.remove(*w);
          target.list.push_back(*w);
          static_cast<futex_waiter*>(w)->where.store(&target, memory_order::relaxed);  // relaxed: read again under the lock
        }
      }
      w = after;
    }
  }
  make_all_ready(ready);
  return true;
}

futex_table::woken_both futex_table::wake_op(futex_word& first, futex_word& second, int wake, int wake_second,
                                             operation operate, std::uint32_t code) noexcept {
  bucket& one = bucket_of(first);
  bucket& two = bucket_of(second);
  ready_list ready;
  woken_both done;
  {
    const both_locked hold(one, two);
    done.held = operate(second, code);
    done.first = claim(one, first, wake, any, ready);
    if (done.held) done.second = claim(two, second, wake_second, any, ready);
  }
  make_all_ready(ready);
  return done;
}

void futex_table::hand_over(futex_word& word, std::uint32_t (*name)(const thread&)) noexcept {
  bucket& b = bucket_of(word);
  wait_list::woken next;
  {
    locked hold(b.lock);
    next = b.list.claim_first_of(
        [&](const waiter& w) { return w.address == &word && static_cast<const futex_waiter&>(w).bits == heirs; });
    // [futex-1] release, to whoever takes the word by an exchange of its own; an heir comes through the claim. Somebody who is
    // about to wait looks at the word after this, and finds it changed.
    word.store(next.who != nullptr ? name(*next.who) : 0, memory_order::release);
  }
  if (next.parked) make_ready(*next.who);
}

void futex_table::begin_anew() noexcept {
  for (bucket& b : buckets) new (&b) bucket;
}

}  // namespace weft::engine::sync
