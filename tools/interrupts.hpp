// SPDX-License-Identifier: BSL-1.0
// Ctrl-C as something to poll for: while one of these lives, SIGINT, SIGTERM and SIGHUP wait in a descriptor.
// Rejected: handlers with a flag, which race with the poll they are meant to end.
#pragma once

#include <csignal>

namespace weft::tools {

class interrupts {
 public:
  interrupts();
  ~interrupts();
  interrupts(const interrupts&) = delete;
  interrupts& operator=(const interrupts&) = delete;

  [[nodiscard]] int descriptor() const noexcept { return fd_; }
  /// The signal that came, 0 when none has.
  [[nodiscard]] int take() const noexcept;
  /// What a child must do before it execs: it inherits the mask.
  void restore_mask() const noexcept;

 private:
  sigset_t before_{};
  int fd_ = -1;
};

}  // namespace weft::tools
