// SPDX-License-Identifier: BSL-1.0
// glibc's private symbols, and the question that settles everything: do threads run on the engine when tried?

#include <dlfcn.h>
#include <fmt/core.h>
#include <gnu/libc-version.h>

#include <array>

#include "child.hpp"
#include "engine_counts.hpp"
#include "failure.hpp"
#include "findings.hpp"
#include "preload.hpp"

namespace weft::tools {
namespace {

constexpr std::array private_symbols{
    "_dl_allocate_tls",     "_dl_allocate_tls_init", "_dl_deallocate_tls",        "_dl_get_tls_static_info",
    "__ctype_init",         "__call_tls_dtors",      "_thread_db_pthread_tid",    "_thread_db_sizeof_pthread"};

constexpr double seconds_for_the_trial = 20;

finding private_symbol_row() {
  std::string absent;
  std::size_t found = 0;
  for (const char* name : private_symbols) {
    if (dlsym(RTLD_DEFAULT, name) != nullptr) ++found;
    else absent += fmt::format("{}{}", absent.empty() ? "" : ", ", name);
  }
  const std::string count = fmt::format("{} of {}", found, private_symbols.size());
  if (absent.empty()) return {"glibc private symbols", count, verdict::good, ""};
  return {"glibc private symbols", count, verdict::fallback,
          fmt::format("without {} threads may have to run in model 1:1; use a glibc near 2.36", absent)};
}

finding judge_trial(const child_result& result, const engine_counts& counts) {
  const std::string what = "user-level threads, tried";
  const std::string said = result.error_tail.substr(0, result.error_tail.find('\n'));
  if (!result.succeeded())
    return {what, fmt::format("failed: {}", result.ending()), verdict::missing,
            said.empty() ? "programs run natively without weft; please report this table" : said};
  if (counts.processes > 0 && counts.model == "m:n") return {what, "work", verdict::good, ""};
  if (counts.processes > 0)
    return {what, fmt::format("ran as {}", counts.model), verdict::missing,
            said.empty() ? "the rows above say what is missing; programs run in model 1:1 meanwhile" : said};
  return {what, "the library did not load", verdict::missing,
          said.empty() ? "check that the loader may preload it (not setuid, same architecture)" : said};
}

}  // namespace

void probe_glibc(findings& all) {
  all.push_back({"glibc", gnu_get_libc_version(), verdict::good, ""});
  all.push_back(private_symbol_row());
}

void probe_engine(findings& all) {
  try {
    const std::string library = preload_library();
    all.push_back({"preload library", library, verdict::good, ""});
    const stats_file stats;
    engine_settings settings;  // the machine is asked about, not what WEFT_OPTIONS forces at the moment
    settings.set("model", "m:n");
    settings.set("stats-file", stats.path());
    const interrupts stop;
    const child_result result = run_child({.path = own_executable(),
                                           .words = {"weft", "measure-threads", "16"},
                                           .prepare = [&] { prepare_environment(library, settings); },
                                           .seconds_allowed = seconds_for_the_trial},
                                          stop);
    all.push_back(judge_trial(result, stats.read()));
  } catch (const failure& problem) {
    if (problem.status() > exit_not_found) throw;  // told to stop
    all.push_back({"preload library", "not usable", verdict::missing, problem.what()});
  }
}

}  // namespace weft::tools
