// SPDX-License-Identifier: BSL-1.0
// fork in a process with threads: the child goes on with the calling thread alone, and can create threads again.
#pragma once

namespace weft::engine::posix {

/// Once, at first contact.
void install_fork_handlers() noexcept;

/// In a forked child, by its only thread, before anything else.
void go_on_as_child() noexcept;

/// In a forked child: nobody is inside system() (posix/system.cpp).
void system_after_fork() noexcept;

}  // namespace weft::engine::posix
