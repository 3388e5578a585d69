// SPDX-License-Identifier: BSL-1.0
// Waiting for the first of several things.
//
//   weft::select(weft::on_receive(requests, [&](std::optional<request> r) { ... }),   // none: the channel is closed and empty
//                weft::on_send(answers, next, [&](bool sent) { ... }),                // false: the channel is closed
//                weft::on_timeout(100ms, [&] { ... }),
//                weft::on_stop(token, [&] { ... }));
//
// Exactly one case happens, and its function runs, in the caller, when nothing of the select is waiting any more. Of several that could
// happen each has the same chance. With weft::otherwise(f) the select never waits. Returns the number of the case, from 0.
// Who may call: threads, fibers and kernel threads alike. No allocation. If a move of a value throws, so does select.
#pragma once
#include <atomic>
#include <cstddef>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include "weft/channel.hpp"

namespace weft {

namespace detail {

/// A case as select sees it.
class select_case {
 public:
  select_case() = default;
  select_case(const select_case&) = delete;
  select_case& operator=(const select_case&) = delete;

  /// Does it if it can be done now.
  virtual bool attempt() = 0;
  /// Lists `p` so that the other side finds it; false, and nothing is listed, if it could be done now.
  virtual bool enlist(parker& p) = 0;
  virtual void withdraw() noexcept = 0;
  /// After enlist and withdraw: did the other side do it?
  [[nodiscard]] virtual bool happened() noexcept = 0;

 protected:
  ~select_case() = default;
};

/// Everything about a select but the types. `fallback`: do not wait.
struct select_plan {
  select_case** cases;
  std::size_t count;
  deadline when = no_deadline;
  std::stop_token stop = {};
  bool fallback = false;
};
enum class select_end : std::uint8_t { happened, late, stopped, fallback };
struct select_result {
  select_end end;
  std::size_t which;
};

inline std::size_t next_chance() noexcept {
  std::uint64_t drawn = 0;
  if (watched() && draw_from_seed(drawn)) [[unlikely]]
    return static_cast<std::size_t>(drawn);
  static std::atomic<std::size_t> turn{0};
  std::size_t x = turn.fetch_add(1, std::memory_order_relaxed) * 0x9e3779b97f4a7c15U;
  return x ^ x >> 29;
}

inline select_result select_one(const select_plan& plan) {
  for (;;) {
    const std::size_t first = plan.count != 0 ? next_chance() % plan.count : 0;
    for (std::size_t k = 0; k < plan.count; ++k)
      if (const std::size_t i = (first + k) % plan.count; plan.cases[i]->attempt()) return {select_end::happened, i};
    if (plan.fallback) return {select_end::fallback, 0};
    parker p;
    std::size_t listed = 0;
    while (listed < plan.count && plan.cases[listed]->enlist(p)) ++listed;
    const bool could_be_done = listed < plan.count;
    const bool finished = !could_be_done && wait_for(p, plan.when, plan.stop);
    const bool gave_up = !finished && p.claim();
    if (!finished && !gave_up) p.await_finish();
    for (std::size_t i = 0; i < listed; ++i) plan.cases[i]->withdraw();
    for (std::size_t i = 0; i < listed && !gave_up; ++i)
      if (plan.cases[i]->happened()) return {select_end::happened, i};
    if (gave_up && !could_be_done) return {plan.stop.stop_requested() ? select_end::stopped : select_end::late, 0};
  }
}

/// What select does with a channel.
struct channel_access {
  template <class T>
  static handed attempt(channel<T>& c, T& value) { return c.attempt_send(value); }
  template <class T>
  static handed attempt(channel<T>& c, std::optional<T>& value) { return c.attempt_receive(value); }
  template <class T>
  static bool enlist(channel<T>& c, parker& p, channel_waiter& w, T& value) {
    const std::lock_guard hold(c.lock_);
    if (c.closed_ || c.values_.size() < c.capacity_ || c.receivers_.has_other_than(p)) return false;
    return push(c.senders_, p, w, &value);
  }
  template <class T>
  static bool enlist(channel<T>& c, parker& p, channel_waiter& w, std::optional<T>& value) {
    const std::lock_guard hold(c.lock_);
    if (c.closed_ || !c.values_.empty() || c.senders_.has_other_than(p)) return false;
    return push(c.receivers_, p, w, &value);
  }
  template <class T>
  static void withdraw(channel<T>& c, channel_waiter& w, const T*) noexcept { c.withdraw(c.senders_, w); }
  template <class T>
  static void withdraw(channel<T>& c, channel_waiter& w, const std::optional<T>*) noexcept { c.withdraw(c.receivers_, w); }

