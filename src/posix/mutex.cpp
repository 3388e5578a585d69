// SPDX-License-Identifier: BSL-1.0
// pthread_mutex_*: normal, recursive, error-checking and adaptive mutexes, also those with an in-process priority
// protocol (locked as normal ones). Process-shared and robust ones go to libc: their state is a contract with other
// processes and with the kernel.
//
// The program's pthread_mutex_t keeps libc's layout where others look (kind, owner and count: static initialisers,
// debuggers); the word stands where libc has its lock, the list where libc links robust mutexes.
#include <errno.h>

#include "arch/thread_pointer.hpp"
#include "core/section.hpp"
#include "mem/thread_block.hpp"
#include "posix/exported.hpp"
#include "posix/mutex.hpp"
#include "posix/runtime.hpp"

namespace weft::posix {

namespace {

constexpr int kind_bits = 3;          // PTHREAD_MUTEX_RECURSIVE, _ERRORCHECK, _ADAPTIVE
constexpr int robust_bit = 16, shared_bit = 128;

bool of_libc(const pthread_mutex_t* m) noexcept {
  return runtime.now == stage::native || (m->__data.__kind & (robust_bit | shared_bit)) != 0;
}

struct owner_id {
  int value;
};
owner_id my_id() noexcept { return {mem::thread_id(arch::thread_pointer())}; }

/// What follows once the word is ours.
int own(mutex_data& m) noexcept {
  m.owner = my_id().value;
  m.count = 1;
  return 0;
}

/// The caller may hold it already: 0 means "no, wait for it", otherwise the call's result. `busy` is what a second lock of
/// a normal mutex answers to trylock.
enum class attempt : bool { wait, try_only };
bool already_mine(mutex_data& m, attempt how, int& result) noexcept {
  const int kind = m.kind & kind_bits;
  if (kind != PTHREAD_MUTEX_RECURSIVE && kind != PTHREAD_MUTEX_ERRORCHECK) return false;
  if (m.owner != my_id().value) return false;
  if (kind == PTHREAD_MUTEX_ERRORCHECK) {
    result = how == attempt::try_only ? EBUSY : EDEADLK;
  } else if (m.count == 0xffffffff) {
    result = EAGAIN;
  } else {
    ++m.count;
    result = 0;
  }
  return true;
}

int lock_waiting(mutex_data& m, nanoseconds_at deadline) noexcept {
  user_thread& me = self();
  bool woken_before = false;
  for (;;) {
    int error;
    {
      const section in(me);
      error = m.word.lock_slow(me, m.list, deadline, woken_before);
    }
    if (error == 0) return own(m);
    if (error != EINTR) return error;  // a handler has run at the section's end: wait again
  }
}

int lock_until(mutex_data& m, nanoseconds_at deadline) noexcept {
  int result = 0;
  if (already_mine(m, attempt::wait, result)) return result;
  if (m.word.try_lock()) return own(m);
  return lock_waiting(m, deadline);
}

int timed_lock(mutex_data& m, clockid_t clock, const timespec* when) noexcept {
  int result = 0;
  if (already_mine(m, attempt::wait, result)) return result;
  if (m.word.try_lock()) return own(m);
  nanoseconds_at deadline = never;
  if (!to_deadline(clock, when, deadline)) return EINVAL;
  return lock_waiting(m, deadline);
}

}  // namespace

bool mutex_of_libc(const pthread_mutex_t* m) noexcept { return of_libc(m); }

unsigned release_for_wait(mutex_data& m) noexcept {
  const unsigned count = m.count;
  m.owner = 0;
  m.count = 0;
  if (!m.word.unlock_fast()) m.word.unlock_slow(m.list);
  return count;
}

void reacquire_after_wait(mutex_data& m, unsigned count) noexcept {
  if (!m.word.try_lock()) {
    lock_waiting(m, never);
  }
  own(m);
  m.count = count;
}

bool may_wait_with(const mutex_data& m) noexcept {
  return (m.kind & kind_bits) != PTHREAD_MUTEX_ERRORCHECK || m.owner == my_id().value;
}

}  // namespace weft::posix

using namespace weft;
using namespace weft::posix;

// pthread_mutex_init is libc's own: it fills in the kind, and our state of a fresh mutex is all zeros as well.

WEFT_EXPORT int pthread_mutex_destroy(pthread_mutex_t* mutex) {
  touch();
  if (of_libc(mutex)) return libc.pthread_mutex_destroy(mutex);
  mutex_data& m = data_of(mutex);
  if (m.word.is_held()) return EBUSY;
  m.kind = -1;  // as libc: later use is refused
  return 0;
}

WEFT_EXPORT int pthread_mutex_lock(pthread_mutex_t* mutex) {
  touch();
  if (of_libc(mutex)) [[unlikely]]
    return libc.pthread_mutex_lock(mutex);
  return lock_until(data_of(mutex), never);
}

WEFT_EXPORT int pthread_mutex_trylock(pthread_mutex_t* mutex) {
  touch();
  if (of_libc(mutex)) return libc.pthread_mutex_trylock(mutex);
  mutex_data& m = data_of(mutex);
  int result = 0;
  if (already_mine(m, attempt::try_only, result)) return result;
  return m.word.try_lock() ? own(m) : EBUSY;
}

WEFT_EXPORT int pthread_mutex_timedlock(pthread_mutex_t* mutex, const timespec* when) {
  touch();
  if (of_libc(mutex)) return libc.pthread_mutex_timedlock(mutex, when);
  return timed_lock(data_of(mutex), CLOCK_REALTIME, when);
}

WEFT_EXPORT int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock, const timespec* when) {
  touch();
  if (of_libc(mutex)) return libc.pthread_mutex_clocklock(mutex, clock, when);
  if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) return EINVAL;
  return timed_lock(data_of(mutex), clock, when);
}

WEFT_EXPORT int pthread_mutex_unlock(pthread_mutex_t* mutex) {
  touch();
  if (of_libc(mutex)) [[unlikely]]
    return libc.pthread_mutex_unlock(mutex);
  mutex_data& m = data_of(mutex);
  const int kind = m.kind & kind_bits;
  if (kind == PTHREAD_MUTEX_RECURSIVE || kind == PTHREAD_MUTEX_ERRORCHECK) {
    if (m.owner != my_id().value || !m.word.is_held()) return EPERM;
    if (kind == PTHREAD_MUTEX_RECURSIVE && --m.count != 0) return 0;
  }
  m.owner = 0;
  m.count = 0;
  if (m.word.unlock_fast()) return 0;
  const section in(self());
  m.word.unlock_slow(m.list);
  return 0;
}
