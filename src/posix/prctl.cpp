// SPDX-License-Identifier: BSL-1.0
// prctl and its kin. A thread's name is ours to keep. What is a property of the kernel thread, and has effects, binds.
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>

#include "os/syscall.hpp"
#include "posix/binding.hpp"
#include "posix/exported.hpp"
#include "posix/runtime.hpp"

namespace weft::engine::posix {

namespace {

bool of_libc() noexcept { return native() || runtime.now != stage::running; }

/// Does it change the calling kernel thread alone?
bool belongs_to_kernel_thread(int what, unsigned long value) noexcept {
  switch (what) {
    case PR_SET_TIMERSLACK:
    case PR_SET_SECCOMP:
    case PR_SET_NO_NEW_PRIVS:
    case PR_SET_KEEPCAPS:
    case PR_SET_SECUREBITS:
    case PR_CAPBSET_DROP:
    case PR_SET_TSC:
    case PR_SET_FPEXC:
    case PR_SET_FPEMU:
    case PR_SET_UNALIGN:
    case PR_SET_ENDIAN:
    case PR_SET_IO_FLUSHER:
    case PR_SET_SPECULATION_CTRL:
    case PR_SET_SYSCALL_USER_DISPATCH:
    case PR_SCHED_CORE:
      return true;
    case PR_MCE_KILL:
      return value == PR_MCE_KILL_SET;
    case PR_CAP_AMBIENT:
      return value != PR_CAP_AMBIENT_IS_SET;
    default:
      return false;
  }
}

long set_name(user_thread& me, const char* name) noexcept {
  char cut[sizeof me.name] = {};
  ::strncpy(cut, name, sizeof cut - 1);
  return ::pthread_setname_np(handle_of(me), cut);
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT int prctl(int what, ...) noexcept {
  va_list list;
  va_start(list, what);
  const unsigned long a = va_arg(list, unsigned long), b = va_arg(list, unsigned long), c = va_arg(list, unsigned long),
                      d = va_arg(list, unsigned long);
  va_end(list);
  if (native()) return libc.prctl(what, a, b, c, d);
  user_thread& me = self();
  if (what == PR_SET_NAME || what == PR_GET_NAME) {
    auto* name = reinterpret_cast<char*>(a);
    if (name == nullptr) {
      errno = EFAULT;
      return -1;
    }
    const int error = what == PR_SET_NAME ? static_cast<int>(set_name(me, name))
                                          : ::pthread_getname_np(handle_of(me), name, sizeof me.name);
    if (error == 0) return 0;
    errno = error;
    return -1;
  }
  if (runtime.now != stage::running || !belongs_to_kernel_thread(what, a)) return libc.prctl(what, a, b, c, d);
  return static_cast<int>(bound_call(SYS_prctl, what, static_cast<long>(a), static_cast<long>(b), static_cast<long>(c),
                                     static_cast<long>(d)));
}

WEFT_EXPORT int unshare(int flags) noexcept {
  return of_libc() ? libc.unshare(flags) : static_cast<int>(bound_call(SYS_unshare, flags));
}
WEFT_EXPORT int setns(int descriptor, int kind) noexcept {
  return of_libc() ? libc.setns(descriptor, kind) : static_cast<int>(bound_call(SYS_setns, descriptor, kind));
}
WEFT_EXPORT int capset(void* header, void* data) noexcept {
  return of_libc() ? libc.capset(header, data)
                   : static_cast<int>(bound_call(SYS_capset, os::arg(header), os::arg(data)));
}

// These answer with the id before, never with an error. Asked for what is already so, they change nothing.
WEFT_EXPORT int setfsuid(uid_t id) noexcept {
  if (of_libc()) return libc.setfsuid(id);
  const int before = libc.setfsuid(static_cast<uid_t>(-1));
  if (static_cast<uid_t>(before) == id || id == static_cast<uid_t>(-1)) return before;
  return static_cast<int>(bound_call(SYS_setfsuid, static_cast<long>(id)));
}
WEFT_EXPORT int setfsgid(gid_t id) noexcept {
  if (of_libc()) return libc.setfsgid(id);
  const int before = libc.setfsgid(static_cast<gid_t>(-1));
  if (static_cast<gid_t>(before) == id || id == static_cast<gid_t>(-1)) return before;
  return static_cast<int>(bound_call(SYS_setfsgid, static_cast<long>(id)));
}
