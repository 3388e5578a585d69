// SPDX-License-Identifier: BSL-1.0
// A singly linked first-in-first-out list through a member of its elements. It owns nothing, allocates nothing and
// locks nothing: the queue nodes of the engine are intrusive, so that a wake-up can never fail for want of memory.
// Invariant: tail_ is meaningful only while head_ is not null; the last element's link is null.
#pragma once

namespace weft::engine {

template <class T, T* T::*Link>
class fifo {
 public:
  [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }

  void push(T& element) noexcept {
    element.*Link = nullptr;
    if (head_ == nullptr) {
      head_ = &element;
    } else {
      tail_->*Link = &element;
    }
    tail_ = &element;
  }

  void push_front(T& element) noexcept {
    element.*Link = head_;
    if (head_ == nullptr) tail_ = &element;
    head_ = &element;
  }

  T* pop() noexcept {
    T* first = head_;
    if (first != nullptr) head_ = first->*Link;
    return first;
  }

  void clear() noexcept { head_ = nullptr; }

 private:
  T* head_ = nullptr;
  T* tail_ = nullptr;
};

}  // namespace weft::engine
