// SPDX-License-Identifier: BSL-1.0
// Thread-specific data. The values live in libc's part of each thread's own block, so pthread_getspecific needs no
// replacement; we only remember the keys and their destructors, because libc runs those for its own threads alone.
#pragma once

namespace weft::engine::posix {

/// At a thread's end: calls the destructors as POSIX says (up to four rounds), and leaves every value null, for the next
/// owner of the block. Outside sections: destructors are the program's code.
void run_key_destructors() noexcept;

}  // namespace weft::engine::posix