 private:
  static bool push(channel_queue& end, parker& p, channel_waiter& w, void* item) noexcept {
    w.owner = &p;
    w.item = item;
    w.result = handed::nothing;
    end.push(w);
    return true;
  }
};

/// One end of a channel; Item is T for a send, std::optional<T> for a receive.
template <class T, class Item, class F>
class channel_case final : public select_case {
 public:
  channel_case(channel<T>& c, Item item, F f) : channel_(c), item_(std::move(item)), function_(std::move(f)) {}
  bool attempt() override {
    result_ = channel_access::attempt(channel_, item_);
    return result_ != handed::nothing;
  }
  bool enlist(parker& p) override { return channel_access::enlist(channel_, p, waiter_, item_); }
  void withdraw() noexcept override { channel_access::withdraw(channel_, waiter_, &item_); }
  bool happened() noexcept override {
    result_ = waiter_.result;
    return result_ != handed::nothing;
  }
  void run() {
    if constexpr (std::is_same_v<Item, T>) function_(result_ == handed::value);
    else function_(std::move(item_));
  }

 private:
  channel<T>& channel_;
  Item item_;
  F function_;
  channel_waiter waiter_;
  handed result_ = handed::nothing;
};

template <class F>
struct timeout_case {
  deadline when;
  F run;
};
template <class F>
struct stop_case {
  std::stop_token stop;
  F run;
};
template <class F>
struct fallback_case {
  F run;
};

/// Collects the cases of a select, and which of its arguments each one is.
template <std::size_t Most>
struct select_list {
  select_case* cases[Most];
  std::size_t argument[Most];
  std::size_t count = 0, timeout = 0, stop = 0, fallback = 0;
  select_plan plan{cases, 0};

  void add(select_case& c, std::size_t i) noexcept {
    argument[count] = i;
    cases[count++] = &c;
  }
  template <class F>
  void add(timeout_case<F>& c, std::size_t i) noexcept {
    if (c.when < plan.when) plan.when = c.when, timeout = i;
  }
  template <class F>
  void add(stop_case<F>& c, std::size_t i) noexcept { plan.stop = c.stop, stop = i; }
  template <class F>
  void add(fallback_case<F>&, std::size_t i) noexcept { plan.fallback = true, fallback = i; }

  std::size_t run() {
    plan.count = count;
    const select_result r = select_one(plan);
    switch (r.end) {
      case select_end::happened: return argument[r.which];
      case select_end::late: return timeout;
      case select_end::stopped: return stop;
      case select_end::fallback: return fallback;
    }
    return Most;
  }
};

template <class T, template <class> class Kind>
inline constexpr std::size_t is_a = 0;
template <class F, template <class> class Kind>
inline constexpr std::size_t is_a<Kind<F>, Kind> = 1;

}  // namespace detail

/// A value comes out of `from`, or it is closed and empty: f(std::optional<T>).
template <class T, class F>
[[nodiscard]] auto on_receive(channel<T>& from, F f) {
  return detail::channel_case<T, std::optional<T>, F>(from, std::nullopt, std::move(f));
}
/// The value goes into `to` (true), or that is closed (false): f(bool).
template <class T, class V, class F>
[[nodiscard]] auto on_send(channel<T>& to, V&& value, F f) {
  return detail::channel_case<T, T, F>(to, T(std::forward<V>(value)), std::move(f));
}
/// Nothing else happened for so long: f(). Of several the shortest counts.
template <class Rep, class Period, class F>
[[nodiscard]] auto on_timeout(const std::chrono::duration<Rep, Period>& span, F f) {
  return detail::timeout_case<F>{detail::deadline_after(span), std::move(f)};
}
/// Nothing else happened until then: f().
template <class Clock, class Duration, class F>
[[nodiscard]] auto on_deadline(const std::chrono::time_point<Clock, Duration>& when, F f) {
  return detail::timeout_case<F>{detail::deadline_at(when), std::move(f)};
}
/// Stop was requested before anything else happened: f(). One in a select.
template <class F>
[[nodiscard]] auto on_stop(std::stop_token stop, F f) {
  return detail::stop_case<F>{std::move(stop), std::move(f)};
}
/// Nothing can happen now: f(). One in a select.
template <class F>
[[nodiscard]] auto otherwise(F f) {
  return detail::fallback_case<F>{std::move(f)};
}

/// Waits until one of the cases happens, runs its function and returns its number. Waits for ever if there is none.
template <class... Cases>
std::size_t select(Cases&&... cases) {
  static_assert((detail::is_a<std::remove_cvref_t<Cases>, detail::stop_case> + ... + 0) <= 1, "weft: one on_stop in a select");
  static_assert((detail::is_a<std::remove_cvref_t<Cases>, detail::fallback_case> + ... + 0) <= 1, "weft: one otherwise in a select");
  detail::select_list<sizeof...(Cases) + 1> list;
  std::size_t i = 0;
  (list.add(cases, i++), ...);
  const std::size_t which = list.run();
  i = 0;
  ((i++ == which ? cases.run() : void()), ...);
  return which;
}

}  // namespace weft
