// SPDX-License-Identifier: BSL-1.0
// Channels: queues between threads, by which values change their owner.
//
//   weft::channel<int> numbers(16);                 // holds up to 16; 0: a send waits for its receive; unbounded: never full
//   numbers.send(7);                                // false if the channel is closed
//   while (auto n = numbers.receive()) use(*n);     // nothing more, and closed: no value
//   for (int n : numbers) use(n);                   // the same
//
// Who may call: threads, fibers and kernel threads alike, any number at both ends. First come, first served, at each end. Values arrive in
// the order in which they were sent. Cost: 20 ns for a value that nobody waits for; no allocation but for room never needed before.
// T is moved: from the sender's argument into the queue or straight to a receiver that waits. If a move throws, the exception comes out of
// the call that moved; a receiver that it was meant for goes on waiting.
#pragma once
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

#include "weft/detail/parker.hpp"
#include "weft/detail/ring.hpp"
#include "weft/detail/time.hpp"

namespace weft {

/// The capacity of a channel that is never full.
inline constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

namespace detail {

enum class handed : std::uint8_t { nothing, value, closed };

/// One who waits at one end of a channel; on its stack, or in a select.
struct channel_waiter {
  channel_waiter* next = nullptr;
  channel_waiter* prev = nullptr;
  parker* owner = nullptr;
  void* item = nullptr;              ///< A sender's T, or a receiver's std::optional<T>.
  handed result = handed::nothing;   ///< By the claimer, before it finishes.
  bool listed = false;               ///< Under the channel's lock.
};

/// Under the channel's lock.
class channel_queue {
 public:
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  void push(channel_waiter& w) noexcept {
    w.next = nullptr;
    w.prev = last_;
    (last_ != nullptr ? last_->next : first_) = &w;
    last_ = &w;
    w.listed = true;
  }
  void remove(channel_waiter& w) noexcept {
    (w.prev != nullptr ? w.prev->next : first_) = w.next;
    (w.next != nullptr ? w.next->prev : last_) = w.prev;
    w.listed = false;
  }
  /// Is there one that waits for something else than `p`?
  [[nodiscard]] bool has_other_than(const parker& p) const noexcept {
    const channel_waiter* w = first_;
    while (w != nullptr && w->owner == &p) w = w->next;
    return w != nullptr;
  }
  /// The first that nobody else has claimed, unlisted and claimed by the caller.
  channel_waiter* claim_first() noexcept {
    while (channel_waiter* w = first_) {
      remove(*w);
      if (w->owner->claim()) return w;
    }
    return nullptr;
  }

 private:
  channel_waiter* first_ = nullptr;
  channel_waiter* last_ = nullptr;
};

struct channel_access;

/// True if it was finished before the time was up or stop was requested.
inline bool wait_for(parker& p, deadline when, const std::stop_token& stop) {
  if (!stop.stop_possible()) return p.wait(when) == parker::ended::finished;
  const std::stop_callback on_stop(stop, [&p]() noexcept { p.interrupt(); });
  return p.wait(when) == parker::ended::finished;
}

}  // namespace detail

/// A queue of values between threads. Must not be destroyed while somebody waits at it: the program ends.
template <class T>
class channel {
  static_assert(std::is_move_constructible_v<T> && !std::is_reference_v<T>);

 public:
  /// What it carries.
  using value_type = T;

