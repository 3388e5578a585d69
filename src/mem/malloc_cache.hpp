// SPDX-License-Identifier: BSL-1.0
// What glibc's malloc keeps per thread (the tcache: up to seven free chunks of each small size), and how it is given back.
//
// glibc does so when a kernel thread ends, in a function that nobody else can call. A thread of ours that ends in a crowd
// does the same by hand, for else the chunks of every pooled thread block would be lost to the others. The layout is
// known (glibc 2.32 to 2.41), where the pointer to it lies is found out, and both are tried out on the calling thread's
// own cache at the start: every step must show the effect that we count on. A malloc of the program's own needs none of
// this: it has thread-local or key destructors, which have run by then.
#pragma once
#include <cstdint>

namespace weft::engine::mem {

/// Finds the cache and tries the layout. On the initial thread, outside sections: calls malloc.
void probe_malloc_cache() noexcept;
/// False: malloc is glibc's, and what it keeps per thread is not understood. Then it must stay with its block.
[[nodiscard]] bool malloc_cache_known() noexcept;

/// Outside sections: the calling thread's cache goes back to the heap. It must not use the heap any more, or begins a
/// new cache.
void shed_malloc_cache() noexcept;
/// Takes the cache of a thread that is over out of its block. Null: it has none.
[[nodiscard]] void* take_malloc_cache(std::uintptr_t pointer) noexcept;
/// Outside sections: gives such a cache back to the heap.
void free_malloc_cache(void* cache) noexcept;

}  // namespace weft::engine::mem
