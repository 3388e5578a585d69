// SPDX-License-Identifier: BSL-1.0
#include "posix/stats.hpp"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/scheduler.hpp"
#include "io/reactor.hpp"
#include "posix/registry.hpp"
#include "posix/runtime.hpp"
#include "posix/exported.hpp"

namespace weft::engine::posix {

namespace {

struct native_counts {
  atomic<std::uint64_t> created{1}, alive{1}, most{1};  // main counts
};
constinit native_counts native_threads;

struct figures {
  std::uint64_t parallelism, created, most_alive, switches, preemptions, rescues, carriers, kernel_threads;
};

figures collect() noexcept {
  if (runtime.now == stage::native) {
    // relaxed: statistics at the end of the process
    const std::uint64_t created = native_threads.created.load(memory_order::relaxed);
    const std::uint64_t most = native_threads.most.load(memory_order::relaxed);  // relaxed: as above
    return {0, created, most, 0, 0, 0, 0, most};
  }
  const scheduler& s = the_scheduler;
  if (!s.started()) return {runtime.chosen.parallelism, 1, 1, 0, 0, 0, 0, 1};
  return {s.slot_count(),
          threads.created(),
          threads.most_alive(),
          s.switches(),
          s.preemptions.load(memory_order::relaxed),  // relaxed: a statistic
          s.rescues.load(memory_order::relaxed),      // relaxed: a statistic
          s.carriers_most(),
          s.carriers_most() + std::uint64_t{1}};  // and the monitor
}

void print_line(const figures& f) noexcept {
  text<400> line;
  line << "weft: stats: model=" << name_of(runtime.chosen.threads) << " parallelism=" << f.parallelism
       << " threads=" << f.created << " most_alive=" << f.most_alive << " switches=" << f.switches
       << " preemptions=" << f.preemptions << " rescues=" << f.rescues << " carriers=" << f.carriers << " io=" << io::name_of_back_end() << '\n';
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

void append_json(const figures& f) noexcept {
  text<1200> line;
  line << "{\"pid\":" << ::getpid() << ",\"program\":\"";
  for (const char* p = program_name(); *p != '\0'; ++p) {
    if (*p == '"' || *p == '\\') line << '\\';
    line << (static_cast<unsigned char>(*p) < ' ' ? '?' : *p);
  }
  line << "\",\"model\":\"" << name_of(runtime.chosen.threads) << "\",\"parallelism\":" << f.parallelism
       << ",\"threads_created\":" << f.created << ",\"threads_most_alive\":" << f.most_alive
       << ",\"switches\":" << f.switches << ",\"preemptions\":" << f.preemptions << ",\"rescues\":" << f.rescues
       << ",\"carriers\":" << f.carriers << ",\"kernel_threads_most\":" << f.kernel_threads << ",\"io\":\"" << io::name_of_back_end()
       << "\"}\n";
  const int fd = ::open(runtime.chosen.stats_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return;
  [[maybe_unused]] const auto written = ::write(fd, line.data(), line.size());
  ::close(fd);
}

struct counted_start {
  void* (*start)(void*);
  void* argument;
};
constinit pthread_key_t end_key = 0;
constinit pthread_once_t end_key_once = PTHREAD_ONCE_INIT;

void thread_ended(void*) noexcept {
  native_threads.alive.fetch_sub(1, memory_order::relaxed);  // relaxed: a statistic
}

void* counted_body(void* raw) {
  const counted_start s = *static_cast<counted_start*>(raw);
  ::free(raw);
  ::pthread_setspecific(end_key, &end_key);
  return s.start(s.argument);
}

}  // namespace

void report_stats() noexcept {
  static constinit atomic<std::uint32_t> reported_by{0};
  if (!runtime.chosen.stats && runtime.chosen.stats_file[0] == '\0') return;
  if (runtime.now == stage::running && self().vforked) return;  // a child of vfork, in its parent's memory
  const auto me = static_cast<std::uint32_t>(::getpid());
  if (reported_by.exchange(me, memory_order::relaxed) == me) return;  // relaxed: one of several exits wins
  const int saved = errno;
  const figures f = collect();
  if (runtime.chosen.stats_file[0] != '\0') append_json(f);
  if (runtime.chosen.stats) print_line(f);
  errno = saved;
}

int create_counted(pthread_t* handle, const pthread_attr_t* attributes, void* (*start)(void*), void* argument) noexcept {
  if (!runtime.chosen.stats && runtime.chosen.stats_file[0] == '\0')
    return libc.pthread_create(handle, attributes, start, argument);
  libc.pthread_once(&end_key_once, [] { libc.pthread_key_create(&end_key, thread_ended); });
  auto* s = static_cast<counted_start*>(::malloc(sizeof(counted_start)));
  if (s == nullptr) return EAGAIN;
  *s = {start, argument};
  const std::uint64_t alive = native_threads.alive.fetch_add(1, memory_order::relaxed) + 1;  // relaxed: a statistic
  const int error = libc.pthread_create(handle, attributes, counted_body, s);
  if (error != 0) {
    thread_ended(nullptr);
    ::free(s);
    return error;
  }
  native_threads.created.fetch_add(1, memory_order::relaxed);                            // relaxed: a statistic
  std::uint64_t most = native_threads.most.load(memory_order::relaxed);                  // relaxed: a statistic
  while (alive > most && !native_threads.most.compare_exchange_weak(most, alive, memory_order::relaxed)) {  // relaxed: a statistic
  }
  return 0;
}

}  // namespace weft::engine::posix

using namespace weft::engine::posix;

// Ends of a process that run no destructors of libraries.
WEFT_EXPORT void _exit(int status) {
  touch();
  report_stats();
  libc._exit(status);
  __builtin_unreachable();
}
WEFT_EXPORT void _Exit(int status) { _exit(status); }
WEFT_EXPORT void quick_exit(int status) {
  touch();
  report_stats();
  libc.quick_exit(status);
  __builtin_unreachable();
}
