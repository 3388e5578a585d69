// SPDX-License-Identifier: BSL-1.0
#include "api/inheritance.hpp"

#include "api/runtimes.hpp"
#include "base/spinlock.hpp"

namespace weft::engine::api {

struct donations {
  static inline constinit spinlock lock;
  static inline constinit donation* orphans = nullptr;

  static void link(donation& d, strand* holder) noexcept {
    d.holder_ = holder;
    donation*& list = holder != nullptr ? holder->donors : orphans;
    d.next_ = list;
    list = &d;
  }
  static void unlink(donation& d) noexcept {
    donation** place = d.holder_ != nullptr ? &d.holder_->donors : &orphans;
    while (*place != &d) place = &(*place)->next_;
    *place = d.next_;
  }
  /// All that are for `m`, from one list to another. True if there were any.
  static bool move(donation*& from, const detail::mutex_state& m, strand* to) noexcept {
    bool any = false;
    for (donation** place = &from; *place != nullptr;) {
      donation& d = **place;
      if (&d.to_ == &m) {
        *place = d.next_;
        link(d, to);
        any = true;
      } else {
        place = &d.next_;
      }
    }
    return any;
  }
  /// I1, here and along the chain of holders.
  static void settle(strand* s) noexcept {
    while (s != nullptr) {
      int most = s->own_priority;
      for (const donation* d = s->donors; d != nullptr; d = d->next_) {
        const int given = d->from_.urgency.load(memory_order::relaxed);  // relaxed: under the lock
        if (given > most) most = given;
      }
      if (s->urgency.load(memory_order::relaxed) == most) return;  // relaxed: under the lock
      s->urgency.store(most, memory_order::relaxed);               // relaxed: others read it under the lock of their queue, which follows
      if (s->in != nullptr && s->in->inherits && s->kind == thread_kind::user) s->home->rank_changed(*s);
      s = s->giving != nullptr ? s->giving->holder_ : nullptr;
    }
  }
};

donation::donation(strand& from, const detail::mutex_state& to) noexcept : from_(from), to_(to) {
  if (from.in == nullptr || !from.in->inherits) return;
  given_ = true;
  const section in(from);
  const locked hold(donations::lock);
  // I2: the lock orders this look with the turn of an owner that lets go.
  auto* holder = static_cast<strand*>(const_cast<void*>(to.owner.load(std::memory_order_acquire)));  // [owner-1]
  donations::link(*this, holder != &from ? holder : nullptr);
  from.giving = this;
  donations::settle(holder_);
}

donation::~donation() {
  if (!given_) return;
  const section in(from_);
  const locked hold(donations::lock);
  donations::unlink(*this);
  from_.giving = nullptr;
  donations::settle(holder_);
}

void adopt_donations(strand& me, const detail::mutex_state& m) noexcept {
  const section in(me);
  const locked hold(donations::lock);
  if (donations::move(donations::orphans, m, &me)) donations::settle(&me);
}

bool shed_donations(strand& me, const detail::mutex_state& m) noexcept {
  const section in(me);
  const locked hold(donations::lock);
  if (!donations::move(me.donors, m, nullptr)) return false;
  donations::settle(&me);
  return true;
}

void begin_inheritance_anew(strand& me) noexcept {
  donations::lock.reset();
  donations::orphans = me.donors = nullptr;
}

void change_priority(strand& me, int priority) noexcept {
  const locked hold(donations::lock);
  me.own_priority = priority;
  donations::settle(&me);
}

}  // namespace weft::engine::api
