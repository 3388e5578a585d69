// SPDX-License-Identifier: BSL-1.0
#include "api/runtime.hpp"

#include <cxxabi.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <system_error>

#include "arch/thread_pointer.hpp"
#include "base/text.hpp"
#include "core/settings.hpp"
#include "core/thread_memory.hpp"
#include "api/deadlock.hpp"
#include "api/inheritance.hpp"
#include "api/runtimes.hpp"
#include "io/reactor.hpp"
#include "mem/malloc_cache.hpp"
#include "mem/resolver.hpp"
#include "mem/thread_block.hpp"
#include "os/clock.hpp"
#include "os/features.hpp"
#include "os/futex.hpp"
#include "os/kernel_thread.hpp"
#include "os/signal_mask.hpp"
#include "preempt/preempt.hpp"
#include "rescue/monitor.hpp"
#include "sync/generation.hpp"
#include "weft/runtime.hpp"

namespace weft::engine::api {

namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

constinit atomic<stage> now{stage::untouched};
constinit pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
constinit options chosen;
constinit scheduler_options settled;
alignas(64) unsigned char main_memory[sizeof(strand)];

exception_state* exceptions_of_caller() noexcept {
  return reinterpret_cast<exception_state*>(abi::__cxa_get_globals());
}

void read_options() noexcept {
  text<400> mistake;
  if (!parse_options(::getenv("WEFT_OPTIONS"), chosen, mistake)) {
    text<600> line;
    line << "weft: WEFT_OPTIONS: " << mistake.c_str() << '\n';
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
    ::_exit(2);
  }
  apply_forced_fallbacks(chosen);
  io::choose_back_end(chosen.io);
  settled = settle(chosen);
}

void* run_monitor(void* raw) {
  static_cast<monitor*>(raw)->run();
  return nullptr;
}

}  // namespace

scheduler_hooks hooks_beside() noexcept {
  return {.retired = strand_retired, .exceptions = exceptions_of_caller};
}

int start_monitor(monitor& m) noexcept {
  pthread_t handle;
  const std::uint64_t mask = os::signal_mask();
  os::set_signal_mask(~std::uint64_t{0});  // inherited: no handler ever runs on it
  const int error = ::pthread_create(&handle, nullptr, run_monitor, &m);
  os::set_signal_mask(mask);
  if (error == 0) ::pthread_detach(handle);
  return error;
}

