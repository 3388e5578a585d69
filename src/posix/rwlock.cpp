// SPDX-License-Identifier: BSL-1.0
// pthread_rwlock_*. Process-shared ones are libc's: their state is a contract with other processes. A thread tries first
// and gives its slot away before it blocks there.
//
// libc's layout stays where others look: the writer's id, and its fields for sharing and for the kind, as static
// initialisers and libc's own pthread_rwlock_init fill them in.
#include <errno.h>
#include <pthread.h>

#include <cstddef>

#include "arch/thread_pointer.hpp"
#include "core/section.hpp"
#include "mem/thread_block.hpp"
#include "os/mapping.hpp"
#include "posix/blocking.hpp"
#include "posix/exported.hpp"
#include "posix/runtime.hpp"
#include "sync/rwlock.hpp"

namespace weft::engine::posix {

namespace {

struct rwlock_data {
  sync::rwlock_word word;
  sync::wait_list readers;
  int writer;  ///< The writer's thread id, as libc counts them.
  int shared;
  sync::wait_list writers;
  unsigned kind;
};
static_assert(sizeof(rwlock_data) == sizeof(pthread_rwlock_t));
static_assert(offsetof(rwlock_data, writer) == offsetof(__pthread_rwlock_arch_t, __cur_writer));
static_assert(offsetof(rwlock_data, shared) == offsetof(__pthread_rwlock_arch_t, __shared));
static_assert(offsetof(rwlock_data, kind) == offsetof(__pthread_rwlock_arch_t, __flags));

rwlock_data& data_of(pthread_rwlock_t* l) noexcept { return *reinterpret_cast<rwlock_data*>(l); }
bool of_libc(const pthread_rwlock_t* l) noexcept { return runtime.now == stage::native || l->__data.__shared != 0; }
int my_id() noexcept { return mem::thread_id(arch::thread_pointer()); }

sync::rwlock_queues queues_of(rwlock_data& l) noexcept {
  const auto kind = l.kind == PTHREAD_RWLOCK_PREFER_READER_NP   ? sync::prefers::readers
                    : l.kind == PTHREAD_RWLOCK_PREFER_WRITER_NP ? sync::prefers::writers
                                                                : sync::prefers::writers_strictly;
  return {l.readers, l.writers, kind};
}

int read_until(rwlock_data& l, nanoseconds_at deadline) noexcept {
  if (const int error = l.word.try_read(); error != EBUSY) return error;
  if (l.writer == my_id()) return EDEADLK;
  user_thread& me = self();
  for (;;) {
    const section in(me);
    if (const int error = l.word.read_slow(me, queues_of(l), deadline); error != EINTR) return error;
  }
}

int write_until(rwlock_data& l, nanoseconds_at deadline) noexcept {
  const int id = my_id();
  if (l.writer == id) return EDEADLK;
  if (!l.word.try_write()) {
    user_thread& me = self();
    for (;;) {
      const section in(me);
      const int error = l.word.write_slow(me, queues_of(l), deadline);
      if (error == 0) break;
      if (error != EINTR) return error;
    }
  }
  l.writer = id;
  return 0;
}

/// libc looks at the time first, even if it need not wait.
bool usable(clockid_t clock, const timespec* when, nanoseconds_at& deadline) noexcept {
  return to_deadline(clock, when, deadline);
}

int unlock(rwlock_data& l) noexcept {
  if (l.word.has_writer()) {
    l.writer = 0;
    if (l.word.unlock_write_fast()) return 0;
    const section in(self());
    l.word.unlock_write_slow(queues_of(l));
    return 0;
  }
  if (l.word.unlock_read_fast()) return 0;
  const section in(self());
  l.word.unlock_read_slow(queues_of(l));
  return 0;
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

// libc's init clears the lock and fills in kind and sharing. A lock that no other process sees is as good as a private one.
WEFT_EXPORT int pthread_rwlock_init(pthread_rwlock_t* lock, const pthread_rwlockattr_t* attributes) {
  touch();
  const int error = libc.pthread_rwlock_init(lock, attributes);
  if (error == 0 && of_libc(lock) && !native() && os::is_private_memory(lock)) data_of(lock).shared = 0;
  return error;
}

WEFT_EXPORT int pthread_rwlock_destroy(pthread_rwlock_t* lock) {
  touch();
  if (of_libc(lock)) return libc.pthread_rwlock_destroy(lock);
  return 0;  // as libc: a lock that is held is the program's mistake
}

WEFT_EXPORT int pthread_rwlock_rdlock(pthread_rwlock_t* lock) {
  touch();
  if (!of_libc(lock)) return read_until(data_of(lock), never);
  if (const int error = libc.pthread_rwlock_tryrdlock(lock); error != EBUSY) return error;
  return while_blocking([=] { return libc.pthread_rwlock_rdlock(lock); });
}

WEFT_EXPORT int pthread_rwlock_wrlock(pthread_rwlock_t* lock) {
  touch();
  if (!of_libc(lock)) return write_until(data_of(lock), never);
  if (const int error = libc.pthread_rwlock_trywrlock(lock); error != EBUSY) return error;
  return while_blocking([=] { return libc.pthread_rwlock_wrlock(lock); });
}

WEFT_EXPORT int pthread_rwlock_tryrdlock(pthread_rwlock_t* lock) {
  touch();
  return of_libc(lock) ? libc.pthread_rwlock_tryrdlock(lock) : data_of(lock).word.try_read();
}

WEFT_EXPORT int pthread_rwlock_trywrlock(pthread_rwlock_t* lock) {
  touch();
  if (of_libc(lock)) return libc.pthread_rwlock_trywrlock(lock);
  rwlock_data& l = data_of(lock);
  if (!l.word.try_write()) return EBUSY;
  l.writer = my_id();
  return 0;
}

WEFT_EXPORT int pthread_rwlock_clockrdlock(pthread_rwlock_t* lock, clockid_t clock, const timespec* when) {
  touch();
  nanoseconds_at deadline = never;
  if (!usable(clock, when, deadline)) return EINVAL;
  if (!of_libc(lock)) return read_until(data_of(lock), deadline);
  return while_blocking([=] { return libc.pthread_rwlock_clockrdlock(lock, clock, when); });
}

WEFT_EXPORT int pthread_rwlock_clockwrlock(pthread_rwlock_t* lock, clockid_t clock, const timespec* when) {
  touch();
  nanoseconds_at deadline = never;
  if (!usable(clock, when, deadline)) return EINVAL;
  if (!of_libc(lock)) return write_until(data_of(lock), deadline);
  return while_blocking([=] { return libc.pthread_rwlock_clockwrlock(lock, clock, when); });
}

WEFT_EXPORT int pthread_rwlock_timedrdlock(pthread_rwlock_t* lock, const timespec* when) {
  return pthread_rwlock_clockrdlock(lock, CLOCK_REALTIME, when);
}
WEFT_EXPORT int pthread_rwlock_timedwrlock(pthread_rwlock_t* lock, const timespec* when) {
  return pthread_rwlock_clockwrlock(lock, CLOCK_REALTIME, when);
}

WEFT_EXPORT int pthread_rwlock_unlock(pthread_rwlock_t* lock) {
  touch();
  return of_libc(lock) ? libc.pthread_rwlock_unlock(lock) : unlock(data_of(lock));
}
