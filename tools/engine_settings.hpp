// SPDX-License-Identifier: BSL-1.0
// The settings of the engine as the tool hands them on: the text of WEFT_OPTIONS, key by key, so that what the
// environment says stays where the command line is silent. What a value may be, core/options knows; the tool asks it
// before the program starts, so that a mistake is reported with the name of the option that was typed.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <optional>
#include <string>

namespace weft::tools {

/// WEFT_OPTIONS in pieces.
class engine_settings {
 public:
  /// What the environment carries already; nothing when WEFT_OPTIONS is unset. Errors: failure with exit_usage.
  [[nodiscard]] static engine_settings from_environment();

  void set(const std::string& key, const std::string& value) { values_[key] = value; }
  void drop(const std::string& key) { values_.erase(key); }

  /// "key=value,key=value"; empty when nothing is set.
  [[nodiscard]] std::string text() const;

  /// Returns when the library will accept the text. Errors: failure with exit_usage.
  void check() const;

 private:
  std::map<std::string, std::string> values_;
};

/// The options of the command line that become settings; run and compare share them.
class engine_options {
 public:
  void add_model(CLI::App& parser);
  void add_tuning(CLI::App& parser);  ///< --parallelism, --stack-size, --slice
  void add_stats(CLI::App& parser);

  /// Lays what was typed over `base`. Errors: failure with exit_usage.
  void apply(engine_settings& base) const;

 private:
  std::optional<std::string> model_;
  std::optional<std::string> parallelism_;
  std::optional<std::string> stack_size_;
  std::optional<std::string> slice_;
  std::optional<std::string> io_;
  bool stats_ = false;
};

}  // namespace weft::tools
