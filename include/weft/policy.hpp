// SPDX-License-Identifier: BSL-1.0
// Schedulers of one's own: who of a runtime's ready threads runs next.
//
//   struct newest_first final : weft::policy {
//     void push(weft::schedulable& t, why) noexcept override { t.next = top; top = &t; }
//     weft::schedulable* pop() noexcept override { return top != nullptr ? std::exchange(top, top->next) : nullptr; }
//     weft::schedulable* top = nullptr;
//   };
//   newest_first order;
//   weft::runtime r({.parallelism = 2, .own_policy = &order});
//
// The library's own orders (weft::scheduling) are written in the same way, but for work stealing, which has a queue for each carrier and is
// faster: a policy costs a lock and a call for each wake-up.
#pragma once
#include <chrono>
#include <cstdint>
#include <string_view>

namespace weft {

/// A thread or fiber as a policy sees it.
struct schedulable {
  std::uint64_t number = 0;      ///< Its id's.
  std::string_view name;         ///< As it was given.
  int priority = 0;              ///< Greater is more urgent; raised while it holds a mutex that somebody more urgent waits for.
  unsigned weight = 100;         ///< Its share of CPU time, beside others'.
  std::chrono::nanoseconds deadline = std::chrono::nanoseconds::max();  ///< By weft::clock, since its epoch.
  std::chrono::nanoseconds cpu_time{0};  ///< Used since its start; exact in runtimes that `accounts_cpu_time`.

  // Of the policy that keeps it. All are as it left them; null and 0 in a new thread.
  schedulable* next = nullptr;           ///< For its lists.
  schedulable* previous = nullptr;       ///< The same.
  std::int64_t note = 0;                 ///< For whatever it wants to know.
  std::int64_t second_note = 0;          ///< The same.
  std::chrono::nanoseconds charged{0};   ///< For orders by CPU time: how much of it they have counted.
  /// Written by the policy in push and changed. One that becomes ready displaces, if no carrier is free, who runs with the greatest rank, provided that
  /// is greater; and one whose slice is over, or that yields, goes on if nobody ready has a rank as small. All the same: nobody displaces anybody.
  std::int64_t rank = 0;
};

/// The seam. Calls come one at a time, from carriers, in the middle of a switch: they may not wait, allocate, throw or call the library, and
/// should take well under a microsecond. A policy serves one runtime and outlives it.
class policy {
 public:
  /// Why it becomes ready: it has started; what it waited for has happened; it gave way, by itself or because its slice is over; it was popped but
  /// could not run, and shall be the first of its equals.
  enum class why : std::uint8_t { started, woken, yielded, put_back };

  policy() = default;
  policy(const policy&) = delete;
  policy& operator=(const policy&) = delete;
  virtual ~policy() = default;

  /// Keeps `t`, which is ready, until pop returns it.
  virtual void push(schedulable& t, why reason) noexcept = 0;
  /// Who runs next; null if none is kept. Whoever was pushed must be popped some day: a policy may be unfair, but not lose anybody.
  virtual schedulable* pop() noexcept = 0;
  /// The priority, deadline or CPU time of `t` has changed; it runs, waits, or is kept here.
  virtual void changed(schedulable& t) noexcept { (void)t; }
  /// Is `schedulable::cpu_time` needed? Costs about 25 ns for each switch in the process.
  [[nodiscard]] virtual bool accounts_cpu_time() const noexcept { return false; }
};

}  // namespace weft
