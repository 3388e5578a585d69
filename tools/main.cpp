// SPDX-License-Identifier: BSL-1.0
// The `weft` program: picks the command, and is the one place that prints why a command gave up.

#include <fmt/core.h>

#include <array>
#include <cstdio>
#include <exception>
#include <string_view>

#include "commands.hpp"
#include "failure.hpp"

namespace weft::tools {
namespace {

struct command {
  std::string_view name;
  std::string_view about;  ///< empty: hidden from the help
  int (*run)(const arguments&);
};

constexpr std::array commands{
    command{"run", "run a program with its threads as user-level threads", run_command},
    command{"compare", "run it under each threading model and compare", compare_command},
    command{"doctor", "show what this machine has and what to change", doctor_command},
    command{"modes", "measure what switches, calls and threads cost here", modes_command},
    command{"measure-threads", "", measure_threads_command},
};

constexpr std::string_view introduction =
    R"(weft runs unmodified threaded programs with user-level threads: no kernel thread per thread,
no recompiling, no root.

Usage: weft COMMAND [options]

Commands:
)";

constexpr std::string_view closing = R"(
Options:
  -h, --help   show this help and exit
  --version    show the version and exit

Start here:
  weft doctor                       does this machine have what weft needs?
  weft run -- ./server              run a program on weft
  weft compare -- ./program ARG...  see which threading model suits it

`weft COMMAND --help` explains a command; `man weft` has it all.
)";

void print_help(std::FILE* where) {
  fmt::print(where, "{}", introduction);
  for (const command& each : commands) {
    if (!each.about.empty()) fmt::print(where, "  {:<10} {}\n", each.name, each.about);
  }
  fmt::print(where, "{}", closing);
}

int dispatch(const arguments& words) {
  if (words.empty()) {
    print_help(stderr);
    return exit_usage;
  }
  const std::string& first = words.front();
  if (first == "--help" || first == "-h" || first == "help") {
    print_help(stdout);
    return exit_ok;
  }
  if (first == "--version") {
    fmt::print("weft {}\n", WEFT_VERSION);
    return exit_ok;
  }
  for (const command& each : commands) {
    if (each.name == first) return each.run(arguments(words.begin() + 1, words.end()));
  }
  const char* kind = first.starts_with("-") ? "option" : "command";
  throw failure(exit_usage, fmt::format("unknown {} \"{}\"; `weft --help` lists the commands", kind, first));
}

/// "weft" or "weft COMMAND": whose complaint it is.
std::string speaker(const arguments& words) {
  for (const command& each : commands) {
    if (!words.empty() && each.name == words.front()) return fmt::format("weft {}", each.name);
  }
  return "weft";
}

}  // namespace
}  // namespace weft::tools

int main(int argc, char** argv) {
  const weft::tools::arguments words(argv + (argc > 0 ? 1 : 0), argv + argc);
  try {
    const int status = weft::tools::dispatch(words);
    if (std::fflush(stdout) != 0) {
      std::perror("weft: standard output");
      return weft::tools::exit_failed;
    }
    return status;
  } catch (const weft::tools::failure& failure) {
    fmt::print(stderr, "{}: {}\n", weft::tools::speaker(words), failure.what());
    return failure.status();
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", weft::tools::speaker(words), error.what());
    return weft::tools::exit_failed;
  }
}
