// SPDX-License-Identifier: BSL-1.0
// Who calls: a thread of ours, or a kernel thread that somebody else made (libc's helpers for timers and name look-ups,
// a runtime that calls clone). The latter get a record on first contact, so that they can wait with everybody else.
#include <new>

#include "arch/thread_pointer.hpp"
#include "base/spinlock.hpp"
#include "os/memory.hpp"
#include "os/signal_mask.hpp"
#include "posix/runtime.hpp"
#include "posix/user_thread.hpp"

namespace weft::engine::posix {

namespace {

// Kernel threads that end do not tell us, so records are only ever added. The first lie here: so there are some even when
// the system has no memory. After that one page serves several.
alignas(user_thread) constinit char first_strangers[8 * sizeof(user_thread)] = {};
constinit spinlock strangers_lock;
constinit char* strangers = first_strangers;
constinit std::size_t strangers_left = sizeof first_strangers;

/// Null: no memory.
user_thread* new_stranger() noexcept {
  locked hold(strangers_lock);
  if (strangers_left < sizeof(user_thread)) {
    auto* page = static_cast<char*>(os::map(os::page_size));
    if (page == nullptr) return nullptr;
    strangers = page;
    strangers_left = os::page_size;
  }
  auto* t = new (strangers) user_thread;
  strangers += sizeof(user_thread);
  strangers_left -= sizeof(user_thread);
  return t;
}

[[gnu::noinline]] user_thread& make_stranger() noexcept {
  user_thread* t = new_stranger();
  for (; t == nullptr; t = new_stranger()) give_cpu_away();  // it cannot go on without: until somebody gives memory back
  t->kind = thread_kind::foreign;
  t->thread_pointer = arch::thread_pointer();
  t->no_preempt.set(0);
  t->signal_mask = os::signal_mask();
  current_thread = t;
  return *t;
}

}  // namespace

user_thread& self() noexcept {
  thread* t = current();
  if (t == nullptr) [[unlikely]]
    return make_stranger();
  return static_cast<user_thread&>(*t);
}

}  // namespace weft::engine::posix
