// SPDX-License-Identifier: BSL-1.0
// What a program asks about its threads: stacks (garbage collectors, Rust), names, default attributes.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/text.hpp"
#include "posix/exported.hpp"
#include "posix/runtime.hpp"
#include "posix/thread_life.hpp"

namespace weft::engine::posix {

namespace {

/// The thread, if it is one on a stack of ours; main and libc's own kernel threads are libc's to describe.
user_thread* ours(pthread_t handle) noexcept {
  if (native()) return nullptr;
  user_thread* t = from_handle(handle);
  return t == &runtime.main ? nullptr : t;
}

bool gone(pthread_t handle) noexcept {
  return !native() && mem::stacks.contains(reinterpret_cast<void*>(handle));
}

/// main's name is the process's, wherever main runs just now.
int name_process(const char* name) noexcept {
  text<64> path;
  path << "/proc/self/task/" << ::getpid() << "/comm";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const auto written = ::write(fd, name, ::strlen(name));
  const int error = written < 0 ? errno : 0;
  ::close(fd);
  return error;
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT int pthread_getattr_np(pthread_t handle, pthread_attr_t* out) {
  const user_thread* t = ours(handle);
  if (t == nullptr) return gone(handle) ? ESRCH : libc.pthread_getattr_np(handle, out);
  if (const int error = ::pthread_attr_init(out); error != 0) return error;
  ::pthread_attr_setdetachstate(out, t->life.detached ? PTHREAD_CREATE_DETACHED : PTHREAD_CREATE_JOINABLE);
  ::pthread_attr_setguardsize(out, t->guard_bytes);
  const std::size_t beyond = t->stack_bytes > t->asked_stack_bytes ? t->stack_bytes - t->asked_stack_bytes : 0;
  return ::pthread_attr_setstack(out, t->stack_low + beyond, t->stack_bytes - beyond);
}

WEFT_EXPORT int pthread_setname_np(pthread_t handle, const char* name) {
  user_thread* t = native() ? nullptr : from_handle(handle);
  if (t == nullptr) return gone(handle) ? ESRCH : libc.pthread_setname_np(handle, name);
  const std::size_t length = ::strlen(name);
  if (length >= sizeof t->name) return ERANGE;
  ::memcpy(t->name, name, length + 1);
  return t == &runtime.main ? name_process(name) : 0;
}

WEFT_EXPORT int pthread_getname_np(pthread_t handle, char* name, std::size_t bytes) {
  const user_thread* t = native() ? nullptr : from_handle(handle);
  if (t == nullptr) return gone(handle) ? ESRCH : libc.pthread_getname_np(handle, name, bytes);
  // A thread that was never named bears its process's name, as in the kernel.
  const char* from = t->name[0] != '\0' ? t->name : program_name();
  const std::size_t length = ::strnlen(from, sizeof t->name - 1);
  if (bytes <= length) return ERANGE;
  ::memcpy(name, from, length);
  name[length] = '\0';
  return 0;
}

WEFT_EXPORT int pthread_setattr_default_np(const pthread_attr_t* attributes) {
  touch();
  const int error = libc.pthread_setattr_default_np(attributes);
  if (error == 0) refresh_default_attributes();
  return error;
}
