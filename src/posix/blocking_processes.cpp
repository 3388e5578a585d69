// SPDX-License-Identifier: BSL-1.0
// Waiting for children: asked without waiting first; if no child has anything to tell, the slot is given away.
// Signals find the thread in the kernel, so EINTR and SA_RESTART are the kernel's doing.
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "posix/blocking.hpp"
#include "posix/exported.hpp"

using namespace weft::engine;
using namespace weft::engine::posix;

namespace {
/// What an attempt returns if children exist and none has anything to tell. No errno of these calls.
constexpr long nothing_yet = ETIME;

long wait_now(pid_t which, int* status, int flags, rusage* usage) noexcept {
  const long result =
      os::raw_syscall(SYS_wait4, which, os::arg(status), flags | WNOHANG, os::arg(usage));
  return result == 0 && (flags & WNOHANG) == 0 ? -nothing_yet : result;
}

/// waitid says by a pid of zero that there is nothing, so it is asked about a record of ours.
long waitid_now(idtype_t kind, id_t which, siginfo_t* info, int flags) noexcept {
  siginfo_t told = {};
  const long result = os::raw_syscall(SYS_waitid, kind, which, os::arg(&told), flags | WNOHANG);
  if (result < 0) return result;
  if (told.si_pid == 0 && (flags & WNOHANG) == 0) return -nothing_yet;
  if (info != nullptr) {
    info->si_signo = told.si_signo;
    info->si_errno = told.si_errno;
    info->si_code = told.si_code;
    info->si_pid = told.si_pid;
    info->si_uid = told.si_uid;
    info->si_status = told.si_status;
  }
  return result;
}
}  // namespace

WEFT_EXPORT pid_t wait4(pid_t which, int* status, int flags, rusage* usage) {
  return unless_it_would_block_or_is_cancelled(
      nothing_yet, [=] { return wait_now(which, status, flags, usage); },
      [=] { return libc.wait4(which, status, flags, usage); });
}
WEFT_EXPORT pid_t wait3(int* status, int flags, rusage* usage) { return wait4(WAIT_ANY, status, flags, usage); }

WEFT_EXPORT pid_t waitpid(pid_t which, int* status, int flags) {
  return unless_it_would_block_or_is_cancelled(
      nothing_yet, [=] { return wait_now(which, status, flags, nullptr); },
      [=] { return libc.waitpid(which, status, flags); });
}
WEFT_EXPORT pid_t wait(int* status) { return waitpid(WAIT_ANY, status, 0); }
WEFT_EXPORT pid_t __wait(int* status) { return waitpid(WAIT_ANY, status, 0); }
WEFT_EXPORT pid_t __waitpid(pid_t which, int* status, int flags) { return waitpid(which, status, flags); }

WEFT_EXPORT int waitid(idtype_t kind, id_t which, siginfo_t* info, int flags) {
  return unless_it_would_block_or_is_cancelled(
      nothing_yet, [=] { return waitid_now(kind, which, info, flags); },
      [=] { return libc.waitid(kind, which, info, flags); });
}

WEFT_EXPORT int pclose(FILE* file) {
  return while_blocking([=] { return libc.pclose(file); });
}
