// SPDX-License-Identifier: BSL-1.0
// Trying an operation on a descriptor without waiting, whatever the descriptor is and without changing its flags.
#pragma once
#include <sys/socket.h>
#include <sys/uio.h>

#include "io/descriptors.hpp"

namespace weft::engine::io {

/// Outcomes of a try besides the kernel's results.
inline constexpr long would_block = -5000;  ///< And the program expects it to wait.
inline constexpr long must_block = -5001;   ///< It cannot be tried without waiting: block a carrier, announced.
inline constexpr long disturbed = -5002;    ///< It waited for its turn, and a signal or a cancellation ended that.

/// The kernel said EAGAIN: would_block, or -EAGAIN if that is what the program asked for.
[[nodiscard]] long after_eagain(int fd) noexcept;
/// Does an earlier call know that `fd` has O_NONBLOCK?
[[nodiscard]] bool known_nonblocking(int fd) noexcept;
/// The program has changed the flags of `fd`.
void descriptor_flags_changed(int fd) noexcept;
/// One read or write that waits for nobody. Results as the kernel's, or would_block, or must_block.
[[nodiscard]] long read_now(int fd, const iovec* parts, int count) noexcept;
[[nodiscard]] long write_now(int fd, const iovec* parts, int count) noexcept;

/// One step of connecting a socket that waits for nobody, and the same call again when the socket is writable; `begun` says which, false at
/// first. O_NONBLOCK is added to `flags`, its own, for the one system call: a socket that is not connected has no other use meanwhile.
/// would_block, or must_block for a local socket whose backlog is full: nobody reports when it is not.
[[nodiscard]] long connect_now(int fd, long flags, const sockaddr* to, socklen_t size, bool& begun) noexcept;

/// Does the kernel report any of `wanted` now?
[[nodiscard]] bool polls_ready(int fd, event_mask wanted) noexcept;

}  // namespace weft::engine::io
