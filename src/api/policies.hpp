// SPDX-License-Identifier: BSL-1.0
// The library's own orders, written against the seam that programs use (weft/policy.hpp).
#pragma once
#include <array>
#include <cstdint>

#include "weft/policy.hpp"

namespace weft::engine::api {

/// Linked by schedulable::next and previous; first in, first out.
class ready_fifo {
 public:
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  void push_back(schedulable& t) noexcept;
  void push_front(schedulable& t) noexcept;
  schedulable* pop() noexcept;
  void remove(schedulable& t) noexcept;

 private:
  schedulable* first_ = nullptr;
  schedulable* last_ = nullptr;
};

/// The least rank first; equals in the order in which they came. A leftist heap: next and previous are the children, note the length of
/// the right spine, second_note the turn. Push and pop take as many steps as the logarithm of the size, and recursion no deeper.
class ready_heap {
 public:
  [[nodiscard]] bool empty() const noexcept { return root_ == nullptr; }
  [[nodiscard]] const schedulable* first() const noexcept { return root_; }
  void push(schedulable& t) noexcept;
  schedulable* pop() noexcept;

 private:
  static bool before(const schedulable& a, const schedulable& b) noexcept;
  static schedulable* merge(schedulable* a, schedulable* b) noexcept;
  schedulable* root_ = nullptr;
  std::int64_t turn_ = 0;
};

class fifo_policy final : public policy {
 public:
  void push(schedulable& t, why reason) noexcept override;
  schedulable* pop() noexcept override { return ready_.pop(); }

 private:
  ready_fifo ready_;
};

/// A queue for each level. note: the level in whose queue it is, plus one.
class priority_policy final : public policy {
 public:
  static constexpr int lowest = -32, highest = 31;
  void push(schedulable& t, why reason) noexcept override;
  schedulable* pop() noexcept override;
  void changed(schedulable& t) noexcept override;

 private:
  std::array<ready_fifo, highest - lowest + 1> levels_;
  std::uint64_t filled_ = 0;  ///< A bit for each level that is not empty.
};

/// Ranks are virtual times: CPU time over weight. Who comes anew, or from a long wait, begins at the others' time: it is owed nothing.
class fair_policy final : public policy {
 public:
  void push(schedulable& t, why reason) noexcept override;
  schedulable* pop() noexcept override;
  void changed(schedulable& t) noexcept override { charge(t); }
  [[nodiscard]] bool accounts_cpu_time() const noexcept override { return true; }

 private:
  static void charge(schedulable& t) noexcept;
  ready_heap ready_;
  std::int64_t time_ = 0;
};

class deadline_policy final : public policy {
 public:
  void push(schedulable& t, why reason) noexcept override;
  schedulable* pop() noexcept override { return ready_.pop(); }
  void changed(schedulable& t) noexcept override;

 private:
  ready_heap ready_;
};

/// Chance, that is the seed, decides who runs, and whether somebody gives way where it calls the library.
class seeded_policy final : public policy {
 public:
  explicit seeded_policy(std::uint64_t seed) noexcept;
  void push(schedulable& t, why reason) noexcept override;
  schedulable* pop() noexcept override;
  /// Does the one that runs give way here? By the runtime's one carrier only.
  [[nodiscard]] bool gives_way() noexcept;
  [[nodiscard]] std::uint64_t draw() noexcept;
  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

 private:
  const std::uint64_t seed_;
  std::uint64_t state_;
  std::uint64_t one_in_;
  ready_fifo ready_;
  std::uint64_t size_ = 0;
};

}  // namespace weft::engine::api
