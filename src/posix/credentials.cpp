// SPDX-License-Identifier: BSL-1.0
// The calling thread makes the change on its own carrier; if the kernel agrees, every other carrier is asked by signal to
// make the same one, and the call returns when all have. `credentials` of a carrier is the number of the last change that
// its kernel thread has made; a new carrier has its maker's credentials and number.
#include "posix/credentials.hpp"

#include <errno.h>
#include <grp.h>
#include <unistd.h>

#include "core/section.hpp"
#include "os/kernel_thread.hpp"
#include "os/signal_mask.hpp"
#include "os/syscall.hpp"
#include "posix/exported.hpp"
#include "posix/runtime.hpp"

namespace weft::engine::posix {

namespace {

struct change {
  long number, a, b, c;
};
constinit spinlock one_at_a_time;
constinit change latest{};
constinit atomic<std::uint32_t> latest_number{0};

long make(const change& what) noexcept { return os::raw_syscall(what.number, what.a, what.b, what.c); }

carrier* my_carrier() noexcept {
  const thread* me = current();
  return me != nullptr ? me->on : current_carrier;
}

void ask_others(std::uint32_t number) noexcept {
  for (bool somebody = true; somebody;) {
    somebody = false;
    for (std::uint32_t i = 0; i < the_scheduler.carriers_made(); ++i) {
      carrier& c = *the_scheduler.carrier_at(i);
      const std::int32_t tid = c.tid.load(memory_order::relaxed);  // relaxed: an ended one is skipped next time
      // [credentials-1] acquire: what its kernel thread did under the new credentials comes after what we do next.
      if (tid == 0 || c.credentials.load(memory_order::acquire) == number) continue;
      somebody = true;
      if (c.credentials_asked == number) continue;  // once: handlers would pile up on its stack
      c.credentials_asked = number;
      os::signal_kernel_thread(tid, os::preempt_signal);
    }
    if (somebody) give_cpu_away();
  }
}

int change_all(const change& what) noexcept {
  user_thread& me = self();
  const section in(me);
  locked hold(one_at_a_time);
  const long result = make(what);
  if (result < 0) {
    errno = static_cast<int>(-result);
    return -1;
  }
  if (me.on == nullptr) return 0;
  const std::uint32_t number = latest_number.load(memory_order::relaxed) + 1;  // relaxed: under the lock
  latest = what;
  me.on->credentials.store(number, memory_order::relaxed);  // relaxed: read by carriers made from this one
  latest_number.store(number, memory_order::release);       // [credentials-1] publishes `latest`
  ask_others(number);
  return 0;
}

bool of_libc() noexcept { return native() || runtime.now != stage::running; }

long wide(unsigned id) noexcept { return static_cast<long>(static_cast<int>(id)); }

}  // namespace

void catch_up_on_credentials() noexcept {
  carrier* c = my_carrier();
  // [credentials-1] acquire: the change that goes with the number. Whoever makes a change waits until all have caught up
  // before the next one can be published.
  const std::uint32_t number = latest_number.load(memory_order::acquire);
  if (c == nullptr || c->credentials.load(memory_order::relaxed) == number) return;  // relaxed: our own
  make(latest);
  c->credentials.store(number, memory_order::release);  // [credentials-1]
}

}  // namespace weft::engine::posix

using namespace weft::engine::posix;

WEFT_EXPORT int setuid(uid_t id) { return of_libc() ? libc.setuid(id) : change_all({SYS_setuid, wide(id), 0, 0}); }
WEFT_EXPORT int setgid(gid_t id) { return of_libc() ? libc.setgid(id) : change_all({SYS_setgid, wide(id), 0, 0}); }
WEFT_EXPORT int seteuid(uid_t id) {
  return of_libc() ? libc.seteuid(id) : change_all({SYS_setresuid, -1, wide(id), -1});
}
WEFT_EXPORT int setegid(gid_t id) {
  return of_libc() ? libc.setegid(id) : change_all({SYS_setresgid, -1, wide(id), -1});
}
WEFT_EXPORT int setreuid(uid_t real, uid_t effective) {
  return of_libc() ? libc.setreuid(real, effective) : change_all({SYS_setreuid, wide(real), wide(effective), 0});
}
WEFT_EXPORT int setregid(gid_t real, gid_t effective) {
  return of_libc() ? libc.setregid(real, effective) : change_all({SYS_setregid, wide(real), wide(effective), 0});
}
WEFT_EXPORT int setresuid(uid_t real, uid_t effective, uid_t saved) {
  return of_libc() ? libc.setresuid(real, effective, saved)
                   : change_all({SYS_setresuid, wide(real), wide(effective), wide(saved)});
}
WEFT_EXPORT int setresgid(gid_t real, gid_t effective, gid_t saved) {
  return of_libc() ? libc.setresgid(real, effective, saved)
                   : change_all({SYS_setresgid, wide(real), wide(effective), wide(saved)});
}
WEFT_EXPORT int setgroups(size_t count, const gid_t* groups) {
  return of_libc() ? libc.setgroups(count, groups)
                   : change_all({SYS_setgroups, static_cast<long>(count), weft::engine::os::arg(groups), 0});
}
