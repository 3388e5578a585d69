// SPDX-License-Identifier: BSL-1.0
// pthread_barrier_*. Process-shared ones are libc's; a thread gives its slot away before it waits there.
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include <climits>
#include <new>

#include "core/section.hpp"
#include "os/mapping.hpp"
#include "posix/blocking.hpp"
#include "posix/exported.hpp"
#include "posix/runtime.hpp"
#include "sync/barrier.hpp"

namespace weft::engine::posix {

namespace {

static_assert(sizeof(sync::barrier) <= sizeof(pthread_barrier_t));

sync::barrier& data_of(pthread_barrier_t* b) noexcept { return *reinterpret_cast<sync::barrier*>(b); }

bool of_libc(const pthread_barrier_t* b) noexcept {
  constexpr int shared_word = 3;
  return native() || reinterpret_cast<const unsigned*>(b)[shared_word] != 0;
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT int pthread_barrier_init(pthread_barrier_t* b, const pthread_barrierattr_t* attributes, unsigned count) {
  int shared = PTHREAD_PROCESS_PRIVATE;
  if (attributes != nullptr) ::pthread_barrierattr_getpshared(attributes, &shared);
  if (native() || (shared == PTHREAD_PROCESS_SHARED && !os::is_private_memory(b))) return libc.pthread_barrier_init(b, attributes, count);
  if (count == 0 || count > INT_MAX) return EINVAL;
  *b = {};
  new (&data_of(b)) sync::barrier(count);
  return 0;
}

WEFT_EXPORT int pthread_barrier_destroy(pthread_barrier_t* b) {
  if (of_libc(b)) return while_blocking([=] { return libc.pthread_barrier_destroy(b); });
  user_thread& me = self();
  for (;;) {
    sync::barrier::use use;
    {
      const section in(me);
      use = data_of(b).in_use();
    }
    if (use == sync::barrier::use::none) return 0;
    if (use == sync::barrier::use::waited_for) return EBUSY;
    ::sched_yield();
  }
}

WEFT_EXPORT int pthread_barrier_wait(pthread_barrier_t* b) {
  if (of_libc(b)) return while_blocking([=] { return libc.pthread_barrier_wait(b); });
  user_thread& me = self();
  std::uint32_t round = 0;
  sync::barrier::outcome result;
  {
    const section in(me);
    result = data_of(b).arrive(me, round);
  }
  while (result == sync::barrier::outcome::interrupted) {  // the handler has run at the section's end
    const section in(me);
    result = data_of(b).again(me, round);
  }
  return result == sync::barrier::outcome::completed ? PTHREAD_BARRIER_SERIAL_THREAD : 0;
}
