// SPDX-License-Identifier: BSL-1.0
// system(). libc's blocks SIGCHLD in the middle of itself, for the kernel thread: a thread that is preempted there would leave
// the blocked signal to others. So the same steps in our terms, by POSIX's rules.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/section.hpp"
#include "posix/exported.hpp"
#include "posix/fork.hpp"
#include "posix/runtime.hpp"
#include "posix/signals.hpp"

extern char** environ;

namespace weft::engine::posix {

namespace {

/// SIGINT and SIGQUIT are ignored while anybody is inside system(); the first one in and the last one out change them.
constinit spinlock actions_lock;
constinit int inside = 0;
constinit struct sigaction interrupt_before = {}, quit_before = {};

void ignore_keyboard() noexcept {
  const section in(self());
  locked hold(actions_lock);
  if (inside++ != 0) return;
  struct sigaction ignore = {};
  ignore.sa_handler = SIG_IGN;
  change_action(SIGINT, &ignore, &interrupt_before);
  change_action(SIGQUIT, &ignore, &quit_before);
}
void heed_keyboard() noexcept {
  const section in(self());
  locked hold(actions_lock);
  if (--inside != 0) return;
  change_action(SIGINT, &interrupt_before, nullptr);
  change_action(SIGQUIT, &quit_before, nullptr);
}

int start_shell(const char* command, const sigset_t& mask, pid_t& child) noexcept {
  posix_spawnattr_t attributes;
  sigset_t defaults;
  ::sigemptyset(&defaults);
  if (interrupt_before.sa_handler != SIG_IGN) ::sigaddset(&defaults, SIGINT);
  if (quit_before.sa_handler != SIG_IGN) ::sigaddset(&defaults, SIGQUIT);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setsigmask(&attributes, &mask);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  char* const arguments[] = {const_cast<char*>("sh"), const_cast<char*>("-c"), const_cast<char*>(command), nullptr};
  const int error = ::posix_spawn(&child, "/bin/sh", nullptr, &attributes, arguments, environ);
  ::posix_spawnattr_destroy(&attributes);
  return error;
}

int wait_for(pid_t child) {
  int status = -1;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return status;
}

void go_back(const sigset_t& mask) noexcept {
  heed_keyboard();
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
}

int run_command(const char* command) {
  sigset_t child_signal, mask;
  ::sigemptyset(&child_signal);
  ::sigaddset(&child_signal, SIGCHLD);
  ignore_keyboard();
  ::pthread_sigmask(SIG_BLOCK, &child_signal, &mask);
  pid_t child = 0;
  if (start_shell(command, mask, child) != 0) {
    go_back(mask);
    return 127 << 8;  // as if the shell had ended with _exit(127)
  }
  // A thread that is cancelled while it waits takes the child with it, as libc does. (The buffer is the one of
  // pthread_cleanup_push in C.)
  __pthread_unwind_buf_t buffer;
  if (__sigsetjmp_cancel(buffer.__cancel_jmp_buf, 0) != 0) {
    ::kill(child, SIGKILL);
    ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
    wait_for(child);
    go_back(mask);
    __pthread_unwind_next(&buffer);
  }
  __pthread_register_cancel(&buffer);
  const int status = wait_for(child);
  __pthread_unregister_cancel(&buffer);
  const int error = errno;
  go_back(mask);
  errno = error;
  return status;
}

}  // namespace

void system_after_fork() noexcept {
  actions_lock.reset();
  inside = 0;
}

}  // namespace weft::engine::posix

using namespace weft::engine::posix;

WEFT_EXPORT int system(const char* command) {
  if (native() || runtime.now != stage::running) return libc.system(command);
  if (command == nullptr) return run_command("exit 0") == 0;
  return run_command(command);
}
