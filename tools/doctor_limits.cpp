// SPDX-License-Identifier: BSL-1.0
// The limits that decide how many threads fit, of either kind, and how each is raised.

#include <fmt/core.h>
#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <optional>
#include <sstream>

#include "findings.hpp"
#include "table.hpp"

namespace weft::tools {
namespace {

constexpr std::uint64_t many_threads = 100'000;
constexpr std::uint64_t many_files = 65'536;
constexpr double resident_kib_per_thread = 10;

std::optional<std::uint64_t> number_in(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} ? std::optional(value) : std::nullopt;
}

std::string number_text(std::uint64_t value) { return with_separators(static_cast<double>(value)); }

std::string limit_text(rlim_t value) { return value == RLIM_INFINITY ? "unlimited" : number_text(value); }

std::string size_text(double kib) {
  if (kib >= 1024 * 1024) return fmt::format("{:.1f} GiB", kib / 1024 / 1024);
  return kib >= 1024 ? fmt::format("{:.0f} MiB", kib / 1024) : fmt::format("{:.0f} KiB", kib);
}

rlimit limit_of(__rlimit_resource which) {
  rlimit limit{};
  getrlimit(which, &limit);
  return limit;
}

/// A sysctl that bounds kernel threads: only 1:1 and the carriers count against it.
finding kernel_thread_limit(const std::string& name, const std::string& path) {
  const std::string text = first_line(path);
  const auto value = number_in(text);
  if (!value) return {name, "not readable", verdict::good, ""};
  if (*value >= many_threads) return {name, number_text(*value), verdict::good, ""};
  return {name, number_text(*value), verdict::low,
          fmt::format("bounds 1:1 and carriers only, user-level threads do not count; sysctl {}=4194304", name)};
}

finding mappings(const findings& before) {
  const auto value = number_in(first_line("/proc/sys/vm/max_map_count"));
  if (!value) return {"vm.max_map_count", "not readable", verdict::good, ""};
  // With guards by advice neighbouring stacks share one mapping, and this limit is out of reach.
  const bool guards_are_free = std::any_of(before.begin(), before.end(), [](const finding& each) {
    return each.what == "guard-page advice" && each.state == verdict::good;
  });
  if (guards_are_free || *value >= 2 * many_threads)
    return {"vm.max_map_count", number_text(*value), verdict::good, ""};
  return {"vm.max_map_count", number_text(*value), verdict::low,
          fmt::format("without guard-page advice about {} threads fit; sysctl vm.max_map_count={}",
                      number_text(*value / 2), 20 * many_threads)};
}

finding open_files() {
  const rlimit limit = limit_of(RLIMIT_NOFILE);
  const std::string found = fmt::format("{}, hard {}", limit_text(limit.rlim_cur), limit_text(limit.rlim_max));
  if (limit.rlim_cur >= many_files) return {"open files", found, verdict::good, ""};
  const bool hard_enough = limit.rlim_max >= many_files;
  return {"open files", found, verdict::low,
          fmt::format("a thread per connection needs a descriptor each; {}",
                      hard_enough ? fmt::format("ulimit -n {}", limit_text(limit.rlim_max))
                                  : "raise nofile in /etc/security/limits.conf")};
}

finding processes() {
  const rlimit limit = limit_of(RLIMIT_NPROC);
  const std::string found = limit_text(limit.rlim_cur);
  if (limit.rlim_cur >= 4096) return {"user processes", found, verdict::good, ""};
  return {"user processes", found, verdict::low, "counts kernel threads, carriers too; ulimit -u"};
}

finding stack() {
  const rlimit limit = limit_of(RLIMIT_STACK);
  const std::string found = limit.rlim_cur == RLIM_INFINITY ? "unlimited" : size_text(static_cast<double>(limit.rlim_cur) / 1024);
  if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= 16384) return {"default stack size", found, verdict::good, ""};
  return {"default stack size", found, verdict::low, "too small for a thread; ulimit -s 8192"};
}

finding address_space() {
  const rlimit limit = limit_of(RLIMIT_AS);
  if (limit.rlim_cur == RLIM_INFINITY) return {"address space", "unlimited", verdict::good, ""};
  return {"address space", size_text(static_cast<double>(limit.rlim_cur) / 1024), verdict::low,
          "every stack counts in full, touched or not; ulimit -v unlimited, or a smaller --stack-size"};
}

