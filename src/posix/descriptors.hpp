// SPDX-License-Identifier: BSL-1.0
// What the wrappers of descriptor calls share: an operation is tried without waiting, and parks in between (io/reactor.hpp).
//
// The program's descriptors keep the flags that it gave them: trying without waiting is a matter of each call (MSG_DONTWAIT,
// RWF_NOWAIT, poll). EAGAIN reaches the program only if the descriptor has O_NONBLOCK, or its timeout is over.
// Rejected: O_NONBLOCK on everything behind the program's back: the flag belongs to the open file, which children and other
// processes share.
#pragma once
#include <errno.h>

#include "io/attempts.hpp"
#include "io/reactor.hpp"
#include "posix/cancel.hpp"
#include "posix/runtime.hpp"
#include "posix/signals.hpp"

namespace weft::engine::posix {

/// The calling thread if it can park; null if the call is libc's: model 1:1, no engine yet, a kernel thread not of ours, or a
/// handler of a fault inside the engine.
[[nodiscard]] inline user_thread* parkable() noexcept {
  if (native() || runtime.now != stage::running) return nullptr;
  user_thread& me = self();
  return me.kind == thread_kind::user && !me.no_preempt.raised() ? &me : nullptr;
}

/// The kernel's result as libc would return it.
inline long to_errno(long result) noexcept {
  if (result >= 0) return result;
  errno = static_cast<int>(-result);
  return -1;
}

/// The program closes `fd`, or puts another file there. Outside sections.
void forget_descriptor(int fd) noexcept;

using io::after_eagain;
using io::descriptor_flags_changed;
using io::disturbed;
using io::known_nonblocking;
using io::must_block;
using io::polls_ready;
using io::read_now;
using io::would_block;
using io::write_now;

/// When a wait on `fd` is to end: SO_RCVTIMEO or SO_SNDTIMEO, or never.
[[nodiscard]] nanoseconds_at socket_deadline(int fd, int option) noexcept;

inline constexpr int most_in_vain = 16;

/// Runs `attempt(fd)` until it does not say would_block, parking in between. `deadline()` is asked once, before the first
/// park: its passing returns -EAGAIN. must_block and whatever cannot be waited for return must_block. EINTR as POSIX has it.
/// Acts on cancellation; call it first thing in a wrapper, and never under a turn of another descriptor.
template <class Attempt, class Deadline>
long until_done(user_thread& me, int fd, io::event_mask wanted, Attempt attempt, Deadline deadline) {
  const std::uint32_t handlers = me.handlers_run;
  nanoseconds_at until = 0;
  int in_vain = 0;
  for (;;) {
    io::wait_end end = io::wait_end::ready;
    {
      io::turn turn(me, fd, wanted);
      while (end == io::wait_end::ready) {
        const long result = attempt(turn);
        if (result != would_block && result != disturbed) return result;
        // Reported ready over and over, but it is not (a local datagram socket whose receiver is full): the kernel can wait.
        if (++in_vain > most_in_vain && polls_ready(turn.fd(), wanted)) return must_block;
        if (until == 0) until = deadline();
        end = result == disturbed ? io::wait_end::interrupt : turn.wait(until);
      }
    }
    if (end == io::wait_end::deadline) return -EAGAIN;
    if (end == io::wait_end::refused) return must_block;
    cancellation_point(me);
    // A call with a timeout is never restarted.
    if (me.handlers_run != handlers && (!me.handler_restarts || until != never)) return -EINTR;
  }
}

inline nanoseconds_at no_deadline() noexcept { return never; }

}  // namespace weft::engine::posix
