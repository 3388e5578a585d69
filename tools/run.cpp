// SPDX-License-Identifier: BSL-1.0
// `weft run`: checks everything, then becomes the program. Because it execs instead of forking, process id, exit
// status, signals and terminal are the program's own and there is nothing to pass on.

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "command_line.hpp"
#include "engine_settings.hpp"
#include "failure.hpp"
#include "preload.hpp"
#include "program.hpp"

namespace weft::tools {
namespace {

constexpr const char* footer = R"(
Everything after PROGRAM belongs to PROGRAM. Programs that it starts run the same way.
The environment variable WEFT_OPTIONS=key=value,... sets the same and more (see `man weft`);
options on the command line win. With --model=1:1 the threads stay kernel threads.

Exit status: PROGRAM's own; 2 wrong usage, 126 PROGRAM cannot be run here, 127 not found.

Examples:
  weft run ./server --port 8080
  weft run --model=n:1 --stats -- python3 script.py
  weft run --parallelism=2 --stack-size=64K ./many-threads)";

}  // namespace

int run_command(const arguments& words) {
  const auto parser = make_parser("run", "Runs an unmodified program with its pthreads as user-level threads.",
                                  "weft run [options] [--] PROGRAM [ARG...]");
  parser->footer(footer);
  engine_options options;
  options.add_model(*parser);
  options.add_tuning(*parser);
  options.add_stats(*parser);
  const auto program = parse(*parser, words, program_words::required);
  if (!program) return exit_ok;

  engine_settings settings = engine_settings::from_environment();
  options.apply(settings);
  settings.check();
  const std::string path = find_program(program->front());
  check_preloadable(path);
  prepare_environment(preload_library(), settings);

  std::vector<char*> argv;
  for (const std::string& word : *program) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execv(path.c_str(), argv.data());
  throw failure(errno == ENOENT ? exit_not_found : exit_cannot_run, fmt::format("{}: {}", path, std::strerror(errno)));
}

}  // namespace weft::tools
