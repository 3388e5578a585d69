// SPDX-License-Identifier: BSL-1.0
// CPU time of threads: the clocks of CLOCK_THREAD_CPUTIME_ID and pthread_getcpuclockid, and getrusage(RUSAGE_THREAD). All
// other clocks are libc's. A thread's clock is encoded as the kernel encodes those of its own threads, with our id.
#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>

#include "core/cpu_time.hpp"
#include "core/section.hpp"
#include "mem/stack_pool.hpp"
#include "posix/exported.hpp"
#include "posix/ids.hpp"
#include "posix/runtime.hpp"

namespace weft::engine::posix {

namespace {

constexpr unsigned per_thread = 4, scheduled = 2;  // the kernel's CPUCLOCK_PERTHREAD_MASK and CPUCLOCK_SCHED

clockid_t clock_of(const user_thread& t) noexcept {
  return static_cast<clockid_t>((~static_cast<unsigned>(id_of(t)) << 3) | per_thread | scheduled);
}

/// The thread of ours whose CPU time this clock tells; null: the clock is libc's.
user_thread* thread_of(clockid_t clock) noexcept {
  if (runtime.now != stage::running) return nullptr;
  if (clock >= 0) {
    user_thread& me = self();
    return clock == CLOCK_THREAD_CPUTIME_ID && me.on != nullptr ? &me : nullptr;
  }
  if ((static_cast<unsigned>(clock) & per_thread) == 0) return nullptr;
  const int id = ~(clock >> 3);
  return id == 0 ? thread_of(CLOCK_THREAD_CPUTIME_ID) : by_id(id);
}

nanoseconds cpu_time(user_thread& t) noexcept {
  user_thread& me = self();
  const section in(me);
  return cpu_time_of(me, t);
}

bool plain(clockid_t clock) noexcept { return clock >= 0 && clock != CLOCK_THREAD_CPUTIME_ID; }

timeval to_timeval(nanoseconds n) noexcept { return {.tv_sec = n / second, .tv_usec = n % second / microsecond}; }
nanoseconds from_timeval(const timeval& t) noexcept { return t.tv_sec * second + t.tv_usec * microsecond; }

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT int clock_gettime(clockid_t clock, timespec* now) noexcept {
  touch();
  user_thread* t = plain(clock) ? nullptr : thread_of(clock);
  if (t == nullptr) [[likely]] return libc.clock_gettime(clock, now);
  const nanoseconds used = cpu_time(*t);
  *now = {.tv_sec = used / second, .tv_nsec = used % second};
  return 0;
}

WEFT_EXPORT int clock_getres(clockid_t clock, timespec* resolution) noexcept {
  touch();
  const user_thread* t = plain(clock) ? nullptr : thread_of(clock);
  return libc.clock_getres(t == nullptr ? clock : CLOCK_THREAD_CPUTIME_ID, resolution);
}

WEFT_EXPORT int pthread_getcpuclockid(pthread_t handle, clockid_t* clock) noexcept {
  user_thread* t = native() || runtime.now != stage::running ? nullptr : from_handle(handle);
  if (t == nullptr) {
    if (!native() && mem::stacks.contains(reinterpret_cast<void*>(handle))) return ESRCH;
    return libc.pthread_getcpuclockid(handle, clock);
  }
  (void)cpu_time(*t);  // whoever has the clock will read it: from now on every switch is accounted
  *clock = clock_of(*t);
  return 0;
}

WEFT_EXPORT int getrusage(__rusage_who_t who, rusage* usage) noexcept {
  touch();
  const int result = libc.getrusage(who, usage);
  user_thread* t = who == RUSAGE_THREAD ? thread_of(CLOCK_THREAD_CPUTIME_ID) : nullptr;
  if (result != 0 || t == nullptr) return result;
  // The kernel told the carrier's; the thread's own is divided between user and system in the same ratio.
  const nanoseconds used = cpu_time(*t), user = from_timeval(usage->ru_utime), all = user + from_timeval(usage->ru_stime);
  const nanoseconds mine = all > 0 ? static_cast<nanoseconds>(static_cast<double>(used) * (static_cast<double>(user) / static_cast<double>(all))) : used;
  usage->ru_utime = to_timeval(mine);
  usage->ru_stime = to_timeval(used - mine);
  return 0;
}
