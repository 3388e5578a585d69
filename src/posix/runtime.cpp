// SPDX-License-Identifier: BSL-1.0
#include "posix/runtime.hpp"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <unistd.h>

#include <new>

#include "arch/thread_pointer.hpp"
#include "base/text.hpp"
#include "core/scheduler.hpp"
#include "core/settings.hpp"
#include "io/reactor.hpp"
#include "os/clock.hpp"
#include "os/features.hpp"
#include "os/kernel_thread.hpp"
#include "os/memory.hpp"
#include "os/signal_mask.hpp"
#include "mem/malloc_cache.hpp"
#include "mem/resolver.hpp"
#include "mem/thread_block.hpp"
#include "posix/cancel.hpp"
#include "posix/fork.hpp"
#include "posix/registry.hpp"
#include "posix/signals.hpp"
#include "posix/stats.hpp"
#include "posix/thread_life.hpp"
#include "rescue/monitor.hpp"
#include "sync/generation.hpp"

extern "C" {
extern char** environ;
[[gnu::weak]] void __tsan_init();
[[gnu::weak]] void __asan_init();
[[gnu::weak]] void __msan_init();
[[gnu::weak]] void weft_library();
}

namespace weft::engine::posix {

constinit runtime_state runtime;
constinit registry threads;

namespace {

const char* option_list() noexcept {
  // getenv would do, were the environment not possibly in the making; environ is set before any constructor.
  for (char** e = environ; e != nullptr && *e != nullptr; ++e)
    if (::strncmp(*e, "WEFT_OPTIONS=", 13) == 0) return *e + 13;
  return nullptr;
}

/// Programs built with a sanitizer keep state that user-level threads would mix up. (Weak references and not dlsym: that
/// allocates when it finds nothing, and a program's malloc may call us.)
bool has_sanitizer() noexcept {
  return &__tsan_init != nullptr || &__asan_init != nullptr || &__msan_init != nullptr;
}

const char* reason_for_native() noexcept {
  if (has_sanitizer()) return "it is built with a sanitizer";
  return mem::glibc_refusal();
}

/// Starts one kernel thread of libc's and waits for its end: that turns libc into what it must be in a threaded process
/// (locks in malloc and stdio, reference counts that are atomic). Our own kernel threads are unknown to it.
int make_libc_threaded() noexcept {
  const std::uint64_t mask = os::signal_mask();
  os::set_signal_mask(~std::uint64_t{0});
  const int error = mem::find_resolver(libc.pthread_create, libc.pthread_join);
  os::set_signal_mask(mask);
  __libc_single_threaded = 0;
  return error;
}

void monitor_entry(void* raw) noexcept { static_cast<monitor*>(raw)->run(); }

/// Like a carrier, the monitor is a kernel thread without libc: libc's calls that signal all of its threads (setuid) must
/// not wait for one that blocks every signal.
int start_monitor() noexcept {
  constexpr std::size_t stack = 64 * 1024;
  const std::size_t block = os::round_up(mem::thread_block_bytes() + sizeof(monitor), os::page_size);
  auto* memory = static_cast<char*>(os::map(stack + block));
  if (memory == nullptr) return ENOMEM;
  auto* m = new (memory + stack + block - sizeof(monitor)) monitor(the_scheduler);
  const std::uintptr_t pointer = mem::thread_pointer_below(m);
  mem::build_bare_block(pointer);
  static constinit atomic<std::int32_t> monitor_tid{0};
  const std::uint64_t mask = os::signal_mask();
  os::set_signal_mask(~std::uint64_t{0});  // inherited: no handler ever runs on it
  const int error = os::start_kernel_thread(monitor_entry, m, memory + stack, pointer, monitor_tid);
  os::set_signal_mask(mask);
  if (error != 0) os::unmap(memory, stack + block);
  return error;
}

void adopt_main() noexcept {
  user_thread& main = runtime.main;
  main.kind = thread_kind::foreign;
  main.thread_pointer = arch::thread_pointer();
  main.no_preempt.set(0);
  main.alive = true;
  main.block_built = true;
  current_thread = &main;
  runtime.first = &main;
}

}  // namespace

namespace {

/// Decides, and says in `line` what people must know. Sets the stage before anything that could call us again.
void decide(text<600>& line) noexcept {
  if (runtime.now != stage::untouched) return;
  look_up_libc();
  text<400> mistake;
  if (!parse_options(option_list(), runtime.chosen, mistake)) {
    runtime.now = stage::native;
    line << "weft: WEFT_OPTIONS: " << mistake.c_str() << '\n';
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
    libc._exit(2);
  }
  // A program with the C++ library has an engine already, which reads the same options.
  if (runtime.chosen.threads == model::one_to_one || &weft_library != nullptr) {
    runtime.chosen.threads = model::one_to_one;
    runtime.now = stage::native;
    return;
  }
  sync::generation = static_cast<std::uint32_t>(os::process_id());
  os::probe();
  mem::probe_glibc(runtime.chosen.glibc_unknown);
  apply_forced_fallbacks(runtime.chosen);
  io::choose_back_end(runtime.chosen.io);
  if (const char* reason = reason_for_native()) {
    line << "weft: " << program_name() << " runs in model 1:1: " << reason << '\n';
    runtime.chosen.threads = model::one_to_one;
    runtime.now = stage::native;
    return;
  }
  adopt_main();
  runtime.now = stage::waiting;
}

}  // namespace

void touch_slow() noexcept {
  // There is one thread yet. Whoever comes here a second time was called by the first (a malloc that locks): it goes on
  // with what it asked for, which needs nothing that is decided here.
  static constinit bool deciding = false;
  if (deciding) return;
  deciding = true;
  text<600> line;
  decide(line);
  // What follows may call malloc, and a program's malloc may lock mutexes: ours.
  if (line.size() != 0) {
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  }
  static constinit atomic<bool> registered{false};
  if (runtime.now == stage::waiting && !registered.exchange(true, memory_order::relaxed))  // relaxed: there is one thread
    install_fork_handlers();
}

int start_engine_slow() noexcept {
  static constinit spinlock starting;
  locked hold(starting);
  if (runtime.now == stage::running) return 0;
  user_thread& me = self();
  if (&me != runtime.first) return EAGAIN;  // a kernel thread of libc's own: it must not become a carrier
  // Each step may fail; then this thread goes on as it is, and its next pthread_create tries again from there.
  if (const int error = make_libc_threaded(); error != 0) return error;
  install_engine_signals();
  const bool again = the_scheduler.started();  // in a forked child, or the monitor could not be started before
  int error = 0;
  if (!again) {
    mem::leave_rseq();
    error = the_scheduler.start(
        me,
        settle(runtime.chosen),
        {.retired = thread_retired,
         .arrived = signal_arrived_idle,
         .signals = look_at_signals,
         .settle = settle_thread,
         .idle_mask = mask_while_idle,
         .tidy = tidy_thread_memory});
  } else if (me.kind != thread_kind::user) {
    error = the_scheduler.start_again_in_child(me);
  }
  if (error == 0) error = start_monitor();
  if (error != 0) return error;
  if (threads.created() == 0) {
    mem::probe_malloc_cache();
    prepare_thread_memory();
    threads.add(me);
  }
  take_over_pending(me);
  runtime.now = stage::running;
  return 0;
}

bool to_deadline(clockid_t clock, const timespec* when, nanoseconds_at& deadline) noexcept {
  deadline = never;
  if (when == nullptr) return true;
  if (when->tv_nsec < 0 || when->tv_nsec >= second) return false;
  timespec now;
  if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) return false;
  ::clock_gettime(clock, &now);
  __int128 left = static_cast<__int128>(when->tv_sec - now.tv_sec) * second + (when->tv_nsec - now.tv_nsec);
  if (left < 0) left = 0;
  const nanoseconds_at base = os::now();
  deadline = left > never - base - 1 ? never - 1 : base + static_cast<nanoseconds>(left);
  return true;
}

const char* program_name() noexcept {
  // Empty until libc has been initialised, which is after the first call from some sanitizers.
  return program_invocation_short_name[0] != '\0' ? program_invocation_short_name : "the program";
}

namespace {
/// Before main, so that even a program that never calls us is told of a mistake in WEFT_OPTIONS.
[[gnu::constructor]] void at_load() noexcept { touch(); }
[[gnu::destructor]] void at_exit() noexcept { report_stats(); }
}  // namespace

}  // namespace weft::engine::posix
