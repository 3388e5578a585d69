// SPDX-License-Identifier: BSL-1.0
// WEFT_OPTIONS: what a user may choose, as `key=value,key=value`. The tool and the library read it with the same code.
// No allocation and no libc beyond getenv's result: it runs before the program's first constructor.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/text.hpp"

namespace weft::engine {

enum class model : std::uint8_t { many_to_many, many_to_one, one_to_one };

struct options {
  static constexpr std::uint64_t most_parallelism = 1024, most_carriers = 32000;
  static constexpr std::uint64_t smallest_stack = 16384, biggest_stack = std::uint64_t{1} << 40;
  static constexpr std::uint64_t longest_slice_ms = 10000;

  model threads = model::many_to_many;
  std::uint32_t parallelism = 0;      ///< 0: as many as the process may use CPUs (1 in n:1).
  std::uint64_t stack_bytes = 0;      ///< 0: what the program asks for, or RLIMIT_STACK.
  std::uint32_t slice_ms = 10;
  std::uint32_t carriers = 0;         ///< 0: half of what the system allows.
  bool stats = false;
  bool fsgsbase = true;               ///< false: pretend that the CPU lacks it.
  bool membarrier = true;             ///< false: pretend that the kernel lacks it.
  bool glibc_unknown = false;         ///< true: pretend not to know this glibc.
  enum class guard_choice : std::uint8_t { best, protect, none } guard = guard_choice::best;
  enum class io_choice : std::uint8_t { best, epoll, uring } io = io_choice::best;
  enum class deadlock_choice : std::uint8_t { exit, report, off } deadlock = deadlock_choice::exit;  ///< The C++ library's.
  char stats_file[512] = {};
};

/// Reads `list` (null or empty: nothing) over what `out` holds. On a mistake says in one line what is wrong with which
/// key and what would be right, and returns false.
bool parse_options(const char* list, options& out, text<400>& mistake) noexcept;

/// "m:n", "n:1" or "1:1".
[[nodiscard]] const char* name_of(model m) noexcept;

}  // namespace weft::engine
