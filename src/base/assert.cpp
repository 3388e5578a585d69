// SPDX-License-Identifier: BSL-1.0
#include "base/assert.hpp"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.hpp"

namespace weft::engine {

[[noreturn]] void invariant_broken(const char* what, const char* file, int line) noexcept {
  text<400> message;
  message << "weft: internal invariant broken: " << what << " (" << file << ":" << line << ")\n";
  // The write's result does not matter: we are about to abort and have nobody else to tell.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, message.data(), message.size());
  ::abort();
}

}  // namespace weft::engine
