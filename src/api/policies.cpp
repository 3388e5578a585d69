// SPDX-License-Identifier: BSL-1.0
#include "api/policies.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace weft::engine::api {

// -- queues --

void ready_fifo::push_back(schedulable& t) noexcept {
  t.next = nullptr;
  t.previous = last_;
  (last_ != nullptr ? last_->next : first_) = &t;
  last_ = &t;
}
void ready_fifo::push_front(schedulable& t) noexcept {
  t.previous = nullptr;
  t.next = first_;
  (first_ != nullptr ? first_->previous : last_) = &t;
  first_ = &t;
}
void ready_fifo::remove(schedulable& t) noexcept {
  (t.previous != nullptr ? t.previous->next : first_) = t.next;
  (t.next != nullptr ? t.next->previous : last_) = t.previous;
}
schedulable* ready_fifo::pop() noexcept {
  schedulable* const t = first_;
  if (t != nullptr) remove(*t);
  return t;
}

bool ready_heap::before(const schedulable& a, const schedulable& b) noexcept {
  return a.rank != b.rank ? a.rank < b.rank : a.second_note < b.second_note;
}
schedulable* ready_heap::merge(schedulable* a, schedulable* b) noexcept {
  if (a == nullptr) return b;
  if (b == nullptr) return a;
  if (before(*b, *a)) std::swap(a, b);
  a->next = merge(a->next, b);
  const auto spine = [](const schedulable* t) { return t != nullptr ? t->note : 0; };
  if (spine(a->previous) < spine(a->next)) std::swap(a->previous, a->next);
  a->note = spine(a->next) + 1;
  return a;
}
void ready_heap::push(schedulable& t) noexcept {
  t.next = t.previous = nullptr;
  t.note = 1;
  t.second_note = turn_++;
  root_ = merge(root_, &t);
}
schedulable* ready_heap::pop() noexcept {
  schedulable* const t = root_;
  if (t != nullptr) root_ = merge(t->previous, t->next);
  return t;
}

// -- fifo --

void fifo_policy::push(schedulable& t, why reason) noexcept {
  if (reason == why::put_back) return ready_.push_front(t);
  ready_.push_back(t);
}

// -- priority --

namespace {
int in_range(int priority) noexcept { return std::clamp(priority, priority_policy::lowest, priority_policy::highest); }
}  // namespace

void priority_policy::push(schedulable& t, why reason) noexcept {
  t.rank = -in_range(t.priority);
  const auto level = static_cast<unsigned>(in_range(t.priority) - lowest);
  t.note = level + 1;
  filled_ |= std::uint64_t{1} << level;
  if (reason == why::put_back)
    levels_[level].push_front(t);
  else
    levels_[level].push_back(t);
}
schedulable* priority_policy::pop() noexcept {
  if (filled_ == 0) return nullptr;
  const auto level = static_cast<unsigned>(63 - std::countl_zero(filled_));
  schedulable* const t = levels_[level].pop();
  if (levels_[level].empty()) filled_ &= ~(std::uint64_t{1} << level);
  t->note = 0;
  return t;
}
void priority_policy::changed(schedulable& t) noexcept {
  if (t.note == 0) {
    t.rank = -in_range(t.priority);
    return;
  }
  const auto level = static_cast<unsigned>(t.note - 1);
  levels_[level].remove(t);
  if (levels_[level].empty()) filled_ &= ~(std::uint64_t{1} << level);
  push(t, why::woken);
}

// -- fair --

void fair_policy::charge(schedulable& t) noexcept {
  const std::int64_t used = t.cpu_time.count();
  t.rank += (used - t.charged.count()) * 100 / (t.weight != 0 ? t.weight : 1);
  t.charged = t.cpu_time;
}
void fair_policy::push(schedulable& t, why reason) noexcept {
  charge(t);
  if ((reason == why::started || reason == why::woken) && t.rank < time_) t.rank = time_;
  ready_.push(t);
}
schedulable* fair_policy::pop() noexcept {
  schedulable* const t = ready_.pop();
  if (t != nullptr && t->rank > time_) time_ = t->rank;
  return t;
}

// -- deadline --

void deadline_policy::push(schedulable& t, why) noexcept {
  changed(t);
  ready_.push(t);
}
void deadline_policy::changed(schedulable& t) noexcept { t.rank = t.deadline.count(); }

// -- seeded --

seeded_policy::seeded_policy(std::uint64_t seed) noexcept : seed_(seed), state_(seed) { one_in_ = std::uint64_t{2} << draw() % 3; }

/// splitmix64: every seed is as good as any other, also 0, 1, 2.
std::uint64_t seeded_policy::draw() noexcept {
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
void seeded_policy::push(schedulable& t, why) noexcept {
  ready_.push_back(t);
  ++size_;
}
schedulable* seeded_policy::pop() noexcept {
  if (size_ == 0) return nullptr;
  std::uint64_t before = draw() % size_--;
  schedulable* t = ready_.pop();
  for (; before != 0; --before) {
    ready_.push_back(*t);
    t = ready_.pop();
  }
  return t;
}
bool seeded_policy::gives_way() noexcept { return size_ != 0 && draw() % one_in_ == 0; }

}  // namespace weft::engine::api