  /// With room for so many values that nobody has received yet: 0, a send waits for its receive; `unbounded`, it never waits.
  explicit channel(std::size_t capacity = 0) : capacity_(capacity) {}
  ~channel() {
    if (!senders_.empty() || !receivers_.empty()) [[unlikely]] detail::destroyed_in_use("channel");
  }
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  /// Waits until the value is in the channel, or with its receiver. False if the channel is closed: then the value is lost.
  bool send(T value) { return send_by(value, detail::no_deadline, {}) == detail::handed::value; }
  /// Never waits. False if nobody takes the value now; then it is still the caller's.
  [[nodiscard]] bool try_send(T&& value) { return attempt_send(value) == detail::handed::value; }
  /// The same with a copy.
  [[nodiscard]] bool try_send(const T& value) {
    T copy(value);
    return try_send(std::move(copy));
  }
  /// Waits so long at most, or until stop is requested.
  template <class Rep, class Period>
  [[nodiscard]] bool send_for(T value, const std::chrono::duration<Rep, Period>& span) {
    return send_by(value, detail::deadline_after(span), {}) == detail::handed::value;
  }
  /// Waits until then at most. False if the channel is closed or the time is up: then the value is lost.
  template <class Clock, class Duration>
  [[nodiscard]] bool send_until(T value, const std::chrono::time_point<Clock, Duration>& when) {
    return send_by(value, detail::deadline_at(when), {}) == detail::handed::value;
  }
  /// Waits until the value is in the channel, or stop is requested. False: it is not, or the channel is closed; then the value is lost.
  [[nodiscard]] bool send(T value, const std::stop_token& stop) { return send_by(value, detail::no_deadline, stop) == detail::handed::value; }

  /// Waits for a value. None if the channel is closed and empty.
  [[nodiscard]] std::optional<T> receive() { return receive_by(detail::no_deadline, {}); }
  /// Never waits. None if there is no value now.
  [[nodiscard]] std::optional<T> try_receive() {
    std::optional<T> value;
    (void)attempt_receive(value);
    return value;
  }
  /// Waits so long at most, or until stop is requested.
  template <class Rep, class Period>
  [[nodiscard]] std::optional<T> receive_for(const std::chrono::duration<Rep, Period>& span) {
    return receive_by(detail::deadline_after(span), {});
  }
  /// Waits until then at most. None if nothing came, or the channel is closed and empty.
  template <class Clock, class Duration>
  [[nodiscard]] std::optional<T> receive_until(const std::chrono::time_point<Clock, Duration>& when) {
    return receive_by(detail::deadline_at(when), {});
  }
  /// Waits for a value until stop is requested. None if it was, or the channel is closed and empty.
  [[nodiscard]] std::optional<T> receive(const std::stop_token& stop) { return receive_by(detail::no_deadline, stop); }

  /// No more values: sends fail, also those that wait; what is in the channel can still be received. Closing twice is nothing new.
  void close() {
    lock_.lock();
    closed_ = true;
    // Senders that wait wait for room or a receiver, which will not come; receivers that wait have found the channel empty.
    detail::channel_queue* const ends[] = {&senders_, &receivers_};
    for (detail::channel_queue* end : ends)
      while (detail::channel_waiter* w = end->claim_first()) {
        w->result = detail::handed::closed;
        w->owner->finish();
      }
    lock_.unlock();
  }

  /// Has close() been called? Values may still be in it.
  [[nodiscard]] bool is_closed() const {
    const std::lock_guard hold(lock_);
    return closed_;
  }
  /// How many values are in the channel.
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard hold(lock_);
    return values_.size();
  }
  /// What it was made with.
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

  /// For `for`: receives until the channel is closed and empty.
  class iterator {
   public:
    /// As the channel's.
    using value_type = T;
    /// What the standard asks of iterators; nothing counts with it.
    using difference_type = std::ptrdiff_t;
    iterator() = default;
    /// Waits for the first value.
    explicit iterator(channel& from) : from_(&from), value_(from.receive()) {}
    /// The value, which may be moved from. Not at the end.
    T& operator*() const noexcept { return *value_; }
    /// Waits for the next value, or the end.
    iterator& operator++() {
      value_ = from_->receive();
      return *this;
    }
    /// The same.
    void operator++(int) { ++*this; }
    /// Is it at the end: no value came, and none will?
    friend bool operator==(const iterator& i, std::default_sentinel_t) noexcept { return !i.value_.has_value(); }

