// SPDX-License-Identifier: BSL-1.0
// Names under which programs that were linked against older libraries ask for what the library replaces. libc keeps them for
// those, and what it does there would not know our threads.
#include <pthread.h>
#include <sched.h>

#include "posix/exported.hpp"

// The headers of today turn these two names into the new ones.
WEFT_EXPORT int weft_pthread_yield() asm("pthread_yield");
WEFT_EXPORT int weft_mutex_consistent(pthread_mutex_t*) asm("pthread_mutex_consistent_np");
int weft_pthread_yield() { return ::sched_yield(); }
int weft_mutex_consistent(pthread_mutex_t* m) { return ::pthread_mutex_consistent(m); }

WEFT_EXPORT int __pthread_mutex_init(pthread_mutex_t* m, const pthread_mutexattr_t* a) { return ::pthread_mutex_init(m, a); }
WEFT_EXPORT int __pthread_mutex_destroy(pthread_mutex_t* m) { return ::pthread_mutex_destroy(m); }
WEFT_EXPORT int __pthread_mutex_lock(pthread_mutex_t* m) { return ::pthread_mutex_lock(m); }
WEFT_EXPORT int __pthread_mutex_trylock(pthread_mutex_t* m) { return ::pthread_mutex_trylock(m); }
WEFT_EXPORT int __pthread_mutex_unlock(pthread_mutex_t* m) { return ::pthread_mutex_unlock(m); }

WEFT_EXPORT int __pthread_rwlock_init(pthread_rwlock_t* l, const pthread_rwlockattr_t* a) { return ::pthread_rwlock_init(l, a); }
WEFT_EXPORT int __pthread_rwlock_destroy(pthread_rwlock_t* l) { return ::pthread_rwlock_destroy(l); }
WEFT_EXPORT int __pthread_rwlock_rdlock(pthread_rwlock_t* l) { return ::pthread_rwlock_rdlock(l); }
WEFT_EXPORT int __pthread_rwlock_tryrdlock(pthread_rwlock_t* l) { return ::pthread_rwlock_tryrdlock(l); }
WEFT_EXPORT int __pthread_rwlock_wrlock(pthread_rwlock_t* l) { return ::pthread_rwlock_wrlock(l); }
WEFT_EXPORT int __pthread_rwlock_trywrlock(pthread_rwlock_t* l) { return ::pthread_rwlock_trywrlock(l); }
WEFT_EXPORT int __pthread_rwlock_unlock(pthread_rwlock_t* l) { return ::pthread_rwlock_unlock(l); }

WEFT_EXPORT int __pthread_once(pthread_once_t* control, void (*routine)()) { return ::pthread_once(control, routine); }
WEFT_EXPORT int __pthread_key_create(pthread_key_t* key, void (*destroy)(void*)) { return ::pthread_key_create(key, destroy); }
