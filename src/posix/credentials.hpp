// SPDX-License-Identifier: BSL-1.0
// setuid and its kin are about the process for POSIX and about one kernel thread for the kernel. libc asks every thread
// that it knows; the carriers are ours to ask.
#pragma once

namespace weft::engine::posix {

/// For the preemption signal's handler: does this carrier still owe a change of credentials? Then makes it.
void catch_up_on_credentials() noexcept;

}  // namespace weft::engine::posix
