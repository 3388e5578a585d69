// SPDX-License-Identifier: BSL-1.0
// Pads by display width, because bars and dashes are several bytes each.

#include "table.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace weft::tools {
namespace {

std::string padded(const std::string& cell, std::size_t width, align alignment, bool last) {
  const std::size_t missing = width - std::min(width, display_width(cell));
  if (alignment == align::right) return std::string(missing, ' ') + cell;
  return last ? cell : cell + std::string(missing, ' ');
}

}  // namespace

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;  // every byte but the continuations of UTF-8
  }));
}

std::string table::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t width = display_width(columns_[c].head);
    for (const auto& row : rows_) width = std::max(width, display_width(row[c]));
    widths.push_back(width);
  }
  std::string all;
  const auto add_line = [&](auto cell_at) {
    std::string line;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      line += (c == 0 ? "" : "  ") + padded(cell_at(c), widths[c], columns_[c].alignment, c + 1 == columns_.size());
    }
    line.erase(line.find_last_not_of(' ') + 1);
    all += line + "\n";
  };
  add_line([&](std::size_t c) { return columns_[c].head; });
  add_line([&](std::size_t c) { return std::string(widths[c], '-'); });
  for (const auto& row : rows_) add_line([&](std::size_t c) { return row[c]; });
  return all;
}

std::string with_separators(double number) {
  const std::string digits = fmt::format("{:.0f}", std::abs(number));
  std::string all = number < 0 ? "-" : "";
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) all += ',';
    all += digits[i];
  }
  return all;
}

}  // namespace weft::tools
