// SPDX-License-Identifier: BSL-1.0
// C11 <threads.h> in terms of our pthread functions; libc's versions would call its own ones directly.
#include <errno.h>
#include <sched.h>
#include <threads.h>

#include <cstdint>

#include "posix/exported.hpp"
#include "posix/runtime.hpp"

namespace weft::engine::posix {

namespace {

int to_thrd(int error) noexcept {
  switch (error) {
    case 0:
      return thrd_success;
    case ENOMEM:
    case EAGAIN:
      return error == ENOMEM ? thrd_nomem : thrd_error;
    case EBUSY:
      return thrd_busy;
    case ETIMEDOUT:
      return thrd_timedout;
    default:
      return thrd_error;
  }
}

pthread_mutex_t* as_mutex(mtx_t* m) noexcept { return reinterpret_cast<pthread_mutex_t*>(m); }
pthread_cond_t* as_condition(cnd_t* c) noexcept { return reinterpret_cast<pthread_cond_t*>(c); }

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine::posix;

WEFT_EXPORT int thrd_create(thrd_t* handle, thrd_start_t start, void* argument) {
  if (native()) return libc.thrd_create(handle, start, argument);
  // The C function's int result travels in the pointer's low half; both conventions return it in the same register.
  return to_thrd(pthread_create(handle, nullptr, reinterpret_cast<void* (*)(void*)>(reinterpret_cast<void*>(start)), argument));
}
WEFT_EXPORT int thrd_join(thrd_t handle, int* result) {
  if (native()) return libc.thrd_join(handle, result);
  void* raw = nullptr;
  const int error = pthread_join(handle, &raw);
  if (error == 0 && result != nullptr) *result = static_cast<int>(reinterpret_cast<std::intptr_t>(raw));
  return to_thrd(error);
}
WEFT_EXPORT int thrd_detach(thrd_t handle) { return to_thrd(pthread_detach(handle)); }
WEFT_EXPORT void thrd_exit(int result) {
  pthread_exit(reinterpret_cast<void*>(static_cast<std::intptr_t>(result)));
}
WEFT_EXPORT thrd_t thrd_current() { return pthread_self(); }
WEFT_EXPORT void thrd_yield() { sched_yield(); }

// mtx_init is libc's own: it fills in the kind; the rest of a fresh mutex is zeros for us, too.
WEFT_EXPORT void mtx_destroy(mtx_t* m) { pthread_mutex_destroy(as_mutex(m)); }
WEFT_EXPORT int mtx_lock(mtx_t* m) { return to_thrd(pthread_mutex_lock(as_mutex(m))); }
WEFT_EXPORT int mtx_trylock(mtx_t* m) { return to_thrd(pthread_mutex_trylock(as_mutex(m))); }
WEFT_EXPORT int mtx_timedlock(mtx_t* m, const timespec* when) {
  return to_thrd(pthread_mutex_timedlock(as_mutex(m), when));
}
WEFT_EXPORT int mtx_unlock(mtx_t* m) { return to_thrd(pthread_mutex_unlock(as_mutex(m))); }

WEFT_EXPORT int cnd_init(cnd_t* c) { return to_thrd(pthread_cond_init(as_condition(c), nullptr)); }
WEFT_EXPORT void cnd_destroy(cnd_t* c) { pthread_cond_destroy(as_condition(c)); }
WEFT_EXPORT int cnd_wait(cnd_t* c, mtx_t* m) { return to_thrd(pthread_cond_wait(as_condition(c), as_mutex(m))); }
WEFT_EXPORT int cnd_timedwait(cnd_t* c, mtx_t* m, const timespec* when) {
  return to_thrd(pthread_cond_timedwait(as_condition(c), as_mutex(m), when));
}
WEFT_EXPORT int cnd_signal(cnd_t* c) { return to_thrd(pthread_cond_signal(as_condition(c))); }
WEFT_EXPORT int cnd_broadcast(cnd_t* c) { return to_thrd(pthread_cond_broadcast(as_condition(c))); }
