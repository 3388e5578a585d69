// SPDX-License-Identifier: BSL-1.0
// Waiting for descriptors: a thread that would block parks here until the kernel reports readiness, then tries again.
//
// I1  Whoever is linked in a record has its events armed in the back end, or somebody has taken its turn.
// I2  A turn: of those who want to read (or write) one descriptor only the first is woken; when it is done, by success,
//     error or giving up, it gives the turn back, and what the rest wants is armed again. Level-triggered arming then
//     reports at once if there is more. So nothing is lost and nobody is woken in vain.
// I3  As in the kernel, a thread that waits keeps the file open: if the program closes the number meanwhile, or puts another
//     file there, the waiters move to a duplicate, which is closed when the last of them leaves.
//
//   waiting thread                              event (any poller)
//   try: EAGAIN
//   lock record; link; arm; unlock              lock record; unlink and claim the first; taken |= its events;
//   park                                        arm what the others want and nobody has taken; unlock; make ready
//   try again
//   lock record; taken &= ~its events; arm what is wanted; unlock
#pragma once
#include "core/options.hpp"
#include "core/section.hpp"
#include "io/descriptors.hpp"

namespace weft::engine::io {

struct back_end;

enum class wait_end : std::uint8_t {
  ready,      ///< Perhaps: try again.
  deadline,
  interrupt,  ///< A signal handler has run or is to run; or a cancellation.
  refused,    ///< The kernel cannot report on this descriptor, or there is no reactor: block instead.
};

/// One operation on one descriptor. Threads of ours only, outside sections. Not copied, not left by unwinding.
class turn {
 public:
  turn(thread& me, int fd, event_mask wanted) noexcept : me_(me), fd_(fd), wanted_(wanted) {}
  /// Gives the turn back.
  ~turn() {
    if (has_turn_) [[unlikely]] give_back();
  }
  turn(const turn&) = delete;
  turn& operator=(const turn&) = delete;

  /// The descriptor to use: not always the program's number (I3).
  [[nodiscard]] int fd() const noexcept { return fd_; }
  /// For operations that cannot be tried without waiting: takes the turn if it is free, or waits for it.
  wait_end take(nanoseconds_at deadline) noexcept;
  /// Parks until the descriptor may be ready. Cost: a system call to arm, and what an event costs.
  wait_end wait(nanoseconds_at deadline) noexcept;

 private:
  void give_back() noexcept;
  wait_end park_in(const back_end& b, descriptor& d, nanoseconds_at deadline) noexcept;

  thread& me_;
  int fd_;
  event_mask wanted_;
  bool has_turn_ = false;
};

/// For poll and its kin: waits until one of `count` waiters (descriptor and wanted are set) may be ready.
wait_end wait_for_any(thread& me, waiter* waiters, unsigned count, nanoseconds_at deadline) noexcept;

/// The program is about to close `fd`, or to put another file there. Outside sections.
void let_go(thread& me, int fd) noexcept;
/// The i-th of the reactor's own descriptors (i below most_own), or -1.
inline constexpr int most_own = 3;
[[nodiscard]] int own_descriptor(int i) noexcept;
/// Is `fd` one of the reactor's own descriptors? The program did not open it and is not to close it.
[[nodiscard]] bool is_own(int fd) noexcept;
/// The program wants that number for a file of its own: the reactor's goes elsewhere. Outside sections.
void move_own(thread& me, int fd) noexcept;

/// "epoll" or "uring", or "none" while nothing has been waited for.
[[nodiscard]] const char* name_of_back_end() noexcept;

/// Which back end is to be used; before the first wait.
void choose_back_end(options::io_choice c) noexcept;

/// In a forked child: nobody waits, and the reactor begins anew.
void begin_anew() noexcept;

}  // namespace weft::engine::io
