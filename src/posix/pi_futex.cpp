// SPDX-License-Identifier: BSL-1.0
#include "posix/pi_futex.hpp"

#include <errno.h>
#include <linux/futex.h>

#include "core/section.hpp"
#include "os/syscall.hpp"
#include "posix/ids.hpp"
#include "posix/runtime.hpp"

namespace weft::engine::posix {

namespace {

/// A thread of ours, or a kernel thread of this process.
bool lives(std::uint32_t id) noexcept {
  const int tid = static_cast<int>(id);
  return by_id(tid) != nullptr || os::raw_syscall(SYS_tgkill, os::raw_syscall(SYS_getpid), tid, 0) == 0;
}

std::uint32_t as_holder(const thread& t) noexcept {
  return static_cast<std::uint32_t>(id_of(static_cast<const user_thread&>(t))) | FUTEX_WAITERS;
}

}  // namespace

long lock_pi(sync::futex_word& word, when_held what, nanoseconds_at deadline) noexcept {
  user_thread& me = self();
  const auto id = static_cast<std::uint32_t>(id_of(me));
  for (;;) {
    std::uint32_t seen = word.load(memory_order::relaxed);  // relaxed: the exchanges decide
    const std::uint32_t holder = seen & FUTEX_TID_MASK;
    if (holder == 0) {
      // [futex-1] acquire: what the last holder wrote.
      if (word.compare_exchange_weak(seen, seen | id, memory_order::acquire, memory_order::relaxed)) return 0;  // relaxed: retry
      continue;
    }
    if (holder == id) return -EDEADLK;
    if (!lives(holder)) {
      if (word.load(memory_order::relaxed) == seen) return -ESRCH;  // relaxed: it has not changed hands meanwhile
      continue;
    }
    // Before we wait: from now on the holder asks when it unlocks.
    if ((seen & FUTEX_WAITERS) == 0 &&
        !word.compare_exchange_weak(seen, seen | FUTEX_WAITERS, memory_order::relaxed, memory_order::relaxed))  // relaxed: orders nothing
      continue;
    if (what == when_held::give_up) return -EAGAIN;
    const section in(me);
    const int error = sync::futexes.wait(me, word, seen | FUTEX_WAITERS, sync::futex_table::heirs, deadline);
    if (error != EAGAIN && error != EINTR) return -error;  // 0: it was handed to us. A handler does not end the wait
  }
}

long unlock_pi(sync::futex_word& word) noexcept {
  user_thread& me = self();
  const std::uint32_t seen = word.load(memory_order::relaxed);  // relaxed: our own id, or somebody else's
  if ((seen & FUTEX_TID_MASK) != static_cast<std::uint32_t>(id_of(me))) return -EPERM;
  const section in(me);
  sync::futexes.hand_over(word, as_holder);
  return 0;
}

}  // namespace weft::engine::posix
