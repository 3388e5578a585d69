// SPDX-License-Identifier: BSL-1.0
// libc's own versions of what the library replaces, looked up once. For programs in model 1:1, for objects that Weft
// leaves to libc (process-shared ones), and for what only libc can do.
#pragma once
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/resource.h>
#include <threads.h>
#include <time.h>

#include "posix/libc_blocking.hpp"
#include "posix/libc_descriptors.hpp"

// The list: return type, name, parameters. Names with a second version in libc say which one we mean.
#define WEFT_LIBC_FUNCTIONS(F)                                                                                        \
  F(int, pthread_create, (pthread_t*, const pthread_attr_t*, void* (*)(void*), void*))                                \
  F(int, pthread_join, (pthread_t, void**))                                                                           \
  F(int, pthread_tryjoin_np, (pthread_t, void**))                                                                     \
  F(int, pthread_timedjoin_np, (pthread_t, void**, const timespec*))                                                  \
  F(int, pthread_clockjoin_np, (pthread_t, void**, clockid_t, const timespec*))                                       \
  F(int, pthread_detach, (pthread_t))                                                                                 \
  F(void, pthread_exit, (void*))                                                                                      \
  F(int, pthread_cancel, (pthread_t))                                                                                 \
  F(int, pthread_kill, (pthread_t, int))                                                                              \
  F(int, pthread_getattr_np, (pthread_t, pthread_attr_t*))                                                            \
  F(int, pthread_setattr_default_np, (const pthread_attr_t*))                                                         \
  F(int, pthread_setname_np, (pthread_t, const char*))                                                                \
  F(int, pthread_getname_np, (pthread_t, char*, size_t))                                                              \
  F(int, pthread_key_create, (pthread_key_t*, void (*)(void*)))                                                       \
  F(int, pthread_key_delete, (pthread_key_t))                                                                         \
  F(int, tss_create, (tss_t*, tss_dtor_t))                                                                            \
  F(void, tss_delete, (tss_t))                                                                                        \
  F(int, sched_yield, (void))                                                                                         \
  F(int, pthread_mutex_destroy, (pthread_mutex_t*))                                                                   \
  F(int, pthread_mutex_lock, (pthread_mutex_t*))                                                                      \
  F(int, pthread_mutex_trylock, (pthread_mutex_t*))                                                                   \
  F(int, pthread_mutex_timedlock, (pthread_mutex_t*, const timespec*))                                                \
  F(int, pthread_mutex_clocklock, (pthread_mutex_t*, clockid_t, const timespec*))                                     \
  F(int, pthread_mutex_unlock, (pthread_mutex_t*))                                                                    \
  F(int, pthread_rwlock_init, (pthread_rwlock_t*, const pthread_rwlockattr_t*))                                       \
  F(int, pthread_rwlock_destroy, (pthread_rwlock_t*))                                                                 \
  F(int, pthread_rwlock_rdlock, (pthread_rwlock_t*))                                                                  \
  F(int, pthread_rwlock_wrlock, (pthread_rwlock_t*))                                                                  \
  F(int, pthread_rwlock_tryrdlock, (pthread_rwlock_t*))                                                               \
  F(int, pthread_rwlock_trywrlock, (pthread_rwlock_t*))                                                               \
  F(int, pthread_rwlock_clockrdlock, (pthread_rwlock_t*, clockid_t, const timespec*))                                 \
  F(int, pthread_rwlock_clockwrlock, (pthread_rwlock_t*, clockid_t, const timespec*))                                 \
  F(int, pthread_rwlock_unlock, (pthread_rwlock_t*))                                                                  \
  F(int, pthread_barrier_init, (pthread_barrier_t*, const pthread_barrierattr_t*, unsigned))                          \
  F(int, pthread_barrier_destroy, (pthread_barrier_t*))                                                               \
  F(int, pthread_barrier_wait, (pthread_barrier_t*))                                                                  \
  F(int, pthread_spin_lock, (pthread_spinlock_t*))                                                                    \
  F(int, pthread_mutex_init, (pthread_mutex_t*, const pthread_mutexattr_t*))                                          \
  F(int, pthread_mutex_consistent, (pthread_mutex_t*))                                                                \
  F(int, pthread_once, (pthread_once_t*, void (*)(void)))                                                             \
  F(int, sem_init, (sem_t*, int, unsigned))                                                                           \
  F(int, sem_destroy, (sem_t*))                                                                                       \
  F(int, sem_wait, (sem_t*))                                                                                          \
  F(int, sem_trywait, (sem_t*))                                                                                       \
  F(int, sem_timedwait, (sem_t*, const timespec*))                                                                    \
  F(int, sem_clockwait, (sem_t*, clockid_t, const timespec*))                                                         \
  F(int, sem_post, (sem_t*))                                                                                          \
  F(int, sem_getvalue, (sem_t*, int*))                                                                                \
  F(int, nanosleep, (const timespec*, timespec*))                                                                     \
  F(int, clock_nanosleep, (clockid_t, int, const timespec*, timespec*))                                               \
  F(unsigned, sleep, (unsigned))                                                                                      \
  F(int, usleep, (useconds_t))                                                                                        \
  F(int, thrd_create, (thrd_t*, thrd_start_t, void*))                                                                 \
  F(int, thrd_join, (thrd_t, int*))                                                                                   \
  F(int, thrd_sleep, (const timespec*, timespec*))                                                                    \
  F(int, sigaction, (int, const struct sigaction*, struct sigaction*))                                                \
  F(int, pthread_sigmask, (int, const sigset_t*, sigset_t*))                                                          \
  F(int, sigprocmask, (int, const sigset_t*, sigset_t*))                                                              \
  F(int, sigaltstack, (const stack_t*, stack_t*))                                                                     \
  F(int, sigpending, (sigset_t*))                                                                                     \
  F(int, sigsuspend, (const sigset_t*))                                                                               \
  F(int, sigtimedwait, (const sigset_t*, siginfo_t*, const timespec*))                                                \
  F(int, pause, (void))                                                                                               \
  F(int, pthread_sigqueue, (pthread_t, int, const union sigval))                                                      \
  F(int, sigqueue, (pid_t, int, const union sigval))                                                                  \
  F(int, signalfd, (int, const sigset_t*, int))                                                                       \
  F(int, kill, (pid_t, int))                                                                                          \
  F(int, tgkill, (pid_t, pid_t, int))                                                                                 \
  F(int, raise, (int))                                                                                                \
  F(void, siglongjmp, (sigjmp_buf, int))                                                                              \
  F(void, __longjmp_chk, (sigjmp_buf, int))                                                                           \
  F(int, setuid, (uid_t))                                                                                             \
  F(int, setgid, (gid_t))                                                                                             \
  F(int, seteuid, (uid_t))                                                                                            \
  F(int, setegid, (gid_t))                                                                                            \
  F(int, setreuid, (uid_t, uid_t))                                                                                    \
  F(int, setregid, (gid_t, gid_t))                                                                                    \
  F(int, setresuid, (uid_t, uid_t, uid_t))                                                                            \
  F(int, setresgid, (gid_t, gid_t, gid_t))                                                                            \
  F(int, setgroups, (size_t, const gid_t*))                                                                           \
  F(int, pthread_setaffinity_np, (pthread_t, size_t, const cpu_set_t*))                                               \
  F(int, pthread_getaffinity_np, (pthread_t, size_t, cpu_set_t*))                                                     \
  F(int, sched_setaffinity, (pid_t, size_t, const cpu_set_t*))                                                        \
  F(int, sched_getaffinity, (pid_t, size_t, cpu_set_t*))                                                              \
  F(int, pthread_setschedparam, (pthread_t, int, const sched_param*))                                                 \
  F(int, pthread_setschedprio, (pthread_t, int))                                                                      \
  F(int, pthread_getschedparam, (pthread_t, int*, sched_param*))                                                      \
  F(int, sched_setscheduler, (pid_t, int, const sched_param*))                                                        \
  F(int, sched_getscheduler, (pid_t))                                                                                 \
  F(int, sched_setparam, (pid_t, const sched_param*))                                                                 \
  F(int, sched_getparam, (pid_t, sched_param*))                                                                       \
  F(int, sched_rr_get_interval, (pid_t, timespec*))                                                                   \
  F(int, setpriority, (__priority_which_t, id_t, int))                                                                \
  F(int, getpriority, (__priority_which_t, id_t))                                                                     \
  F(int, nice, (int))                                                                                                 \
  F(int, system, (const char*))                                                                                       \
  F(int, prctl, (int, ...))                                                                                           \
  F(int, unshare, (int))                                                                                              \
  F(int, setns, (int, int))                                                                                           \
  F(int, capset, (void*, void*))                                                                                      \
  F(int, setfsuid, (uid_t))                                                                                           \
  F(int, setfsgid, (gid_t))                                                                                           \
  F(int, clock_gettime, (clockid_t, timespec*))                                                                       \
  F(int, clock_getres, (clockid_t, timespec*))                                                                        \
  F(int, pthread_getcpuclockid, (pthread_t, clockid_t*))                                                              \
  F(int, getrusage, (__rusage_who_t, struct rusage*))                                                                 \
  F(int, __register_atfork, (void (*)(), void (*)(), void (*)(), void*))                                              \
  F(void*, dlopen, (const char*, int))                                                                                \
  F(int, dlclose, (void*))                                                                                            \
  F(void, _exit, (int))                                                                                               \
  F(void, quick_exit, (int))

