// SPDX-License-Identifier: BSL-1.0
// Columns for the terminal: aligned, with a rule under the head, nothing that a pipe or a mail would spoil.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weft::tools {

enum class align { left, right };

class table {
 public:
  struct column {
    std::string head;
    align alignment = align::left;
  };

  explicit table(std::vector<column> columns) : columns_(std::move(columns)) {}
  void add_row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// 1234567 as "1,234,567".
[[nodiscard]] std::string with_separators(double number);

/// Columns that UTF-8 text takes on a terminal; our tables hold no double-width letters.
[[nodiscard]] std::size_t display_width(std::string_view text);

}  // namespace weft::tools
