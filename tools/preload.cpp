// SPDX-License-Identifier: BSL-1.0
// The tool moves as a tree (build directory, install prefix, tarball), so the library is looked for relative to it.

#include "preload.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "failure.hpp"

namespace weft::tools {
namespace {

constexpr std::string_view library_name = "libweft-preload.so";

/// `list` (colons or blanks between) without `item`, so that weft under weft does not load the library twice.
std::string without(std::string_view list, std::string_view item) {
  std::string kept;
  while (!list.empty()) {
    const std::size_t end = list.find_first_of(": ");
    const std::string_view entry = list.substr(0, end);
    list = end == std::string_view::npos ? std::string_view{} : list.substr(end + 1);
    if (!entry.empty() && entry != item) kept += ":" + std::string(entry);
  }
  return kept;
}

}  // namespace

std::string own_executable() {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) throw failure(exit_failed, "cannot read /proc/self/exe; is /proc mounted?");
  return path.string();
}

std::string preload_library() {
  const std::filesystem::path directory = std::filesystem::path(own_executable()).parent_path();
  for (const std::filesystem::path& place : {directory / "lib", directory.parent_path() / "lib"}) {
    std::error_code error;
    const std::filesystem::path candidate = place / library_name;
    if (!std::filesystem::is_regular_file(candidate, error)) continue;
    // The loader splits LD_PRELOAD at these, and knows no way to quote them.
    if (candidate.string().find_first_of(": ") != std::string::npos)
      throw failure(exit_failed, fmt::format("{}: a path with a blank or a colon cannot be preloaded; "
                                             "install weft elsewhere", candidate.string()));
    return candidate.string();
  }
  throw failure(exit_failed, fmt::format("{0} is neither in {1}/lib nor in {2}/lib; build it (make build) or install "
                                         "weft again (make install)", library_name, directory.string(),
                                         directory.parent_path().string()));
}

void prepare_environment(const std::string& library, const engine_settings& settings) {
  const char* before = std::getenv("LD_PRELOAD");
  const std::string list = library + without(before == nullptr ? "" : before, library);
  setenv("LD_PRELOAD", list.c_str(), 1);
  setenv("WEFT_OPTIONS", settings.text().c_str(), 1);
}

}  // namespace weft::tools