// Before GLIBC_2.3.2 condition variables had another layout; libc still carries both.
#define WEFT_LIBC_CONDITION_FUNCTIONS(F)                                                                              \
  F(int, pthread_cond_init, (pthread_cond_t*, const pthread_condattr_t*))                                             \
  F(int, pthread_cond_destroy, (pthread_cond_t*))                                                                     \
  F(int, pthread_cond_wait, (pthread_cond_t*, pthread_mutex_t*))                                                      \
  F(int, pthread_cond_timedwait, (pthread_cond_t*, pthread_mutex_t*, const timespec*))                                \
  F(int, pthread_cond_signal, (pthread_cond_t*))                                                                      \
  F(int, pthread_cond_broadcast, (pthread_cond_t*))

namespace weft::engine::posix {

struct libc_functions {
#define WEFT_DECLARE(result, name, parameters) result(*name) parameters;
  WEFT_LIBC_FUNCTIONS(WEFT_DECLARE)
  WEFT_LIBC_BLOCKING_FUNCTIONS(WEFT_DECLARE)
  WEFT_LIBC_DESCRIPTOR_FUNCTIONS(WEFT_DECLARE)
  WEFT_LIBC_CONDITION_FUNCTIONS(WEFT_DECLARE)
#undef WEFT_DECLARE
  int (*pthread_cond_clockwait)(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*);
};

/// Filled by look_up_libc(), before anything else of the library runs.
extern libc_functions libc;
void look_up_libc() noexcept;

}  // namespace weft::engine::posix
