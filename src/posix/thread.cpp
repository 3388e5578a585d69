// SPDX-License-Identifier: BSL-1.0
// pthread_create, join, detach, exit, self and yield.
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "arch/thread_pointer.hpp"
#include "core/section.hpp"
#include "mem/thread_block.hpp"
#include "os/signal_mask.hpp"
#include "posix/cancel.hpp"
#include "posix/exported.hpp"
#include "posix/registry.hpp"
#include "posix/runtime.hpp"
#include "posix/stats.hpp"
#include "posix/thread_life.hpp"

namespace weft::engine::posix {

namespace {

thread_request request_from(const pthread_attr_t* attributes, void* (*start)(void*), void* argument) noexcept {
  thread_request r{.start = start, .argument = argument};
  if (attributes == nullptr) return r;
  int state = PTHREAD_CREATE_JOINABLE;
  ::pthread_attr_getdetachstate(attributes, &state);
  r.detached = state == PTHREAD_CREATE_DETACHED;
  ::pthread_attr_getstack(attributes, &r.own_stack, &r.stack_bytes);
  // Without a stack of the program's, libc reports an address that is the (missing) top minus the size.
  if (reinterpret_cast<std::uintptr_t>(r.own_stack) + r.stack_bytes == 0) r.own_stack = nullptr;
  ::pthread_attr_getstacksize(attributes, &r.stack_bytes);
  // A size that the program did not set is libc's default; ours may have been chosen by an option.
  if (r.own_stack == nullptr && runtime.chosen.stack_bytes != 0) {
    pthread_attr_t untouched;
    std::size_t usual = 0;
    if (::pthread_attr_init(&untouched) == 0) {
      ::pthread_attr_getstacksize(&untouched, &usual);
      ::pthread_attr_destroy(&untouched);
    }
    if (r.stack_bytes == usual) r.stack_bytes = 0;
  }
  ::pthread_attr_getguardsize(attributes, &r.guard_bytes);
  sigset_t mask;
  if (::pthread_attr_getsigmask_np(attributes, &mask) == 0) {
    ::memcpy(&r.signal_mask, &mask, sizeof r.signal_mask);
    r.signal_mask &= ~os::unblockable;
    r.mask_given = true;
  }
  return r;
}

/// What the attributes say of the kernel's scheduling beyond what is inherited.
scheduling scheduling_from(const pthread_attr_t* attributes) noexcept {
  scheduling s;
  if (attributes == nullptr) return s;
  int inherit = PTHREAD_INHERIT_SCHED;
  ::pthread_attr_getinheritsched(attributes, &inherit);
  if (inherit == PTHREAD_EXPLICIT_SCHED) {
    sched_param p{};
    ::pthread_attr_getschedpolicy(attributes, &s.policy);
    ::pthread_attr_getschedparam(attributes, &p);
    s.priority = p.sched_priority;
    s.which |= scheduling::of_policy;
  }
  cpu_set_t cpus, all;
  ::memset(&all, 0xff, sizeof all);  // libc's answer for "not set"
  if (::pthread_attr_getaffinity_np(attributes, sizeof cpus, &cpus) == 0 && !CPU_EQUAL(&cpus, &all)) {
    s.cpus = cpus;
    s.which |= scheduling::of_cpus;
  }
  return s;
}

int create(pthread_t* handle, const pthread_attr_t* attributes, void* (*start)(void*), void* argument) noexcept {
  thread_request r = request_from(attributes, start, argument);
  const user_thread& me = self();
  if (attributes == nullptr && me.own.which == 0) [[likely]] return create_thread(r, handle);
  const scheduling asked = scheduling_from(attributes);
  if (asked.which != 0) {
    if (const int error = may_have(asked); error != 0) return error;
  }
  scheduling own = inherited_scheduling(me);
  own.merge(asked);
  if (own.which != 0) r.own = &own;
  return create_thread(r, handle);
}

/// Waits until `t` has ended. The caller is t's only joiner.
int wait_for_end(user_thread& me, user_thread& t, nanoseconds_at deadline) {
  for (;;) {
    {
      const section in(me);
      const wake_reason why = t.life.wait(me, deadline);
      if (why == wake_reason::owner) return 0;
      if (why == wake_reason::deadline) return ETIMEDOUT;
      const locked hold(t.life.lock);
      if (mem::cancel_requested(me.thread_pointer)) t.joining = false;  // if it is carried out, t is joinable as before
    }
    cancellation_point(me);
    const section in(me);
    locked hold(t.life.lock);
    t.joining = true;
  }
}

int join(pthread_t handle, void** result, nanoseconds_at deadline) {
  user_thread& me = self();
  cancellation_point(me);
  const no_asynchronous_cancel stretch(me);  // the other thread has to know whether somebody joins it
  user_thread* t = from_handle(handle);
  if (t == nullptr) return ESRCH;
  if (t == &me) return EDEADLK;
  {
    const section in(me);
    locked hold(t->life.lock);
    if (!t->alive) return ESRCH;
    if (t->life.detached || t->joining) return EINVAL;
    if (me.joining && t->joins == &me) return EDEADLK;
    t->joining = true;
    me.joins = t;
  }
  const int error = wait_for_end(me, *t, deadline);
  const section in(me);
  me.joins = nullptr;
  if (error != 0) {
    locked hold(t->life.lock);
    t->joining = false;
    return error;
  }
  if (result != nullptr) *result = t->result;
  release_thread(*t);
  return 0;
}

/// A handle outside our stacks belongs to a kernel thread of libc's own, or to nobody.
bool libc_made(pthread_t handle) noexcept {
  return from_handle(handle) == nullptr && !mem::stacks.contains(reinterpret_cast<void*>(handle));
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT int pthread_create(pthread_t* handle, const pthread_attr_t* attributes, void* (*start)(void*),
                               void* argument) {
  if (native()) return create_counted(handle, attributes, start, argument);
  if (const int error = start_engine(); error != 0) {
    // A kernel thread of libc's own that creates one before main did: it stays among its kind.
    if (&self() != runtime.first) return libc.pthread_create(handle, attributes, start, argument);
    return error == ENOMEM ? EAGAIN : error;
  }
  return create(handle, attributes, start, argument);
}

WEFT_EXPORT int pthread_join(pthread_t handle, void** result) {
  if (native() || libc_made(handle)) return libc.pthread_join(handle, result);
  return join(handle, result, never);
}

WEFT_EXPORT int pthread_clockjoin_np(pthread_t handle, void** result, clockid_t clock, const timespec* when) {
  if (native() || libc_made(handle)) return libc.pthread_clockjoin_np(handle, result, clock, when);
  nanoseconds_at deadline = never;
  if (!to_deadline(clock, when, deadline)) return EINVAL;
  return join(handle, result, deadline);
}

WEFT_EXPORT int pthread_timedjoin_np(pthread_t handle, void** result, const timespec* when) {
  if (native() || libc_made(handle)) return libc.pthread_timedjoin_np(handle, result, when);
  return pthread_clockjoin_np(handle, result, CLOCK_REALTIME, when);
}

WEFT_EXPORT int pthread_tryjoin_np(pthread_t handle, void** result) {
  if (native() || libc_made(handle)) return libc.pthread_tryjoin_np(handle, result);
  user_thread* t = from_handle(handle);
  if (t == nullptr) return ESRCH;
  {
    user_thread& me = self();
    const section in(me);
    locked hold(t->life.lock);
    if (!t->life.ended) return EBUSY;
  }
  return join(handle, result, never);
}

WEFT_EXPORT int pthread_detach(pthread_t handle) {
  if (native() || libc_made(handle)) return libc.pthread_detach(handle);
  user_thread* t = from_handle(handle);
  if (t == nullptr) return ESRCH;
  user_thread& me = self();
  const section in(me);
  {
    locked hold(t->life.lock);
    if (!t->alive) return ESRCH;
    if (t->life.detached) return EINVAL;
    if (t->joining) return 0;  // as glibc: whoever joins it has it
    t->life.detached = true;
    if (!t->life.ended) return 0;
  }
  release_thread(*t);
  return 0;
}

WEFT_EXPORT void pthread_exit(void* result) {
  if (!native()) {
    user_thread& me = self();
    me.result = result;
    // A process with main alone may not have an engine; the end of its last thread is the end of the process.
    if (me.kind == thread_kind::foreign && runtime.now == stage::waiting && &me == runtime.first) (void)start_engine();
  }
  libc.pthread_exit(result);  // unwinds to run_until_exit
  __builtin_unreachable();
}

WEFT_EXPORT pthread_t pthread_self() { return arch::thread_pointer(); }

// pthread_equal is libc's own: it compares the handles.

WEFT_EXPORT int sched_yield() {
  if (native() || runtime.now != stage::running) return libc.sched_yield();
  user_thread& me = self();
  if (me.kind == thread_kind::foreign) return libc.sched_yield();
  const section in(me);
  the_scheduler.yield(me);
  return 0;
}
