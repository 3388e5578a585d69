// SPDX-License-Identifier: BSL-1.0
// The few facts of an executable file that decide whether a library can be preloaded into it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace weft::tools {

enum class file_kind { elf, script, other, unreadable };

struct executable_facts {
  file_kind kind = file_kind::other;
  std::string interpreter;  ///< of a script: after "#!"; of an ELF program: its loader, empty when static
  bool is_64_bit = false;   ///< ELF only, as is all below
  std::uint16_t machine = 0;
  bool damaged = false;     ///< headers that point outside the file
};

/// Reads the head of the file. Never fails: what cannot be read is `unreadable` (a program may be executable only).
[[nodiscard]] executable_facts read_executable(const std::string& path);

/// Name of an ELF machine number, for messages.
[[nodiscard]] std::string machine_name(std::uint16_t machine, bool is_64_bit);

}  // namespace weft::tools
