// SPDX-License-Identifier: BSL-1.0
// A signalfd over the signals that mean "stop"; those that our parent made us ignore (nohup) stay ignored.

#include "interrupts.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <initializer_list>

namespace weft::tools {

interrupts::interrupts() {
  sigset_t watched;
  sigemptyset(&watched);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action {};
    sigaction(signal, nullptr, &action);
    if (action.sa_handler != SIG_IGN) sigaddset(&watched, signal);
  }
  sigprocmask(SIG_BLOCK, &watched, &before_);
  fd_ = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

interrupts::~interrupts() {
  if (fd_ >= 0) close(fd_);
  restore_mask();
}

int interrupts::take() const noexcept {
  signalfd_siginfo info{};
  return read(fd_, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

void interrupts::restore_mask() const noexcept { sigprocmask(SIG_SETMASK, &before_, nullptr); }

}  // namespace weft::tools