namespace {

int start_first_monitor() noexcept {
  alignas(monitor) static unsigned char memory[sizeof(monitor)];
  return start_monitor(*new (memory) monitor(the_scheduler));
}

/// A thread that is preempted in malloc holds its lock until it runs again. Others block in the kernel for it, one carrier each; and a new
/// carrier cannot be made, since that takes malloc, too (os/kernel_thread.cpp). So nobody is preempted in libc, in the loader, and in
/// whatever library malloc comes from.
void spare_libc() noexcept {
  struct search {
    std::uintptr_t malloc, libc, loader;
  } wanted{reinterpret_cast<std::uintptr_t>(&::malloc), reinterpret_cast<std::uintptr_t>(&::gnu_get_libc_version), ::getauxval(AT_BASE)};
  ::dl_iterate_phdr(
      [](dl_phdr_info* module, std::size_t, void* raw) {
        const auto& w = *static_cast<search*>(raw);
        if (module->dlpi_name == nullptr || module->dlpi_name[0] == '\0') return 0;  // the program itself is to be preempted
        for (int i = 0; i < module->dlpi_phnum; ++i) {
          const auto& part = module->dlpi_phdr[i];
          if (part.p_type != PT_LOAD || (part.p_flags & PF_X) == 0) continue;
          const std::uintptr_t low = module->dlpi_addr + part.p_vaddr, high = low + part.p_memsz;
          const auto holds = [&](std::uintptr_t at) { return at >= low && at < high; };
          if (module->dlpi_addr == w.loader || holds(w.malloc) || holds(w.libc)) spare_code(low, high);
        }
        return 0;
      },
      &wanted);
}

/// The calling kernel thread becomes the first carrier, and `me` the thread on it.
int start_engine(strand& me) noexcept {
  if (!sanitized) mem::leave_rseq();
  me.no_preempt.set(0);
  me.kind = thread_kind::foreign;
  me.started_here = false;
  if (me.number == 0) me.number = new_number();
  me.alive.store(true, memory_order::relaxed);  // relaxed: see strand
  me.block_built = true;
  scheduler_hooks hooks = hooks_beside();
  hooks.tidy = trim_thread_memory<strand>;
  // A sanitizer's own kernel threads would keep it from ever saying something; and it looks at records while they are made, which ThreadSanitizer reports.
  hooks.quiet = chosen.deadlock != options::deadlock_choice::off && !sanitized ? look_for_deadlock : nullptr;
  current_thread = &me;
  int error = the_scheduler.started() ? the_scheduler.start_again_in_child(me) : the_scheduler.start(me, settled, hooks);
  if (error == 0) error = start_first_monitor();
  return error;
}

/// Where the runtime was started by another kernel thread than main's: that one must not become a carrier, it may end.
void* host(void* raw) noexcept {
  auto& started = *static_cast<atomic<std::uint32_t>*>(raw);
  // Leak checkers find it here; on its own stack they do not always. Nobody reads it: without `used` it would not be written, either.
  [[gnu::used]] static constinit strand* hosted = nullptr;
  hosted = new strand;
  strand& me = *hosted;
  const int error = start_engine(me);
  started.store(error == 0 ? 1 : 2, memory_order::release);  // [hosted-1] release: whoever waits for the start finds the engine as it was started, see below
  os::futex_wake(started, 1);
  if (error != 0) return nullptr;
  me.alive.store(false, memory_order::relaxed);  // relaxed: see strand; it is nobody's thread
  for (;;) {
    const section in(me);
    (void)me.on->home->park(me, me.wait.prepare());
  }
}

int start_on_host() noexcept {
  static constinit atomic<std::uint32_t> started{0};
  started.store(0, memory_order::relaxed);  // relaxed: pthread_create orders
  pthread_t handle;
  if (const int error = ::pthread_create(&handle, nullptr, host, &started); error != 0) return error;
  ::pthread_detach(handle);
  while (started.load(memory_order::acquire) == 0) os::futex_wait(started, 0);  // [hosted-1] acquire
  return started.load(memory_order::relaxed) == 1 ? 0 : EAGAIN;  // relaxed: seen above
}

/// In a forked child only the caller exists. The engine begins anew when it is needed again.
void begin_anew_in_child() noexcept {
  starting = PTHREAD_MUTEX_INITIALIZER;
  if (now.load(memory_order::relaxed) == stage::untouched) return;  // relaxed: the child has one thread
  sync::generation = static_cast<std::uint32_t>(os::process_id());
  os::begin_anew_in_child();
  io::begin_anew();
  mem::begin_anew();
  mem::stacks.begin_anew();
  begin_thread_ids();
  begin_strands_anew();
  forget_side_schedulers();
  if (thread* me = current()) {
    static_cast<strand*>(me)->in = nullptr;
    begin_inheritance_anew(static_cast<strand&>(*me));
  }
  if (thread* me = current(); me != nullptr && me->kind == thread_kind::user) {
    // libc's fork has listed the caller's block among its own stacks; main's is one.
    if (me != main_if_adopted() && me->on->thread_pointer != arch::thread_pointer()) mem::leave_list_of_libc(arch::thread_pointer());
    me->kind = thread_kind::foreign;
    me->no_preempt.set(0);
    me->on = nullptr;
    me->pending.store(0, memory_order::relaxed);  // relaxed: the child has one thread
    me->timer = nullptr;
  }
  now.store(stage::untouched, memory_order::relaxed);  // relaxed: as above
}

/// From when the library is loaded: a fork waits for a start that is under way, for a child could not go on with half of it.
[[gnu::constructor]] void watch_forks() noexcept {
  ::pthread_atfork([] { ::pthread_mutex_lock(&starting); }, [] { ::pthread_mutex_unlock(&starting); }, begin_anew_in_child);
}

stage start_now() noexcept {
  sync::generation = static_cast<std::uint32_t>(os::process_id());
  const bool again = the_scheduler.started();
  if (!again) {
    os::probe();
    read_options();
    mem::probe_glibc(chosen.glibc_unknown);
    begin_thread_ids();
    watch_ends_of_kernel_threads();
    if (chosen.threads == model::one_to_one || (mem::glibc_refusal() != nullptr && !sanitized)) return stage::kernel_threads;
    (void)mem::find_resolver(::pthread_create, ::pthread_join);
    mem::probe_malloc_cache();
    spare_libc();
    if (install_preemption() != 0) return stage::kernel_threads;
  }
  thread* me = current();
  const bool on_main = os::kernel_thread_id() == os::process_id();
  int error = 0;
  if (on_main) {
    error = start_engine(me != nullptr ? static_cast<strand&>(*me) : *new (main_memory) strand);
  } else {
    error = start_on_host();
  }
  return error == 0 ? stage::running : stage::kernel_threads;
}

}  // namespace

strand* main_if_adopted() noexcept {
  auto* main = reinterpret_cast<strand*>(main_memory);
  return main->alive.load(memory_order::relaxed) ? main : nullptr;  // relaxed: see strand
}
bool own_storage_works() noexcept { return !sanitized; }
const options& chosen_options() noexcept { return chosen; }

stage start_runtime() noexcept {
  const stage seen = now.load(memory_order::acquire);  // [started-1]
  if (seen != stage::untouched) [[likely]] return seen;
  ::pthread_mutex_lock(&starting);
  if (now.load(memory_order::relaxed) == stage::untouched) now.store(start_now(), memory_order::release);  // [started-1] release: who finds it started finds all of the engine. relaxed: under the lock
  ::pthread_mutex_unlock(&starting);
  return now.load(memory_order::relaxed);  // relaxed: seen above
}

strand& self_at_first() noexcept {
  (void)start_runtime();
  if (thread* t = current()) return static_cast<strand&>(*t);
  return adopt_kernel_thread();
}

void misuse(const char* what, const char* detail) noexcept {
  text<400> line;
  line << "weft: " << what << detail << '\n';
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  ::abort();
}

void throw_start_failed(int error) { throw std::system_error(error, std::generic_category(), "weft: a thread cannot be started"); }

}  // namespace weft::engine::api

/// The preloaded library looks whether it is there, and stands aside.
extern "C" [[gnu::visibility("default")]] void weft_library() {}

namespace weft {

using namespace weft::engine;

std::uint32_t detail::parallelism() noexcept {
  return api::start_runtime() == api::stage::running ? the_scheduler.slot_count() : api::chosen_options().parallelism;
}

}  // namespace weft
