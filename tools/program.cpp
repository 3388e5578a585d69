// SPDX-License-Identifier: BSL-1.0
// PATH lookup with a shell's statuses, then the reasons why a library could not be preloaded.

#include "program.hpp"

#include <elf.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "elf_file.hpp"
#include "failure.hpp"

namespace weft::tools {
namespace {

constexpr int deepest_script_chain = 4;  // the kernel follows no more

[[noreturn]] void cannot_run(const std::string& line) { throw failure(exit_cannot_run, line); }

/// Why this file cannot be executed by us; nothing when it can.
std::optional<failure> reason_not_executable(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR)
      return failure(exit_not_found, fmt::format("{}: no such file; check the name and the path", path));
    return failure(exit_cannot_run, fmt::format("{}: {}", path, std::strerror(errno)));
  }
  if (S_ISDIR(info.st_mode)) return failure(exit_cannot_run, fmt::format("{}: is a directory, not a program", path));
  if (!S_ISREG(info.st_mode) || access(path.c_str(), X_OK) != 0)
    return failure(exit_cannot_run, fmt::format("{0}: is not executable (chmod +x {0} makes it so)", path));
  return std::nullopt;
}

void check_privileges(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return;
  const char* what = nullptr;
  if ((info.st_mode & S_ISUID) != 0) what = "is setuid";
  else if ((info.st_mode & S_ISGID) != 0) what = "is setgid";
  else if (getxattr(path.c_str(), "security.capability", nullptr, 0) > 0) what = "carries file capabilities";
  if (what != nullptr)
    cannot_run(fmt::format("{}: {}, and the system ignores preloaded libraries for such programs; "
                           "run an ordinary copy of it", path, what));
}

void check_elf(const std::string& path, const executable_facts& facts) {
  if (facts.damaged) cannot_run(fmt::format("{}: its ELF headers are damaged", path));
  if (facts.machine != EM_X86_64 || !facts.is_64_bit)
    cannot_run(fmt::format("{}: is a program for {}; weft runs 64-bit x86 programs only", path,
                           machine_name(facts.machine, facts.is_64_bit)));
  if (facts.interpreter.empty())
    cannot_run(fmt::format("{}: is statically linked, so no library can be preloaded; link it dynamically", path));
  if (facts.interpreter.find("ld-musl") != std::string::npos)
    cannot_run(fmt::format("{}: is built for musl; weft needs a program built for glibc", path));
  if (access(facts.interpreter.c_str(), X_OK) != 0)
    throw failure(exit_not_found, fmt::format("{}: its loader {} is not here", path, facts.interpreter));
}

void check_at_depth(const std::string& path, int depth) {
  check_privileges(path);
  const executable_facts facts = read_executable(path);
  switch (facts.kind) {
    case file_kind::unreadable: return;  // executable but not readable: the loader will cope or say why
    case file_kind::elf: return check_elf(path, facts);
    case file_kind::other:
      cannot_run(fmt::format("{}: is neither an ELF program nor a script that starts with #!", path));
    case file_kind::script: break;
  }
  if (facts.interpreter.empty()) cannot_run(fmt::format("{}: its first line \"#!\" names no interpreter", path));
  if (depth >= deepest_script_chain) cannot_run(fmt::format("{}: too many scripts interpret one another", path));
  if (auto reason = reason_not_executable(facts.interpreter))
    throw failure(reason->status(), fmt::format("{}: interpreter {}", path, reason->what()));
  check_at_depth(facts.interpreter, depth + 1);
}

std::string search_path() {
  if (const char* path = std::getenv("PATH")) return path;
  const std::size_t size = confstr(_CS_PATH, nullptr, 0);
  std::string standard(size, '\0');
  confstr(_CS_PATH, standard.data(), size);
  return standard.c_str();
}

}  // namespace

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    if (auto reason = reason_not_executable(name)) throw *reason;
    return name;
  }
  std::optional<failure> seen;  // a match that cannot be executed counts only when no other follows
  const std::string all = search_path();
  std::string_view rest = all;
  while (!name.empty()) {
    const std::size_t colon = rest.find(':');
    const std::string_view directory = rest.substr(0, colon);
    const std::string candidate = fmt::format("{}/{}", directory.empty() ? "." : directory, name);
    auto reason = reason_not_executable(candidate);
    if (!reason) return candidate;
    if (!seen && reason->status() == exit_cannot_run) seen = reason;
    if (colon == std::string_view::npos) break;
    rest = rest.substr(colon + 1);
  }
  if (seen) throw *seen;
  throw failure(exit_not_found, fmt::format("{}: command not found; check the name or give its path", name));
}

void check_preloadable(const std::string& path) { check_at_depth(path, 0); }

}  // namespace weft::tools
