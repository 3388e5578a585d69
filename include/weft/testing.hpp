// SPDX-License-Identifier: BSL-1.0
// Tests of concurrent code that find rare orders of events, and find them again.
//
//   weft::with_seeds(1000, [] {
//     account a(100);
//     weft::thread one([&] { a.withdraw(80); }), two([&] { a.withdraw(80); });
//     one.join(), two.join();
//     if (a.balance() < 0) throw std::runtime_error("overdrawn");
//   });
//
// prints, if it fails, "weft: failed with seed 17; WEFT_SEED=17 runs only that", and with WEFT_SEED=17 in the environment does the same again.
// The program is deterministic as far as it does not ask the world: clocks other than weft::clock, addresses, I/O, kernel threads.
// Threads change places where they call the library, and nowhere else: a data race between two plain accesses is ThreadSanitizer's to find.
#pragma once
#include <cstdint>

#include "weft/runtime.hpp"

namespace weft {

namespace detail {
/// The seeds of with_seeds: the one in WEFT_SEED (then `runs` becomes 1), or one after the other from a number that differs with each call.
WEFT_EXPORT std::uint64_t first_seed(unsigned& runs);
WEFT_EXPORT void say_seed_failed(std::uint64_t seed) noexcept;
}  // namespace detail

/// Calls f() on a thread of a fresh seeded runtime, `runs` times with different seeds, or once with the seed in WEFT_SEED. When f throws, says on
/// stderr with which seed and rethrows. A deadlock ends the program with a report that names the seed. Returns when all runs are over.
/// Throws std::system_error as runtime's constructor; std::invalid_argument if WEFT_SEED is no number.
template <class F>
void with_seeds(unsigned runs, F f) {
  std::uint64_t seed = detail::first_seed(runs);
  for (; runs != 0; --runs, ++seed) {
    runtime seeded({.order = scheduling::seeded, .seed = seed});
    try {
      seeded.run(f);
    } catch (...) {
      detail::say_seed_failed(seed);
      throw;
    }
  }
}

}  // namespace weft