/// The file of our control group in either version of the interface; the nearest one upwards that exists.
std::string cgroup_value(const std::string& controller, const std::string& file_v1, const std::string& file_v2) {
  std::ifstream membership("/proc/self/cgroup");
  for (std::string line; std::getline(membership, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool version_2 = names == ",,";
    if (!version_2 && names.find("," + controller + ",") == std::string::npos) continue;
    const std::string mount = version_2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/" + controller;
    for (std::string group = line.substr(second + 1);; group.erase(std::min(group.rfind('/'), group.size()))) {
      const std::string value = first_line(mount + group + "/" + (version_2 ? file_v2 : file_v1));
      if (!value.empty()) return value;
      if (group.empty()) break;
    }
  }
  return {};
}

finding cgroup_processes() {
  const std::string value = cgroup_value("pids", "pids.max", "pids.max");
  const auto number = number_in(value);
  if (!number) return {"cgroup pids.max", value.empty() ? "none" : value, verdict::good, ""};
  if (*number >= 4096) return {"cgroup pids.max", number_text(*number), verdict::good, ""};
  return {"cgroup pids.max", number_text(*number), verdict::low,
          "bounds 1:1 and the carriers that stand in for blocked ones; raise it for the container"};
}

finding cgroup_processor() {
  std::istringstream version_2(cgroup_value("cpu", "cpu.cfs_quota_us", "cpu.max"));
  std::string quota;
  std::string period;
  version_2 >> quota >> period;
  const auto allowed = number_in(quota);
  if (!allowed) return {"cgroup CPU quota", "none", verdict::good, ""};
  const auto window = number_in(period.empty() ? cgroup_value("cpu", "cpu.cfs_period_us", "cpu.max") : period);
  const double cpus = static_cast<double>(*allowed) / static_cast<double>(std::max<std::uint64_t>(window.value_or(100'000), 1));
  return {"cgroup CPU quota", fmt::format("{:.2f} CPUs", cpus), verdict::low,
          fmt::format("more carriers only get throttled; weft run --parallelism={:.0f}", std::max(1.0, cpus))};
}

/// "MemTotal" of /proc/meminfo, in KiB.
double memory_kib(const std::string& field) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(field + ":")) continue;
    const std::size_t digit = line.find_first_of("0123456789");
    return digit == std::string::npos ? 0 : static_cast<double>(number_in(line.substr(digit)).value_or(0));
  }
  return 0;
}

finding memory() {
  const double available = memory_kib("MemAvailable");
  const std::string found = fmt::format("{} of {} available", size_text(available), size_text(memory_kib("MemTotal")));
  const double threads = available / resident_kib_per_thread;
  if (threads >= static_cast<double>(many_threads)) return {"memory", found, verdict::good, ""};
  return {"memory", found, verdict::low, fmt::format("room for about {} parked threads", with_separators(threads))};
}

finding overcommit() {
  const std::string mode = first_line("/proc/sys/vm/overcommit_memory");
  if (mode != "2") return {"vm.overcommit_memory", mode.empty() ? "not readable" : mode, verdict::good, ""};
  return {"vm.overcommit_memory", mode, verdict::low,
          "every stack is charged in full, touched or not; sysctl vm.overcommit_memory=0, or a smaller --stack-size"};
}

finding huge_pages() {
  const std::string line = first_line("/sys/kernel/mm/transparent_hugepage/enabled");
  const std::size_t open = line.find('[');
  if (open == std::string::npos) return {"transparent huge pages", "none", verdict::good, ""};
  // "always" costs nothing either: the engine asks for small pages under its stacks.
  return {"transparent huge pages", line.substr(open + 1, line.find(']') - open - 1), verdict::good, ""};
}

}  // namespace

void probe_limits(findings& all) {
  all.push_back(kernel_thread_limit("kernel.pid_max", "/proc/sys/kernel/pid_max"));
  all.push_back(kernel_thread_limit("kernel.threads-max", "/proc/sys/kernel/threads-max"));
  all.push_back(mappings(all));
  all.push_back(open_files());
  all.push_back(processes());
  all.push_back(stack());
  all.push_back(address_space());
  all.push_back(cgroup_processes());
  all.push_back(cgroup_processor());
}

void probe_memory(findings& all) {
  all.push_back(memory());
  all.push_back(overcommit());
  all.push_back(huge_pages());
}

}  // namespace weft::tools
