// SPDX-License-Identifier: BSL-1.0
// All living threads of the process, and how many there were: for counting, for signals and for reports.
#pragma once
#include <cstdint>

#include "base/spinlock.hpp"
#include "posix/user_thread.hpp"

namespace weft::engine::posix {

class registry {
 public:
  /// [section] all of these.
  void add(user_thread& t) noexcept {
    locked hold(lock_);
    t.next_alive = first_;
    t.prev_alive = nullptr;
    if (first_ != nullptr) first_->prev_alive = &t;
    first_ = &t;
    t.number = ++created_;
    t.listed = true;
    if (++alive_ > most_alive_) most_alive_ = alive_;
  }
  /// Returns how many are left.
  std::uint64_t remove(user_thread& t) noexcept {
    locked hold(lock_);
    (t.prev_alive != nullptr ? t.prev_alive->next_alive : first_) = t.next_alive;
    if (t.next_alive != nullptr) t.next_alive->prev_alive = t.prev_alive;
    t.listed = false;
    return --alive_;
  }
  /// Calls visit(thread) until it returns true.
  template <class Visit>
  void find(Visit visit) noexcept {
    locked hold(lock_);
    find_locked(visit);
  }
  template <class Visit>
  void find_locked(Visit visit) noexcept {
    for (user_thread* t = first_; t != nullptr; t = t->next_alive)
      if (visit(*t)) return;
  }

  [[nodiscard]] std::uint64_t created() const noexcept { return created_; }
  [[nodiscard]] std::uint64_t most_alive() const noexcept { return most_alive_; }

  /// In a forked child only the caller is left.
  void only(user_thread& t) noexcept {
    lock_.reset();
    first_ = &t;
    t.next_alive = t.prev_alive = nullptr;
    t.listed = true;
    alive_ = 1;
  }
  spinlock& lock() noexcept { return lock_; }

 private:
  spinlock lock_;
  user_thread* first_ = nullptr;
  std::uint64_t created_ = 0, alive_ = 0, most_alive_ = 0;
};

extern constinit registry threads;

}  // namespace weft::engine::posix
