// SPDX-License-Identifier: BSL-1.0
// pthread_cond_*. Process-shared ones are libc's; a thread gives its slot away before it waits there. Ours work with any
// mutex.
//
// libc's static initialiser is all zeros, as is a fresh sync::condition. The clock stands behind it; pthread_cond_init
// puts it there.
#include <errno.h>

#include <new>

#include "core/section.hpp"
#include "os/clock.hpp"
#include "os/mapping.hpp"
#include "posix/binding.hpp"
#include "posix/blocking.hpp"
#include "posix/cancel.hpp"
#include "posix/exported.hpp"
#include "posix/mutex.hpp"
#include "posix/runtime.hpp"
#include "sync/condition.hpp"

namespace weft::engine::posix {

namespace {

struct condition_data {
  sync::condition condition;
  clockid_t clock;  ///< CLOCK_REALTIME is 0: right for the static initialiser.
};
static_assert(sizeof(condition_data) <= sizeof(pthread_cond_t));

condition_data& data_of(pthread_cond_t* c) noexcept { return *reinterpret_cast<condition_data*>(c); }

/// libc marks a process-shared condition in the lowest bit of __wrefs, a field that we leave alone.
bool of_libc(const pthread_cond_t* c) noexcept {
  static_assert(offsetof(__pthread_cond_s, __wrefs) >= sizeof(condition_data));
  return runtime.now == stage::native || (c->__data.__wrefs & 1) != 0;
}

int wait(pthread_cond_t* c, pthread_mutex_t* mutex, nanoseconds_at deadline) noexcept {
  if (!may_wait_with(mutex)) return EPERM;
  user_thread& me = self();
  cancellation_point(me);
  const no_asynchronous_cancel stretch(me);  // cleanup handlers find the mutex locked
  wake_reason why;
  unsigned count = 0;
  {
    const section in(me);
    why = data_of(c).condition.wait(me, deadline, [&]() noexcept { count = release_for_wait(mutex); });
  }
  const int error = reacquire_after_wait(mutex, count);
  if (why == wake_reason::interrupt) cancellation_point(me);
  if (error != 0) return error;  // its owner died, while it was ours to wait for
  // A signal's handler has run; POSIX lets us return as if woken for no reason.
  return why == wake_reason::deadline ? ETIMEDOUT : 0;
}

/// A shared condition with a mutex that is ours: libc's function could not unlock it, and a signal in between would be lost.
/// So the wait is short, and its end looks like one of the wake-ups for no reason that POSIX allows.
int wait_briefly(pthread_cond_t* c, pthread_mutex_t* mutex, nanoseconds_at deadline) {
  constexpr nanoseconds_at longest = 2 * millisecond;
  if (!may_wait_with(mutex)) return EPERM;
  user_thread& me = self();
  cancellation_point(me);
  const no_asynchronous_cancel stretch(me);
  int state;
  ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
  pthread_mutex_t instead = PTHREAD_MUTEX_INITIALIZER;
  libc.pthread_mutex_lock(&instead);
  const unsigned count = release_for_wait(mutex);
  const nanoseconds_at now = os::now(), end = deadline <= now ? now : deadline - now < longest ? deadline : now + longest;
  const timespec when{end / second, end % second};
  const int error = while_blocking([&] { return libc.pthread_cond_clockwait(c, &instead, CLOCK_MONOTONIC, &when); });
  const int retaken = reacquire_after_wait(mutex, count);
  ::pthread_setcancelstate(state, nullptr);
  cancellation_point(me);
  return retaken != 0 ? retaken : error == ETIMEDOUT && deadline <= end ? ETIMEDOUT : 0;
}

/// libc marks a shared condition that was made for CLOCK_MONOTONIC in __wrefs, too.
clockid_t clock_of_shared(const pthread_cond_t* c) noexcept { return (c->__data.__wrefs & 2) != 0 ? CLOCK_MONOTONIC : CLOCK_REALTIME; }

/// libc's function unlocks the mutex itself, if it is libc's.
template <class Wait>
int wait_in_libc(pthread_cond_t* c, pthread_mutex_t* mutex, clockid_t clock, const timespec* when, Wait call) {
  if (native()) return call();
  if (!mutex_of_libc(mutex)) {
    nanoseconds_at deadline = never;
    return to_deadline(clock, when, deadline) ? wait_briefly(c, mutex, deadline) : EINVAL;
  }
  if (runtime.now != stage::running) return call();
  if (!mutex_needs_kernel_thread(mutex)) return while_blocking(call);
  const as_kernel_thread stretch(self());
  return call();
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT int pthread_cond_init(pthread_cond_t* c, const pthread_condattr_t* attributes) {
  touch();
  int shared = PTHREAD_PROCESS_PRIVATE;
  clockid_t clock = CLOCK_REALTIME;
  if (attributes != nullptr) {
    ::pthread_condattr_getpshared(attributes, &shared);
    ::pthread_condattr_getclock(attributes, &clock);
  }
  if (runtime.now == stage::native || (shared == PTHREAD_PROCESS_SHARED && !os::is_private_memory(c))) return libc.pthread_cond_init(c, attributes);
  *c = PTHREAD_COND_INITIALIZER;
  new (&data_of(c)) condition_data{{}, clock};
  return 0;
}

WEFT_EXPORT int pthread_cond_destroy(pthread_cond_t* c) {
  touch();
  if (of_libc(c)) return libc.pthread_cond_destroy(c);
  // Those whose deadline passed at the same time still have to unlink themselves (condition.hpp, I3).
  user_thread& me = self();
  for (;;) {
    {
      const section in(me);
      if (!data_of(c).condition.anybody_inside()) return 0;
    }
    ::sched_yield();
  }
}

WEFT_EXPORT int pthread_cond_wait(pthread_cond_t* c, pthread_mutex_t* mutex) {
  touch();
  if (of_libc(c)) return wait_in_libc(c, mutex, CLOCK_REALTIME, nullptr, [=] { return libc.pthread_cond_wait(c, mutex); });
  return wait(c, mutex, never);
}

WEFT_EXPORT int pthread_cond_clockwait(pthread_cond_t* c, pthread_mutex_t* mutex, clockid_t clock,
                                       const timespec* when) {
  touch();
  if (of_libc(c)) return wait_in_libc(c, mutex, clock, when, [=] { return libc.pthread_cond_clockwait(c, mutex, clock, when); });
  nanoseconds_at deadline = never;
  if (!to_deadline(clock, when, deadline)) return EINVAL;
  return wait(c, mutex, deadline);
}

WEFT_EXPORT int pthread_cond_timedwait(pthread_cond_t* c, pthread_mutex_t* mutex, const timespec* when) {
  touch();
  if (of_libc(c)) return wait_in_libc(c, mutex, clock_of_shared(c), when, [=] { return libc.pthread_cond_timedwait(c, mutex, when); });
  return pthread_cond_clockwait(c, mutex, data_of(c).clock, when);
}

WEFT_EXPORT int pthread_cond_signal(pthread_cond_t* c) {
  touch();
  if (of_libc(c)) return libc.pthread_cond_signal(c);
  if (!data_of(c).condition.anybody()) return 0;
  const section in(self());
  data_of(c).condition.signal();
  return 0;
}

WEFT_EXPORT int pthread_cond_broadcast(pthread_cond_t* c) {
  touch();
  if (of_libc(c)) return libc.pthread_cond_broadcast(c);
  if (!data_of(c).condition.anybody()) return 0;
  const section in(self());
  data_of(c).condition.broadcast();
  return 0;
}
