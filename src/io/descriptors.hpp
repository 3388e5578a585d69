// SPDX-License-Identifier: BSL-1.0
// What we know of each file descriptor of the process: who waits for it, what is armed for them in the back end, and what
// earlier calls found out about it (notes: only ever hints; a wrong one costs a system call or a rescue).
//
// Records lie in chunks that are mapped on first use and never unmapped, so a late event may always look.
#pragma once
#include <cstdint>

#include "base/atomic.hpp"
#include "base/spinlock.hpp"
#include "core/thread.hpp"

namespace weft::engine::io {

/// poll's bits, which are epoll's, too.
using event_mask = std::uint32_t;

/// What earlier calls found a descriptor to be, which says how to try an operation without waiting.
enum class descriptor_kind : std::uint8_t {
  unknown,
  socket,      ///< MSG_DONTWAIT
  pipe,        ///< RWF_NOWAIT, or a plain call if it is known not to wait
  nowait,      ///< RWF_NOWAIT: eventfd, timerfd
  poll_first,  ///< poll, then the plain call: terminals, FIFOs, inotify
  file,        ///< RWF_NOWAIT for reading, plain for writing
  plain,       ///< Never waits for anybody.
};

struct waiter {
  waiter* next = nullptr;
  waiter* prev = nullptr;
  thread* who = nullptr;
  ticket wait{};
  event_mask wanted = 0;
  bool sharing = false;  ///< It only looks (poll): may be woken together with others.
  bool woken = false;    ///< Claimed for an event; it will unlink itself.
  /// Whose record it is linked in. Changes, under the lock, when the program closes the number (reactor.hpp, I3).
  atomic<int> number{-1};
};

struct descriptor {
  spinlock lock;
  event_mask armed = 0;      ///< What the back end will report, once.
  event_mask taken = 0;      ///< Somebody was woken for it and is about to use it.
  bool known_to_back_end = false;
  bool refused = false;      ///< The back end cannot report on it.
  std::uint8_t round = 0;    ///< Counts disarmings, for back ends that may report late.
  bool lent = false;         ///< A duplicate that only its waiters keep open.
  waiter* first = nullptr;
  waiter* last = nullptr;

  atomic<descriptor_kind> kind{descriptor_kind::unknown};
  atomic<bool> nonblocking{false};  ///< Known to have O_NONBLOCK: calls go straight to the kernel.
  atomic<int> credit{0}, streak{0};  ///< Of a pipe (io/pipe_credit.hpp).

  void push_back(waiter& w) noexcept;
  void remove(waiter& w) noexcept;
  void forget_notes() noexcept {
    kind.store(descriptor_kind::unknown, memory_order::relaxed);  // relaxed: a hint
    nonblocking.store(false, memory_order::relaxed);              // relaxed: a hint
    credit.store(0, memory_order::relaxed);                       // relaxed: a hint
    streak.store(0, memory_order::relaxed);                       // relaxed: a hint
  }
};

/// The record of `fd`; null if there is no memory for it, or the number is beyond what we keep (about a million).
[[nodiscard]] descriptor* record_of(int fd) noexcept;
/// The same, but null if nobody asked for it before.
[[nodiscard]] descriptor* record_if_any(int fd) noexcept;
/// Calls visit(fd, record) for every record that was asked for in [first, last].
void for_each_record(unsigned first, unsigned last, void (*visit)(int, descriptor&)) noexcept;
/// In a forked child: nobody waits, and what was open for waiters alone is closed.
void forget_all_waiters() noexcept;

}  // namespace weft::engine::io
