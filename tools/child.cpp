// SPDX-License-Identifier: BSL-1.0
// fork, exec, one poll loop over the child's output, its pidfd and our signals, then wait4 for the accounts.
// fork and not vfork: the child's peak memory starts at what it shares with us, and after fork that is little.

#include "child.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "failure.hpp"

namespace weft::tools {
namespace {

using steady = std::chrono::steady_clock;

constexpr std::size_t kept_bytes = 4096;
constexpr auto patience_before_kill = std::chrono::seconds(2);

class descriptor {
 public:
  explicit descriptor(int fd) : fd_(fd) {}
  ~descriptor() { reset(); }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return fd_; }
  void reset() noexcept {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

[[noreturn]] void become(const child_plan& plan, int output, int errors, const interrupts& stop) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // whatever happens to us, no program is left behind
  const int null = open("/dev/null", O_RDWR);
  dup2(null, STDIN_FILENO);
  dup2(output >= 0 ? output : null, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  if (null > STDERR_FILENO) close(null);
  plan.prepare();
  std::vector<char*> argv;
  for (const std::string& word : plan.words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  stop.restore_mask();
  execv(plan.path.c_str(), argv.data());
  fmt::print(stderr, "{}: {}\n", plan.path, std::strerror(errno));
  _exit(exit_cannot_run);
}

/// Reads what is there now; `keep` bounds the text from the front. Returns false at end of file.
bool drain(int fd, std::string& text, std::size_t keep) {
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got <= 0) return got < 0 && (errno == EAGAIN || errno == EINTR);
    text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > keep) text.erase(0, text.size() - keep);
  }
}

void stop_group(pid_t child, int pidfd, int signal) {
  kill(-child, signal);
  pollfd ended{.fd = pidfd, .events = POLLIN, .revents = 0};
  const int milliseconds = static_cast<int>(std::chrono::milliseconds(patience_before_kill).count());
  while (poll(&ended, 1, milliseconds) < 0 && errno == EINTR) {
  }
  kill(-child, SIGKILL);
  waitpid(child, nullptr, 0);
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

/// The parent's side of one run.
class supervision {
 public:
  supervision(const child_plan& plan, const interrupts& stop, pid_t child)
      : plan_(plan), stop_(stop), child_(child), pidfd_(static_cast<int>(syscall(SYS_pidfd_open, child, 0))) {
    if (pidfd_.get() >= 0) return;
    const int reason = errno;
    kill(-child, SIGKILL);
    waitpid(child, nullptr, 0);
    throw failure(exit_failed, fmt::format("pidfd_open: {}; Linux 5.3 or newer is needed", std::strerror(reason)));
  }

  child_result wait(int output, int errors, steady::time_point start) {
    child_result result;
    auto next_tick = start + std::chrono::seconds(1);
    std::array<pollfd, 4> watched{{{stop_.descriptor(), POLLIN, 0}, {pidfd_.get(), POLLIN, 0},
                                   {errors, POLLIN, 0}, {output, POLLIN, 0}}};
    while ((watched[1].revents & POLLIN) == 0) {
      poll(watched.data(), watched.size(), 200);
      if (const int signal = stop_.take()) give_up(signal);
      if (!drain(errors, result.error_tail, kept_bytes)) watched[2].fd = -1;
      if (output >= 0 && !drain(output, result.output, SIZE_MAX)) watched[3].fd = -1;
      const auto now = steady::now();
      if (now >= next_tick) {
        plan_.tick();
        next_tick = now + std::chrono::seconds(1);
      }
      if (plan_.seconds_allowed > 0 && std::chrono::duration<double>(now - start).count() > plan_.seconds_allowed)
        kill(-child_, SIGKILL);
    }
    result.wall_seconds = std::chrono::duration<double>(steady::now() - start).count();
    kill(-child_, SIGKILL);  // leftovers of the group; the dead leader still holds its number
    drain(errors, result.error_tail, kept_bytes);
    if (output >= 0) drain(output, result.output, SIZE_MAX);
    collect_accounts(result);
    return result;
  }

 private:
  [[noreturn]] void give_up(int signal) {
    stop_group(child_, pidfd_.get(), signal);
    throw failure(static_cast<exit_status>(128 + signal), fmt::format("stopped by {}", strsignal(signal)));
  }

  void collect_accounts(child_result& result) const {
    rusage usage{};
    wait4(child_, &result.wait_status, 0, &usage);
    result.user_seconds = seconds(usage.ru_utime);
    result.system_seconds = seconds(usage.ru_stime);
    result.voluntary_switches = static_cast<double>(usage.ru_nvcsw);
    result.involuntary_switches = static_cast<double>(usage.ru_nivcsw);
    result.peak_memory_kib = static_cast<double>(usage.ru_maxrss);
  }

  const child_plan& plan_;
  const interrupts& stop_;
  pid_t child_;
  descriptor pidfd_;
};

[[noreturn]] void throw_errno(const char* call) {
  throw failure(exit_failed, fmt::format("{}: {}", call, std::strerror(errno)));
}

}  // namespace

std::string child_result::ending() const {
  if (WIFSIGNALED(wait_status)) {
    const char* name = sigabbrev_np(WTERMSIG(wait_status));
    return name == nullptr ? fmt::format("killed by signal {}", WTERMSIG(wait_status))
                           : fmt::format("killed by SIG{}", name);
  }
  return fmt::format("exit status {}", WEXITSTATUS(wait_status));
}

child_result run_child(const child_plan& plan, const interrupts& stop) {
  std::array<int, 2> ends{-1, -1};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe2");
  const descriptor errors(ends[0]);
  descriptor errors_in(ends[1]);
  ends = {-1, -1};
  if (plan.output == child_output::keep && pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe2");
  const descriptor output(ends[0]);
  descriptor output_in(ends[1]);
  // Only our ends: the program must not find its own output non-blocking.
  for (const int fd : {errors.get(), output.get()}) {
    if (fd >= 0) fcntl(fd, F_SETFL, O_NONBLOCK);
  }
  const auto start = steady::now();
  const pid_t child = fork();
  if (child < 0) throw_errno("fork");
  if (child == 0) become(plan, output_in.get(), errors_in.get(), stop);
  setpgid(child, child);  // whichever of the two comes first
  errors_in.reset();
  output_in.reset();
  return supervision(plan, stop, child).wait(output.get(), errors.get(), start);
}

}  // namespace weft::tools
