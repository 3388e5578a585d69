// SPDX-License-Identifier: BSL-1.0
// The seam under the reactor: how the kernel is asked for readiness. Two back ends: epoll, io_uring.
//
// Both report once per arming, and look at the descriptor's state when they arm: what became ready before is reported at
// once. So a thread that tried, failed and then arms cannot miss an event, and a back end keeps no state of ours.
// Rejected: edge-triggered registration for the descriptor's life (saves a system call per wait under epoll, but a number
// that was closed behind our back, by fclose or a raw system call, would never be reported again).
#pragma once
#include "core/event_source.hpp"
#include "io/descriptors.hpp"

namespace weft::engine::io {

struct back_end {
  const char* name;
  /// Makes ready for use. 0 or an errno code.
  int (*open)() noexcept;
  /// In a forked child: closes what was inherited; open() may follow.
  void (*close)() noexcept;
  /// Under the record's lock: asks that `fd` be reported for `wanted`; of that, `missing` is not armed yet.
  /// 0 or an errno code (EPERM: it cannot be waited for).
  int (*arm)(int fd, descriptor& d, event_mask wanted, event_mask missing) noexcept;
  /// Under the record's lock: nobody wants what is armed any more. A back end that holds the file open lets go of it.
  void (*disarm)(int fd) noexcept;
  void (*poll)(ready_list& ready) noexcept;
  void (*wait)(ready_list& ready, nanoseconds_at until) noexcept;
  void (*interrupt)() noexcept;
  /// Its i-th own descriptor, or -1 (there are fewer than most_own).
  int (*own)(int i) noexcept;
  /// Gives that number up for another one.
  void (*move)(int fd) noexcept;
};

extern const back_end epoll_back_end;
extern const back_end uring_back_end;

/// What a back end has to tell of a descriptor.
struct event {
  static constexpr int any_round = -1;

  int fd;
  event_mask fired;
  event_mask disarmed;    ///< What it will not report again by itself.
  int round = any_round;  ///< The record's when it was armed. One from before the last disarming is dropped.
  bool refused = false;   ///< It cannot report on that descriptor, ever.
};
void on_event(const event& e, ready_list& ready) noexcept;

/// Where descriptors of ours begin: above what programs usually count on, below the limit.
[[nodiscard]] int lowest_hidden_number() noexcept;
/// Moves `fd` there, if there is room. Returns where it is now.
int hide(int fd) noexcept;

}  // namespace weft::engine::io
