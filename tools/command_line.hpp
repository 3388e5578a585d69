// SPDX-License-Identifier: BSL-1.0
// Parsing of one command's words with CLI11, with two rules of our own on top: what follows the name of PROGRAM
// belongs to PROGRAM even without "--", and every complaint is one line that says what to do.
// Rejected: CLI11's prefix_command(), which hands mistyped options of ours to PROGRAM's side.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>

#include "commands.hpp"

namespace weft::tools {

enum class program_words { none, required };

/// Makes the parser of one command, with --help and the look that all commands share.
[[nodiscard]] std::unique_ptr<CLI::App> make_parser(const std::string& name, const std::string& about,
                                                    const std::string& usage);

/// Parses `words` and returns the words of PROGRAM (none if the command takes none).
/// Empty optional: --help was asked for and printed. Errors: failure with exit_usage.
[[nodiscard]] std::optional<arguments> parse(CLI::App& parser, const arguments& words, program_words program);

}  // namespace weft::tools
