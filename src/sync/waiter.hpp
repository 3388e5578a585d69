// SPDX-License-Identifier: BSL-1.0
// One waiting thread in the list of what it waits for. Lives on the waiting thread's stack.
// I1  A waiter is linked only under the lock of its list.
// I2  A waker claims first and unlinks a waiter only when it won. So a waiter that ended its wait for another reason
//     (deadline, signal) is still linked, and unlinks itself; and a waiter that was claimed never touches the object
//     again, which may therefore be destroyed as soon as its waiters were woken.
#pragma once
#include <cstdint>

#include "core/scheduler.hpp"
#include "core/thread.hpp"

namespace weft::engine::sync {

struct waiter {
  explicit waiter(thread& t) noexcept : who(&t) {}
  waiter* next = nullptr;
  waiter* prev = nullptr;
  thread* who;
  ticket wait{};
  bool starving = false;         ///< Woken before, and somebody else was faster: it is to be handed the lock.
  bool granted = false;          ///< What it waited for is already its own.
  const void* address = nullptr; ///< For lists that serve several objects.
};

/// Doubly linked, no lock of its own.
class wait_list {
 public:
  [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
  [[nodiscard]] waiter* first() const noexcept { return head_; }

  /// Behind all others; in a scheduler with an order, behind those that run before it there.
  void push_back(waiter& w) noexcept {
    if (w.who->placed) [[unlikely]] return push_by_rank(w);
    w.next = nullptr;
    w.prev = tail_;
    (tail_ != nullptr ? tail_->next : head_) = &w;
    tail_ = &w;
  }
  void push_front(waiter& w) noexcept {
    w.prev = nullptr;
    w.next = head_;
    (head_ != nullptr ? head_->prev : tail_) = &w;
    head_ = &w;
  }
  void remove(waiter& w) noexcept {
    (w.prev != nullptr ? w.prev->next : head_) = w.next;
    (w.next != nullptr ? w.next->prev : tail_) = w.prev;
  }

  /// Forgets everybody (after a fork: they do not exist).
  void clear() noexcept { head_ = tail_ = nullptr; }

  /// Claims and unlinks the first waiter that is still waiting (and waits for `address`, if that is not null), and
  /// returns its thread, with whether it must be made ready. Null thread: there is none.
  struct woken {
    thread* who = nullptr;
    bool parked = false;
    bool granted = false;  ///< It was starving, and has been told that what it waits for is its own.
  };
  woken claim_first(const void* address = nullptr) noexcept {
    return claim_first_of([address](const waiter& w) { return address == nullptr || w.address == address; });
  }
  template <class Match>
  woken claim_first_of(Match matches) noexcept {
    for (waiter* w = head_; w != nullptr;) {
      waiter* after = w->next;  // read before the claim: the winner's stack may be gone right after it
      waiter* before = w->prev;
      if (matches(*w)) {
        thread* t = w->who;
        const bool starving = w->starving;
        w->granted = starving;
        const claim_result r = t->wait.claim(w->wait, wake_reason::owner);
        if (r != claim_result::lost) {
          (before != nullptr ? before->next : head_) = after;
          (after != nullptr ? after->prev : tail_) = before;
          return {t, r == claim_result::parked, starving};
        }
      }
      w = after;
    }
    return {};
  }

 private:
  void push_by_rank(waiter& w) noexcept {
    const auto rank = [](const waiter& x) { return x.who->rank.load(memory_order::relaxed); };  // relaxed: late by a change is early enough
    waiter* before = tail_;
    while (before != nullptr && rank(*before) > rank(w)) before = before->prev;
    w.prev = before;
    w.next = before != nullptr ? before->next : head_;
    (before != nullptr ? before->next : head_) = &w;
    (w.next != nullptr ? w.next->prev : tail_) = &w;
  }
  waiter* head_ = nullptr;
  waiter* tail_ = nullptr;
};

}  // namespace weft::engine::sync
