// SPDX-License-Identifier: BSL-1.0
// A measured quantity: the median and how far the samples lie apart. One number would pretend to a precision that a
// shared machine does not have.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace weft::tools {

struct spread {
  double median = 0;
  double low = 0;
  double high = 0;
};

/// Value below which `share` (0 to 1) of the sorted samples lie, interpolated. Needs at least one sample.
[[nodiscard]] inline double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - static_cast<double>(below));
}

/// Median with the samples at `low_share` and `high_share`: 0 and 1 for smallest and largest, 0.1 and 0.9 for p10-p90.
[[nodiscard]] inline spread spread_of(std::vector<double> samples, double low_share = 0, double high_share = 1) {
  if (samples.empty()) return {};
  std::sort(samples.begin(), samples.end());
  return {quantile(samples, 0.5), quantile(samples, low_share), quantile(samples, high_share)};
}

}  // namespace weft::tools
