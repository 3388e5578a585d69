// SPDX-License-Identifier: BSL-1.0
// The runtime that carries threads and fibers. It starts by itself with the first use of the library and lives as long as the process.
//
// What it is like is chosen in the environment, WEFT_OPTIONS=key=value,..., the same keys as for `weft run`: model (m:n, n:1, 1:1),
// parallelism, slice, io and others.
#pragma once
#include <cstdint>

#include "weft/detail/strand.hpp"

/// User-level threads and fibers, and what they wait for.
namespace weft {

/// Announces that `f` may block the kernel thread (a foreign library, a file lock): others get the caller's place meanwhile, at once. Without
/// the announcement it is noticed, about a millisecond later. Returns what `f` returns. Any caller; cost about 100 ns.
template <class F>
decltype(auto) blocking(F&& f) {
  struct stretch {
    stretch() noexcept { detail::begin_blocking(); }
    ~stretch() { detail::end_blocking(); }
  };
  const stretch now;
  return static_cast<F&&>(f)();
}

}  // namespace weft