   private:
    channel* from_ = nullptr;
    mutable std::optional<T> value_;
  };
  /// Waits for the first value.
  [[nodiscard]] iterator begin() { return iterator(*this); }
  /// Of the loop: closed and empty.
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  friend struct detail::channel_access;

  /// Finishes, when the lock has been let go, one whom it served.
  struct after_unlock {
    explicit after_unlock(channel& c) noexcept : lock(c.lock_) { lock.lock(); }
    ~after_unlock() {
      lock.unlock();
      if (served != nullptr) served->finish();
    }
    after_unlock(const after_unlock&) = delete;
    after_unlock& operator=(const after_unlock&) = delete;
    detail::plain_lock& lock;
    detail::parker* served = nullptr;
  };

  // Under the lock. `nothing`: not without waiting.
  detail::handed give(T& value, after_unlock& hold) {
    if (closed_) return detail::handed::closed;
    if (detail::channel_waiter* w = receivers_.claim_first()) {
      hold.served = w->owner;
      w->result = detail::handed::nothing;  // should the move throw: it tries again
      static_cast<std::optional<T>*>(w->item)->emplace(std::move(value));
      w->result = detail::handed::value;
      return detail::handed::value;
    }
    if (values_.size() >= capacity_) return detail::handed::nothing;
    values_.push(std::move(value));
    return detail::handed::value;
  }
  detail::handed take(std::optional<T>& out, after_unlock& hold) {
    if (!values_.empty()) {
      out.emplace(std::move(values_.front()));
      values_.pop();
      if (detail::channel_waiter* w = senders_.claim_first()) {
        hold.served = w->owner;
        w->result = detail::handed::nothing;
        try {
          values_.push(std::move(*static_cast<T*>(w->item)));
          w->result = detail::handed::value;
        } catch (...) {  // the sender's business: it tries again by itself
        }
      }
      return detail::handed::value;
    }
    if (detail::channel_waiter* w = senders_.claim_first()) {
      hold.served = w->owner;
      w->result = detail::handed::value;  // should the move throw: it is out of the sender's hands
      out.emplace(std::move(*static_cast<T*>(w->item)));
      return detail::handed::value;
    }
    return closed_ ? detail::handed::closed : detail::handed::nothing;
  }

  detail::handed attempt_send(T& value) {
    after_unlock hold(*this);
    return give(value, hold);
  }
  detail::handed attempt_receive(std::optional<T>& out) {
    after_unlock hold(*this);
    return take(out, hold);
  }

  detail::handed send_by(T& value, detail::deadline when, const std::stop_token& stop) {
    return wait_at(senders_, &value, when, stop, [&](after_unlock& hold) { return give(value, hold); });
  }
  std::optional<T> receive_by(detail::deadline when, const std::stop_token& stop) {
    std::optional<T> value;
    (void)wait_at(receivers_, &value, when, stop, [&](after_unlock& hold) { return take(value, hold); });
    return value;
  }

  template <class Attempt>
  detail::handed wait_at(detail::channel_queue& end, void* item, detail::deadline when, const std::stop_token& stop, Attempt attempt) {
    for (;;) {
      detail::parker p;
      detail::channel_waiter w;
      {
        after_unlock hold(*this);
        if (const detail::handed now = attempt(hold); now != detail::handed::nothing) return now;
        w.owner = &p;
        w.item = item;
        end.push(w);
      }
      if (!detail::wait_for(p, when, stop)) {
        if (p.claim()) {
          withdraw(end, w);
          return detail::handed::nothing;
        }
        p.await_finish();
      }
      if (w.result != detail::handed::nothing) return w.result;
    }
  }
  void withdraw(detail::channel_queue& end, detail::channel_waiter& w) noexcept {
    const std::lock_guard hold(lock_);
    if (w.listed) end.remove(w);
  }

  mutable detail::plain_lock lock_;
  bool closed_ = false;
  const std::size_t capacity_;
  detail::ring<T> values_;
  detail::channel_queue senders_, receivers_;
};

}  // namespace weft
