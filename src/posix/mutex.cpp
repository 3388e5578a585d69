// SPDX-License-Identifier: BSL-1.0
// pthread_mutex_*: normal, recursive, error-checking and adaptive mutexes, robust ones and those with priority inheritance
// among them (an owner of ours has no priority to inherit; docs/decisions/0014). Left to libc, because their state is a
// contract with others: what is shared between processes, and priority ceilings.
//
// The program's pthread_mutex_t keeps libc's layout where others look (kind, owner and count: static initialisers,
// debuggers); the word stands where libc has its lock, the list where libc links robust mutexes.
#include <errno.h>

#include "arch/thread_pointer.hpp"
#include "core/section.hpp"
#include "mem/thread_block.hpp"
#include "os/mapping.hpp"
#include "posix/binding.hpp"
#include "posix/blocking.hpp"
#include "posix/exported.hpp"
#include "posix/mutex.hpp"
#include "posix/robust.hpp"
#include "posix/runtime.hpp"

namespace weft::engine::posix {

namespace {

constexpr int kind_bits = 3;          // PTHREAD_MUTEX_RECURSIVE, _ERRORCHECK, _ADAPTIVE
constexpr int robust_bit = 16, inherit_bit = 32, protect_bit = 64, shared_bit = 128;

bool of_libc(const pthread_mutex_t* m) noexcept {
  return runtime.now == stage::native || (m->__data.__kind & (protect_bit | shared_bit)) != 0;
}

/// A call of libc's on a mutex of libc's. The kernel knows some owners by their kernel threads.
template <class Call>
int in_libc(const pthread_mutex_t* mutex, Call call) {
  if (runtime.now != stage::running || !mutex_needs_kernel_thread(mutex)) return call();
  const as_kernel_thread stretch(self());
  return call();
}

/// A thread without a real-time policy cannot be lifted to a ceiling; libc would find out by asking the kernel.
bool ceiling_refuses(const pthread_mutex_t* mutex) noexcept {
  const int kind = mutex->__data.__kind;
  return kind >= 0 && (kind & protect_bit) != 0 && runtime.now == stage::running && self().kind == thread_kind::user;
}

/// The same for locking: only who must wait gives its slot away.
template <class Wait>
int lock_in_libc(pthread_mutex_t* mutex, Wait wait) {
  if (ceiling_refuses(mutex)) return EINVAL;
  if (mutex_needs_kernel_thread(mutex)) return in_libc(mutex, wait);
  if (const int error = libc.pthread_mutex_trylock(mutex); error != EBUSY) return error;
  return while_blocking(wait);
}

struct owner_id {
  int value;
};
owner_id my_id() noexcept { return {mem::thread_id(arch::thread_pointer())}; }

/// [section], or sure that nobody waits. The word goes; nothing of the mutex is touched after that.
void release_word(mutex_data& m) noexcept {
  m.owner = 0;
  m.count = 0;
  if (m.word.unlock_fast()) return;
  const section in(self());
  m.word.unlock_slow(m.list);
}

/// What follows once the word is ours. 0, EOWNERDEAD, or ENOTRECOVERABLE (then it is not ours any more).
int own(mutex_data& m) noexcept {
  m.owner = my_id().value;
  m.count = 1;
  if ((m.kind & robust_bit) == 0) [[likely]]
    return 0;
  const int error = robust_taken(self(), m);
  if (error == ENOTRECOVERABLE) release_word(m);
  return error;
}

/// The caller may hold it already: 0 means "no, wait for it", otherwise the call's result. `busy` is what a second lock of
/// a normal mutex answers to trylock.
enum class attempt : bool { wait, try_only };
bool already_mine(mutex_data& m, attempt how, int& result) noexcept {
  const int kind = m.kind & kind_bits;
  if (kind != PTHREAD_MUTEX_RECURSIVE && kind != PTHREAD_MUTEX_ERRORCHECK) return false;
  if (m.owner != my_id().value) return false;
  if (kind == PTHREAD_MUTEX_ERRORCHECK) {
    // libc's robust and inheriting ones say EDEADLK even to trylock.
    result = how == attempt::try_only && (m.kind & (robust_bit | inherit_bit)) == 0 ? EBUSY : EDEADLK;
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
  unsigned losses = 0;
  for (;;) {
    int error;
    {
      const section in(me);
      error = m.word.lock_slow(me, m.list, deadline, losses);
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

bool mutex_needs_kernel_thread(const pthread_mutex_t* m) noexcept {
  const int kind = m->__data.__kind;
  return kind >= 0 && (kind & (robust_bit | inherit_bit | protect_bit)) != 0;
}

unsigned release_for_wait(pthread_mutex_t* mutex) noexcept {
  if (of_libc(mutex)) {
    in_libc(mutex, [=] { return libc.pthread_mutex_unlock(mutex); });
    return 0;
  }
  mutex_data& m = data_of(mutex);
  const unsigned count = m.count;
  if ((m.kind & robust_bit) != 0) robust_let_go(self(), m);
  release_word(m);
  return count;
}

int reacquire_after_wait(pthread_mutex_t* mutex, unsigned count) noexcept {
  if (of_libc(mutex)) return ::pthread_mutex_lock(mutex);
  mutex_data& m = data_of(mutex);
  const int error = m.word.try_lock() ? own(m) : lock_waiting(m, never);
  if (error == 0 || error == EOWNERDEAD) m.count = count;
  return error;
}

bool may_wait_with(const pthread_mutex_t* mutex) noexcept {
  const int kind = mutex->__data.__kind;
  if ((kind & kind_bits) != PTHREAD_MUTEX_ERRORCHECK && (kind & robust_bit) == 0) return true;
  if (mutex->__data.__owner == my_id().value) return true;
  return of_libc(mutex) && in_libc(mutex, [=] { return mutex->__data.__owner == my_id().value ? 1 : 0; }) != 0;
}

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

// libc's init fills in the kind, and our state of a fresh mutex is all zeros as well. One that may be shared between
// processes but lies where no other process sees it is as good as a private one.
WEFT_EXPORT int pthread_mutex_init(pthread_mutex_t* mutex, const pthread_mutexattr_t* attributes) {
  touch();
  const int error = libc.pthread_mutex_init(mutex, attributes);
  if (error != 0 || native()) return error;
  int& kind = mutex->__data.__kind;
  if ((kind & shared_bit) != 0 && (kind & protect_bit) == 0 && os::is_private_memory(mutex)) kind &= ~shared_bit;
  return 0;
}

WEFT_EXPORT int pthread_mutex_destroy(pthread_mutex_t* mutex) {
  touch();
  if (of_libc(mutex)) return libc.pthread_mutex_destroy(mutex);
  mutex_data& m = data_of(mutex);
  if ((m.kind & robust_bit) != 0) {  // as libc: even if it is held
    if (m.word.is_held() && m.owner == my_id().value) robust_let_go(self(), m);
  } else if (m.word.is_held()) {
    return EBUSY;
  }
  m.kind = -1;  // as libc: later use is refused
  return 0;
}

WEFT_EXPORT int pthread_mutex_lock(pthread_mutex_t* mutex) {
  touch();
  if (of_libc(mutex)) [[unlikely]]
    return lock_in_libc(mutex, [=] { return libc.pthread_mutex_lock(mutex); });
  return lock_until(data_of(mutex), never);
}

WEFT_EXPORT int pthread_mutex_trylock(pthread_mutex_t* mutex) {
  touch();
  if (of_libc(mutex)) {
    if (ceiling_refuses(mutex)) return EINVAL;
    return in_libc(mutex, [=] { return libc.pthread_mutex_trylock(mutex); });
  }
  mutex_data& m = data_of(mutex);
  int result = 0;
  if (already_mine(m, attempt::try_only, result)) return result;
  return m.word.try_lock() ? own(m) : EBUSY;
}

WEFT_EXPORT int pthread_mutex_timedlock(pthread_mutex_t* mutex, const timespec* when) {
  touch();
  if (of_libc(mutex)) return lock_in_libc(mutex, [=] { return libc.pthread_mutex_timedlock(mutex, when); });
  return timed_lock(data_of(mutex), CLOCK_REALTIME, when);
}

WEFT_EXPORT int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock, const timespec* when) {
  touch();
  if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) return EINVAL;
  if (of_libc(mutex)) return lock_in_libc(mutex, [=] { return libc.pthread_mutex_clocklock(mutex, clock, when); });
  return timed_lock(data_of(mutex), clock, when);
}

WEFT_EXPORT int pthread_mutex_unlock(pthread_mutex_t* mutex) {
  touch();
  if (of_libc(mutex)) [[unlikely]]
    return in_libc(mutex, [=] { return libc.pthread_mutex_unlock(mutex); });
  mutex_data& m = data_of(mutex);
  const int kind = m.kind & kind_bits;
  const bool robust = (m.kind & robust_bit) != 0;
  if (kind == PTHREAD_MUTEX_RECURSIVE || kind == PTHREAD_MUTEX_ERRORCHECK || robust) {
    if (m.owner != my_id().value || !m.word.is_held()) return EPERM;
    if (kind == PTHREAD_MUTEX_RECURSIVE && --m.count != 0) return 0;
    if (robust) robust_let_go(self(), m);
  }
  release_word(m);
  return 0;
}

WEFT_EXPORT int pthread_mutex_consistent(pthread_mutex_t* mutex) {
  touch();
  if (of_libc(mutex)) return in_libc(mutex, [=] { return libc.pthread_mutex_consistent(mutex); });
  mutex_data& m = data_of(mutex);
  return (m.kind & robust_bit) != 0 && make_consistent(m) ? 0 : EINVAL;
}
