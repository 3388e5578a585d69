// SPDX-License-Identifier: BSL-1.0
// Splits the words at PROGRAM before CLI11 sees them, and turns CLI11's exceptions into one-line failures.

#include "command_line.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>

#include "failure.hpp"

namespace weft::tools {
namespace {

bool looks_like_option(const std::string& word) { return word.size() > 1 && word[0] == '-'; }

/// True when `word` is an option of ours that takes its value from the next word ("--model m:n").
bool takes_next_word(const CLI::App& parser, const std::string& word) {
  if (word.find('=') != std::string::npos) return false;
  const CLI::Option* option = parser.get_option_no_throw(word);
  return option != nullptr && option->get_items_expected_max() > 0;
}

/// Index of the first word that belongs to PROGRAM; `separator` tells whether "--" stands before it.
std::size_t program_position(const CLI::App& parser, const arguments& words, bool& separator) {
  separator = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--") {
      separator = true;
      return i;
    }
    if (!looks_like_option(words[i])) return i;
    if (takes_next_word(parser, words[i])) ++i;
  }
  return words.size();
}

/// Number of single-letter edits between two words, to guess what a mistyped option was meant to be.
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

std::string hint_for(const CLI::App& parser, const std::string& typed) {
  for (const CLI::Option* option : parser.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      if (edit_distance("--" + name, typed) <= 2) return fmt::format("did you mean --{}?", name);
    }
  }
  return fmt::format("`weft {} --help` lists the options", parser.get_name());
}

[[noreturn]] void refuse(const CLI::App& parser, const arguments& words, const CLI::ParseError& error) {
  for (const std::string& word : words) {
    const std::string name = word.substr(0, word.find('='));
    if (looks_like_option(word) && parser.get_option_no_throw(name) == nullptr)
      throw failure(exit_usage, fmt::format("unknown option {}: {}", name, hint_for(parser, name)));
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    const std::string what = error.what();
    throw failure(exit_usage, fmt::format("{} needs a value; `weft {} --help` shows which",
                                          what.substr(0, what.find(':')), parser.get_name()));
  }
  std::string line = error.what();
  std::replace(line.begin(), line.end(), '\n', ' ');
  throw failure(exit_usage, fmt::format("{}: `weft {} --help` shows the usage", line, parser.get_name()));
}

/// CLI11's own usage line knows nothing of "[--] PROGRAM [ARG...]".
class usage_formatter : public CLI::Formatter {
 public:
  explicit usage_formatter(std::string usage) : usage_(std::move(usage)) { column_width(24); }
  std::string make_usage(const CLI::App* /*app*/, std::string /*name*/) const override {
    return "Usage: " + usage_ + "\n";
  }

 private:
  std::string usage_;
};

}  // namespace

std::unique_ptr<CLI::App> make_parser(const std::string& name, const std::string& about, const std::string& usage) {
  auto parser = std::make_unique<CLI::App>(about, name);
  parser->set_help_flag("-h,--help", "show this help and exit");
  parser->option_defaults()->take_last();
  parser->formatter(std::make_shared<usage_formatter>(usage));
  return parser;
}

std::optional<arguments> parse(CLI::App& parser, const arguments& words, program_words program) {
  bool separator = false;
  const std::size_t split = program_position(parser, words, separator);
  const auto middle = words.begin() + static_cast<std::ptrdiff_t>(split);
  arguments own(words.begin(), middle);
  arguments rest(separator ? middle + 1 : middle, words.end());
  try {
    arguments reversed(own.rbegin(), own.rend());  // CLI11 wants the words back to front
    parser.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", parser.help());
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    refuse(parser, own, error);
  }
  if (program == program_words::none && (separator || !rest.empty())) {
    const std::string extra = rest.empty() ? std::string("--") : rest.front();
    throw failure(exit_usage, fmt::format("unexpected word \"{}\": this command takes options only", extra));
  }
  if (program == program_words::required && rest.empty()) {
    throw failure(exit_usage, fmt::format("no program given: weft {0} [options] [--] PROGRAM [ARG...]; "
                                          "`weft {0} --help` shows the options", parser.get_name()));
  }
  return rest;
}

}  // namespace weft::tools
