// SPDX-License-Identifier: BSL-1.0
// libc's resolver (name look-ups) keeps a state per thread inside its struct pthread, and a thread-local pointer to it that it
// sets when a kernel thread starts: without help all threads of ours would use, and change, that of main.
// Where the state lies is found out on a kernel thread of libc's own. If that fails, the state is shared.
#pragma once
#include <cstddef>

namespace weft::engine::mem {

/// On a kernel thread that libc has started: how far its state is above the thread pointer. 0: cannot tell.
[[nodiscard]] std::size_t resolver_place() noexcept;
/// Once, before the first thread.
void use_resolver_place(std::size_t place) noexcept;

/// On the block of a thread that begins, and of one that ends (that closes what its look-ups left open).
void begin_resolver() noexcept;
void end_resolver() noexcept;

}  // namespace weft::engine::mem
