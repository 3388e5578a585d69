// SPDX-License-Identifier: BSL-1.0
// Deadlines in order: an intrusive pairing heap. Pure data, no lock, no clock, no allocation: the nodes are the
// caller's, and arming a deadline cannot fail.
//
// I1  Every node's deadline is <= its children's.
// I2  A node is in the heap exactly if prev != nullptr (the root's prev points to itself).
// prev is the left sibling, or the parent for a first child; so any node can be cut out in O(1) plus one merge pass.
// Cost: arm O(1), next O(1), pop and disarm O(log n) amortised. Recursion-free: a million siblings merge in a loop.
//
// Rejected: a timing wheel (ticks cost lateness or idle wake-ups); an array heap (grows by allocation, under the
// engine's rule that nothing here may allocate).
#pragma once
#include "base/clock.hpp"

namespace weft::engine {

/// One deadline.
struct timer_node {
  nanoseconds_at deadline = never;
  timer_node* child = nullptr;
  timer_node* next = nullptr;
  timer_node* prev = nullptr;
  [[nodiscard]] bool armed() const noexcept { return prev != nullptr; }
};

class timer_queue {
 public:
  [[nodiscard]] bool empty() const noexcept { return root_ == nullptr; }
  /// The earliest deadline, or `never`.
  [[nodiscard]] nanoseconds_at next() const noexcept { return root_ == nullptr ? never : root_->deadline; }

  /// `node` must not be armed.
  void arm(timer_node& node, nanoseconds_at deadline) noexcept {
    node.deadline = deadline;
    node.child = node.next = nullptr;
    root_ = root_ == nullptr ? &node : merge(root_, &node);
    root_->prev = root_;
  }

  /// Takes `node` out; harmless if it is not armed.
  void disarm(timer_node& node) noexcept {
    if (!node.armed()) return;
    if (root_ == &node) {
      pop_root();
      return;
    }
    cut(node);
    timer_node* rest = merge_siblings(node.child);
    if (rest != nullptr) root_ = merge(root_, rest);
    root_->prev = root_;
    node = timer_node{.deadline = node.deadline};
  }

  /// Takes out and returns the earliest node if its deadline is not after `now`; null otherwise.
  timer_node* pop_due(nanoseconds_at now) noexcept {
    if (root_ == nullptr || root_->deadline > now) return nullptr;
    timer_node* due = root_;
    pop_root();
    return due;
  }

  void clear() noexcept { root_ = nullptr; }

 private:
  void pop_root() noexcept {
    timer_node* old = root_;
    root_ = merge_siblings(old->child);
    if (root_ != nullptr) root_->prev = root_;
    *old = timer_node{.deadline = old->deadline};
  }

  static void cut(timer_node& node) noexcept {
    if (node.prev->child == &node) {
      node.prev->child = node.next;
    } else {
      node.prev->next = node.next;
    }
    if (node.next != nullptr) node.next->prev = node.prev;
  }

  // Both are roots with no siblings; the later one becomes the first child of the earlier one.
  static timer_node* merge(timer_node* a, timer_node* b) noexcept {
    if (b->deadline < a->deadline) {
      timer_node* t = a;
      a = b;
      b = t;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child != nullptr) a->child->prev = b;
    a->child = b;
    a->next = nullptr;
    return a;
  }

  // Two passes: pairs from left to right, then all pairs from right to left.
  static timer_node* merge_siblings(timer_node* first) noexcept {
    timer_node* pairs = nullptr;  // linked backwards through next
    while (first != nullptr) {
      timer_node* a = first;
      timer_node* b = a->next;
      first = b == nullptr ? nullptr : b->next;
      a->next = nullptr;
      if (b != nullptr) {
        b->next = nullptr;
        a = merge(a, b);
      }
      a->next = pairs;
      pairs = a;
    }
    timer_node* all = nullptr;
    while (pairs != nullptr) {
      timer_node* one = pairs;
      pairs = pairs->next;
      one->next = nullptr;
      all = all == nullptr ? one : merge(all, one);
    }
    return all;
  }

  timer_node* root_ = nullptr;
};

}  // namespace weft::engine
