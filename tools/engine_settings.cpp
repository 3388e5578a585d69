// SPDX-License-Identifier: BSL-1.0
// Keeps the pieces of WEFT_OPTIONS as text; the rules are core/options' alone.

#include "engine_settings.hpp"

#include <fmt/core.h>

#include <cstdlib>
#include <string_view>

#include "failure.hpp"
#include "core/options.hpp"

namespace weft::tools {
namespace {

/// What the library would say against this text; nothing when it would take it.
std::optional<std::string> complaint_about(const std::string& text) {
  engine::options options;
  engine::text<400> mistake;
  if (engine::parse_options(text.c_str(), options, mistake)) return std::nullopt;
  return std::string(mistake.data(), mistake.size());
}

/// One option of the command line becomes one key: its value cannot smuggle in others.
void set_from_option(engine_settings& settings, const std::string& key, const std::string& value) {
  const std::string item = key + "=" + value;
  if (value.find(',') != std::string::npos)
    throw failure(exit_usage, fmt::format("--{}: a value holds no comma", item));
  if (const auto complaint = complaint_about(item)) throw failure(exit_usage, "--" + *complaint);
  settings.set(key, value);
}

}  // namespace

engine_settings engine_settings::from_environment() {
  engine_settings settings;
  const char* found = std::getenv("WEFT_OPTIONS");
  if (found == nullptr) return settings;
  if (const auto complaint = complaint_about(found))
    throw failure(exit_usage, fmt::format("WEFT_OPTIONS in the environment: {}", *complaint));
  for (std::string_view rest = found; !rest.empty();) {
    const std::size_t comma = rest.find(',');
    const std::string_view item = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    const std::size_t equals = item.find('=');
    if (equals != std::string_view::npos)
      settings.set(std::string(item.substr(0, equals)), std::string(item.substr(equals + 1)));
  }
  return settings;
}

std::string engine_settings::text() const {
  std::string all;
  for (const auto& [key, value] : values_) all += (all.empty() ? "" : ",") + key + "=" + value;
  return all;
}

void engine_settings::check() const {
  if (const auto complaint = complaint_about(text())) throw failure(exit_usage, *complaint);
}

void engine_options::add_model(CLI::App& parser) {
  parser.add_option("--model", model_, "m:n  many threads on a few kernel threads (default)\n"
                                       "n:1  all threads on one kernel thread\n"
                                       "1:1  a kernel thread for each")->type_name("MODEL");
}

void engine_options::add_tuning(CLI::App& parser) {
  parser.add_option("--parallelism", parallelism_, "threads that run at the same time in m:n, 1 to 1024\n"
                                                   "(default: the CPUs this process may use)")->type_name("N");
  parser.add_option("--stack-size", stack_size_, "stack of a thread for which the program names none,\n"
                                                 "at least 16384; 64K, 8M, 1G do too")->type_name("BYTES");
  parser.add_option("--slice", slice_, "how long a thread runs while others wait, 1 to 10000\n"
                                       "(default: 10)")->type_name("MS");
  parser.add_option("--io", io_, "how threads wait for descriptors: auto, epoll or uring")->type_name("WHAT");
}

void engine_options::add_stats(CLI::App& parser) {
  parser.add_flag("--stats", stats_, "when the program ends, print on stderr what its threads did");
}

void engine_options::apply(engine_settings& base) const {
  if (model_) set_from_option(base, "model", *model_);
  if (parallelism_) set_from_option(base, "parallelism", *parallelism_);
  if (stack_size_) set_from_option(base, "stack-size", *stack_size_);
  if (slice_) set_from_option(base, "slice", *slice_);
  if (io_) set_from_option(base, "io", *io_);
  if (stats_) base.set("stats", "1");
}

}  // namespace weft::tools
