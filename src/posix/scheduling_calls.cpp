// SPDX-License-Identifier: BSL-1.0
// The program's calls about policies, priorities, nice values and CPUs, by handle and by id.
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mem/stack_pool.hpp"
#include "os/syscall.hpp"
#include "posix/binding.hpp"
#include "posix/exported.hpp"
#include "posix/ids.hpp"
#include "posix/runtime.hpp"
#include "posix/scheduling.hpp"

namespace weft::engine::posix {

namespace {

/// The thread whose id this is; null: the call is libc's. 0 is the caller.
user_thread* with_id(int id) noexcept {
  if (native() || runtime.now != stage::running) return nullptr;
  user_thread& me = self();
  // The caller's own kernel thread, if it has one of its own, needs nothing of us.
  if (id == 0) return me.kind == thread_kind::foreign && me.on == nullptr ? nullptr : &me;
  return by_id(id);
}

user_thread* with_handle(pthread_t handle) noexcept {
  if (native() || runtime.now != stage::running) return nullptr;
  return from_handle(handle);
}
bool gone(pthread_t handle) noexcept {
  return !native() && mem::stacks.contains(reinterpret_cast<void*>(handle));
}

int fail(int error) noexcept {
  if (error == 0) return 0;
  errno = error;
  return -1;
}

int copy_cpus(cpu_set_t& to, std::size_t bytes, const cpu_set_t* from) noexcept {
  CPU_ZERO(&to);
  if (from == nullptr && bytes != 0) return EFAULT;
  ::memcpy(&to, from, bytes < sizeof to ? bytes : sizeof to);
  return 0;
}

int set_cpus(user_thread& t, std::size_t bytes, const cpu_set_t* cpus) noexcept {
  scheduling s{.which = scheduling::of_cpus};
  if (const int error = copy_cpus(s.cpus, bytes, cpus); error != 0) return error;
  return change_scheduling(t, s);
}

/// `told` gets the number of bytes that the kernel would have written.
int get_cpus(user_thread& t, std::size_t bytes, cpu_set_t* cpus, long& told) noexcept {
  told = os::raw_syscall(SYS_sched_getaffinity, 0, static_cast<long>(bytes), os::arg(cpus));  // it judges the size
  if (told < 0) return static_cast<int>(-told);
  ::memset(cpus, 0, bytes);
  const scheduling s = scheduling_of(t);
  ::memcpy(cpus, &s.cpus, bytes < sizeof s.cpus ? bytes : sizeof s.cpus);
  return 0;
}

int set_policy(user_thread& t, int policy, const sched_param* p) noexcept {
  if (p == nullptr || policy < 0) return EINVAL;
  return change_scheduling(t, {.which = scheduling::of_policy, .policy = policy, .priority = p->sched_priority});
}

int set_priority(user_thread& t, const sched_param* p) noexcept {
  if (p == nullptr) return EINVAL;
  return set_policy(t, scheduling_of(t).policy, p);
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT int pthread_setaffinity_np(pthread_t handle, std::size_t bytes, const cpu_set_t* cpus) {
  user_thread* t = with_handle(handle);
  if (t == nullptr) return gone(handle) ? ESRCH : libc.pthread_setaffinity_np(handle, bytes, cpus);
  return set_cpus(*t, bytes, cpus);
}
WEFT_EXPORT int pthread_getaffinity_np(pthread_t handle, std::size_t bytes, cpu_set_t* cpus) {
  user_thread* t = with_handle(handle);
  if (t == nullptr) return gone(handle) ? ESRCH : libc.pthread_getaffinity_np(handle, bytes, cpus);
  long told = 0;
  return get_cpus(*t, bytes, cpus, told);
}
WEFT_EXPORT int sched_setaffinity(pid_t id, std::size_t bytes, const cpu_set_t* cpus) noexcept {
  user_thread* t = with_id(id);
  return t == nullptr ? libc.sched_setaffinity(id, bytes, cpus) : fail(set_cpus(*t, bytes, cpus));
}
WEFT_EXPORT int sched_getaffinity(pid_t id, std::size_t bytes, cpu_set_t* cpus) noexcept {
  user_thread* t = with_id(id);
  if (t == nullptr) return libc.sched_getaffinity(id, bytes, cpus);
  long told = 0;
  return fail(get_cpus(*t, bytes, cpus, told));
}

WEFT_EXPORT int pthread_setschedparam(pthread_t handle, int policy, const sched_param* p) {
  user_thread* t = with_handle(handle);
  if (t == nullptr) return gone(handle) ? ESRCH : libc.pthread_setschedparam(handle, policy, p);
  return set_policy(*t, policy, p);
}
WEFT_EXPORT int pthread_setschedprio(pthread_t handle, int priority) {
  user_thread* t = with_handle(handle);
  if (t == nullptr) return gone(handle) ? ESRCH : libc.pthread_setschedprio(handle, priority);
  const sched_param p{priority};
  return set_priority(*t, &p);
}
WEFT_EXPORT int pthread_getschedparam(pthread_t handle, int* policy, sched_param* p) {
  user_thread* t = with_handle(handle);
  if (t == nullptr) return gone(handle) ? ESRCH : libc.pthread_getschedparam(handle, policy, p);
  const scheduling s = scheduling_of(*t);
  *policy = s.policy;
  p->sched_priority = s.priority;
  return 0;
}

WEFT_EXPORT int sched_setscheduler(pid_t id, int policy, const sched_param* p) noexcept {
  user_thread* t = with_id(id);
  return t == nullptr ? libc.sched_setscheduler(id, policy, p) : fail(set_policy(*t, policy, p));
}
WEFT_EXPORT int sched_getscheduler(pid_t id) noexcept {
  user_thread* t = with_id(id);
  return t == nullptr ? libc.sched_getscheduler(id) : scheduling_of(*t).policy;
}
WEFT_EXPORT int sched_setparam(pid_t id, const sched_param* p) noexcept {
  user_thread* t = with_id(id);
  return t == nullptr ? libc.sched_setparam(id, p) : fail(set_priority(*t, p));
}
WEFT_EXPORT int sched_getparam(pid_t id, sched_param* p) noexcept {
  user_thread* t = with_id(id);
  if (t == nullptr) return libc.sched_getparam(id, p);
  if (p == nullptr) return fail(EINVAL);
  p->sched_priority = scheduling_of(*t).priority;
  return 0;
}
WEFT_EXPORT int sched_rr_get_interval(pid_t id, timespec* slice) noexcept {
  const user_thread* t = with_id(id);
  if (t == nullptr) return libc.sched_rr_get_interval(id, slice);
  // A thread without a kernel thread of its own has the same slices as the carrier that asks.
  return libc.sched_rr_get_interval(is_bound(*t) ? t->on->tid.load(memory_order::relaxed) : 0, slice);  // relaxed: a hint
}

WEFT_EXPORT int setpriority(__priority_which_t which, id_t who, int value) noexcept {
  user_thread* t = which == PRIO_PROCESS ? with_id(static_cast<int>(who)) : nullptr;
  if (t == nullptr) return libc.setpriority(which, who, value);
  const int nice = value < -20 ? -20 : value > 19 ? 19 : value;
  return fail(change_scheduling(*t, {.which = scheduling::of_nice, .nice = nice}));
}
WEFT_EXPORT int getpriority(__priority_which_t which, id_t who) noexcept {
  user_thread* t = which == PRIO_PROCESS ? with_id(static_cast<int>(who)) : nullptr;
  if (t == nullptr) return libc.getpriority(which, who);
  errno = 0;
  return scheduling_of(*t).nice;
}
WEFT_EXPORT int nice(int increment) noexcept {
  user_thread* t = with_id(0);
  if (t == nullptr) return libc.nice(increment);
  const int before = scheduling_of(*t).nice;
  if (::setpriority(PRIO_PROCESS, 0, before + increment) != 0) {
    if (errno == EACCES) errno = EPERM;
    return -1;
  }
  return ::getpriority(PRIO_PROCESS, 0);
}
