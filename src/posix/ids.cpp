// SPDX-License-Identifier: BSL-1.0
#include "posix/ids.hpp"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "core/section.hpp"
#include "os/kernel_thread.hpp"
#include "posix/exported.hpp"
#include "posix/registry.hpp"
#include "posix/runtime.hpp"

namespace weft::engine::posix {

user_thread* by_id(int id) noexcept {
  if (runtime.now != stage::running) return nullptr;
  user_thread& me = self();
  if (id == id_of(me)) return &me;
  user_thread* found = nullptr;
  const section in(me);
  threads.find([&](user_thread& t) {
    if (id_of(t) == id) found = &t;
    return found != nullptr;
  });
  return found;
}

int signal_by_id(user_thread& t, int signal) noexcept {
  const int error = ::pthread_kill(handle_of(t), signal);
  if (error == 0) return 0;
  errno = error;
  return -1;
}

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT pid_t gettid() {
  if (native() || runtime.now != stage::running) return os::kernel_thread_id();
  return id_of(self());
}

WEFT_EXPORT int tgkill(pid_t process, pid_t id, int signal) {
  if (native() || process != ::getpid()) return libc.tgkill(process, id, signal);
  user_thread* t = by_id(id);
  return t != nullptr ? signal_by_id(*t, signal) : libc.tgkill(process, id, signal);
}
