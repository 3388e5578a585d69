// SPDX-License-Identifier: BSL-1.0
// libc's resolver (name look-ups) keeps a state per thread inside its struct pthread, and a thread-local pointer to it that it
// sets when a kernel thread starts: without help all threads of ours would use, and change, that of main.
// Where the state lies is found out on a kernel thread of libc's own. If that fails, the state is shared.
#pragma once
#include <pthread.h>

namespace weft::engine::mem {

/// Once, before the first thread: starts a kernel thread of libc's own by these (its own) functions, lets it look, and waits for its end.
/// 0, or why it could not be started: then the state is shared.
int find_resolver(int (*create)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*), int (*join)(pthread_t, void**)) noexcept;

/// On the block of a thread that begins, and of one that ends (that closes what its look-ups left open).
void begin_resolver() noexcept;
void end_resolver() noexcept;

}  // namespace weft::engine::mem
