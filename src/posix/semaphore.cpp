// SPDX-License-Identifier: BSL-1.0
// Unnamed semaphores within the process. Named and process-shared ones are libc's, which marks them where we look; a thread
// tries first and gives its slot away before it waits there.
#include <errno.h>
#include <semaphore.h>

#include <new>

#include "core/section.hpp"
#include "os/mapping.hpp"
#include "posix/blocking.hpp"
#include "posix/cancel.hpp"
#include "posix/exported.hpp"
#include "posix/runtime.hpp"
#include "posix/signals.hpp"
#include "sync/semaphore.hpp"

namespace weft::engine::posix {

namespace {

struct semaphore_data {
  sync::semaphore_word word;  ///< libc's value lies in its low half, too.
  int libc_shared;            ///< libc's `private` field: not zero for what is shared between processes.
  int unused;
  sync::wait_list list;
};
static_assert(sizeof(semaphore_data) <= sizeof(sem_t));

semaphore_data& data_of(sem_t* s) noexcept { return *reinterpret_cast<semaphore_data*>(s); }
bool of_libc(sem_t* s) noexcept { return native() || data_of(s).libc_shared != 0; }

int fail(int error) noexcept {
  errno = error;
  return -1;
}

/// A signal ended the wait: does the call end, too? The kernel restarts a wait without a deadline if the handler asks for it, and ends
/// one with a deadline in any case. For a foreign thread it has decided already.
bool ends_call(const user_thread& me, std::uint32_t handlers, nanoseconds_at deadline) noexcept {
  if (me.kind == thread_kind::foreign) return true;
  return deadline == never ? interrupted_for_good(me, handlers) : me.handlers_run != handlers;
}

int wait(sem_t* semaphore, nanoseconds_at deadline) noexcept {
  semaphore_data& s = data_of(semaphore);
  user_thread& me = self();
  for (;;) {
    cancellation_point(me);
    const std::uint32_t handlers = me.handlers_run;
    int error;
    {
      const section in(me);
      error = s.word.wait_slow(me, s.list, deadline);
    }
    if (error == 0) return 0;
    if (error == ETIMEDOUT || ends_call(me, handlers, deadline)) return fail(error);
  }
}

/// libc looks at the time and for a cancellation first, even if there is a token.
int timed_wait(sem_t* s, clockid_t clock, const timespec* when) {
  nanoseconds_at deadline = never;
  if (!to_deadline(clock, when, deadline)) return fail(EINVAL);
  cancellation_point(self());
  return data_of(s).word.try_wait() ? 0 : wait(s, deadline);
}

template <class Wait>
int wait_in_libc(sem_t* s, Wait call) {
  if (native() || runtime.now != stage::running) return call();
  cancellation_point(self());
  const int saved = errno;
  if (libc.sem_trywait(s) == 0) return 0;
  errno = saved;
  return while_blocking_undisturbed(call);
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT int sem_init(sem_t* semaphore, int shared, unsigned value) {
  if (native() || (shared != 0 && !os::is_private_memory(semaphore))) return libc.sem_init(semaphore, shared, value);
  if (value > sync::semaphore_word::most) return fail(EINVAL);
  *semaphore = {};
  new (&data_of(semaphore)) semaphore_data{};
  data_of(semaphore).word.set(value);
  return 0;
}

WEFT_EXPORT int sem_destroy(sem_t* semaphore) {
  if (of_libc(semaphore)) return libc.sem_destroy(semaphore);
  return 0;
}

WEFT_EXPORT int sem_wait(sem_t* semaphore) {
  if (of_libc(semaphore)) return wait_in_libc(semaphore, [=] { return libc.sem_wait(semaphore); });
  cancellation_point(self());
  return data_of(semaphore).word.try_wait() ? 0 : wait(semaphore, never);
}

WEFT_EXPORT int sem_trywait(sem_t* semaphore) {
  if (of_libc(semaphore)) return libc.sem_trywait(semaphore);
  return data_of(semaphore).word.try_wait() ? 0 : fail(EAGAIN);
}

WEFT_EXPORT int sem_timedwait(sem_t* semaphore, const timespec* when) {
  if (of_libc(semaphore)) return while_blocking_undisturbed([=] { return libc.sem_timedwait(semaphore, when); });
  return timed_wait(semaphore, CLOCK_REALTIME, when);
}

WEFT_EXPORT int sem_clockwait(sem_t* semaphore, clockid_t clock, const timespec* when) {
  if (of_libc(semaphore)) return while_blocking_undisturbed([=] { return libc.sem_clockwait(semaphore, clock, when); });
  return timed_wait(semaphore, clock, when);
}

WEFT_EXPORT int sem_post(sem_t* semaphore) {
  if (of_libc(semaphore)) return libc.sem_post(semaphore);
  semaphore_data& s = data_of(semaphore);
  bool overflow = false;
  if (!s.word.post_fast(overflow)) {
    const section in(self());
    s.word.post_slow(s.list, overflow);
  }
  return overflow ? fail(EOVERFLOW) : 0;
}

WEFT_EXPORT int sem_getvalue(sem_t* semaphore, int* value) {
  if (of_libc(semaphore)) return libc.sem_getvalue(semaphore, value);
  *value = static_cast<int>(data_of(semaphore).word.value());
  return 0;
}
