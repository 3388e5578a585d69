// SPDX-License-Identifier: BSL-1.0
// Runtimes that a program makes, beside the default one: a scheduler, its monitor, and the policy that it asks.
//
// A scheduler is never destroyed, for late wakers may look at it: when its runtime ends it has no threads, its carriers sleep, and the next
// runtime that wants one like it takes it over.
#pragma once
#include <atomic>
#include <optional>
#include <variant>

#include "api/policies.hpp"
#include "api/strand.hpp"
#include "base/text.hpp"
#include "core/order.hpp"
#include "core/scheduler.hpp"
#include "rescue/monitor.hpp"
#include "sync/ending.hpp"
#include "weft/detail/strand.hpp"
#include "weft/policy.hpp"

namespace weft {
class runtime;
}

namespace weft::engine::api {

/// The core's seam in the terms of the library's.
class policy_order final : public order {
 public:
  void push(thread& t, became_ready why) noexcept override;
  thread* pop() noexcept override;
  void changed(thread& t) noexcept override;
  [[nodiscard]] bool time_is_virtual() const noexcept override { return is_virtual; }

  policy* by = nullptr;      ///< The runtime's, null between two of them. Changes under the queue's lock.
  bool is_virtual = false;
};

/// What a runtime needs of a scheduler; those with the same needs can follow each other on one.
struct needs {
  std::uint32_t parallelism = 1;
  nanoseconds slice = 0;
  bool ordered = false, virtual_time = false;
  friend bool operator==(const needs&, const needs&) = default;
};

/// A scheduler beside the default one. Made once, used by one runtime after the other.
struct side_scheduler {
  scheduler engine;
  policy_order by;
  needs as;
  bool in_use = false;
  side_scheduler* next = nullptr;
  alignas(monitor) unsigned char monitor_memory[sizeof(monitor)];
};

}  // namespace weft::engine::api

namespace weft::detail {

/// What stands behind a weft::runtime.
struct runtime_state {
  engine::api::side_scheduler* side = nullptr;  ///< Null under 1:1: its threads are kernel threads.
  std::uint32_t parallelism = 1;
  std::variant<std::monostate, engine::api::fifo_policy, engine::api::priority_policy, engine::api::fair_policy, engine::api::deadline_policy, engine::api::seeded_policy> own;
  policy* by = nullptr;
  bool inherits = false;                         ///< Priorities pass from waiters to holders.
  bool accounts = false;                         ///< It asked for CPU times.
  engine::api::seeded_policy* seeded = nullptr;
  std::uint32_t generation = 0;                  ///< The process that it runs in: in a forked child it has no carriers.
  engine::atomic<std::uint32_t> threads{1};      ///< Those that live, and the runtime object.
  engine::sync::ending end;
};

struct runtime_access {
  [[nodiscard]] static runtime_state& state_of(const runtime& r) noexcept;
};

}  // namespace weft::detail

namespace weft::engine::api {

using detail::runtime_state;

/// Where a new strand shall run: null is the default runtime.
[[nodiscard]] runtime_state* runtime_for(const spawn_options& options, const strand& creator) noexcept;
[[nodiscard]] inline scheduler& scheduler_of(const runtime_state* in) noexcept {
  return in != nullptr && in->side != nullptr ? in->side->engine : the_scheduler;
}
/// A runtime is not over before its strands are. Who leaves may be gone when it is told: the caller read s.in before.
void enter_runtime(strand& s, runtime_state* in) noexcept;
void leave_runtime(runtime_state* in) noexcept;

/// For who looks for deadlocks: visits each scheduler beside the default one.
[[nodiscard]] side_scheduler* first_side_scheduler() noexcept;
/// Writes about seeds that are in use, if any.
void describe_seeds(text<300>& out) noexcept;
/// In a forked child.
void forget_side_schedulers() noexcept;

}  // namespace weft::engine::api
