// SPDX-License-Identifier: BSL-1.0
#include "posix/binding.hpp"

#include <errno.h>
#include <linux/futex.h>

#include "os/syscall.hpp"

namespace weft::engine::posix {

long bound_call(long number, long a, long b, long c, long d, long e) noexcept {
  user_thread& me = self();
  const long result = bind_for(me, [&]() noexcept { return os::raw_syscall(number, a, b, c, d, e); });
  if (result >= 0) return result;
  errno = static_cast<int>(-result);
  return -1;
}

as_kernel_thread::as_kernel_thread(user_thread& me) noexcept : pointer_(me.thread_pointer) {
  if (me.kind == thread_kind::foreign && me.on == nullptr) return;  // it is one, with that id
  if (!me.robust_list_known) {
    me.robust_list_known = true;
    (void)bind_for(me, [&]() noexcept {
      return os::raw_syscall(SYS_set_robust_list, static_cast<long>(mem::robust_list(pointer_)), sizeof(robust_list_head));
    });
  }
  own_id_ = mem::thread_id(pointer_);
  mem::set_thread_id(pointer_, me.on->tid.load(memory_order::relaxed));  // relaxed: our own carrier's
}

namespace {

/// What the kernel does for a mutex of a thread that has ended.
void mark_ownerless(std::uintptr_t word, std::uint32_t id, bool inherits_priority) noexcept {
  auto& futex = *reinterpret_cast<atomic<std::uint32_t>*>(word);
  std::uint32_t seen = futex.load(memory_order::relaxed);  // relaxed: the exchange decides
  do {
    if ((seen & FUTEX_TID_MASK) != id) return;
    // [robust-1] release: the next owner, who finds the mark (libc's lock acquires), sees what we wrote under the lock.
  } while (!futex.compare_exchange_weak(seen, (seen & FUTEX_WAITERS) | FUTEX_OWNER_DIED, memory_order::release,
                                        memory_order::relaxed));  // relaxed: look again
  // The mutex may be shared with other processes, so the wake is not private.
  if ((seen & FUTEX_WAITERS) != 0 && !inherits_priority) os::raw_syscall(SYS_futex, os::arg(&futex), FUTEX_WAKE, 1);
}

}  // namespace

// The kernel would do it when the kernel thread ends. But a joiner is told before that, and may have the thread's block
// used again by then; and whoever has joined a thread may count on finding its mutexes marked. [robust-1] libc is the
// other side: its lock acquires the word in which it finds the mark.
void give_up_robust_mutexes(user_thread& me) noexcept {
  if (!me.robust_list_known) return;
  me.robust_list_known = false;
  const auto id = static_cast<std::uint32_t>(me.on->tid.load(memory_order::relaxed));  // relaxed: our own carrier's
  auto& head = *reinterpret_cast<robust_list_head*>(mem::robust_list(me.thread_pointer));
  const auto end = reinterpret_cast<std::uintptr_t>(&head.list);
  auto entry = reinterpret_cast<std::uintptr_t>(head.list.next);
  for (int n = 0; (entry & ~std::uintptr_t{1}) != end && n < 2048; ++n) {  // as many as the kernel looks at
    const bool inherits_priority = (entry & 1) != 0;
    const std::uintptr_t at = entry & ~std::uintptr_t{1};
    entry = reinterpret_cast<std::uintptr_t>(reinterpret_cast<robust_list*>(at)->next);
    mark_ownerless(at + static_cast<std::uintptr_t>(head.futex_offset), id, inherits_priority);
  }
  head.list.next = &head.list;
  os::raw_syscall(SYS_set_robust_list, 0, sizeof(robust_list_head));
}

}  // namespace weft::engine::posix
