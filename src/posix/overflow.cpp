// SPDX-License-Identifier: BSL-1.0
#include "posix/overflow.hpp"

#include <sys/resource.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/text.hpp"
#include "core/section.hpp"
#include "mem/stack_pool.hpp"
#include "os/memory.hpp"
#include "posix/runtime.hpp"
#include "posix/signals.hpp"

namespace weft::engine::posix {

namespace {

/// Without a guard page of ours (main, a stack of the program's own): a fault just below the stack pointer.
bool near_stack_pointer(const void* address, void* context) noexcept {
  const auto sp = static_cast<std::uintptr_t>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RSP]);
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  return at + 64 * 1024 > sp && at < sp + os::page_size;
}

bool overflowed(const user_thread& me, const void* address, void* context) noexcept {
  if (mem::stacks.guard_hit(address) != nullptr) return true;
  const auto* at = static_cast<const char*>(address);
  if (me.wider_guard != 0 && at < me.stack_low && at >= me.stack_low - me.wider_guard) return true;
  if (&me != &runtime.main) return false;
  rlimit limit;
  return ::getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && near_stack_pointer(address, context);
}

void report(const user_thread& me, const void* address) noexcept {
  text<400> line;
  line << "weft: thread " << me.number;
  if (me.name[0] != '\0') line << " '" << me.name << '\'';
  if (&me == &runtime.main) {
    rlimit limit = {};
    ::getrlimit(RLIMIT_STACK, &limit);
    line << " (main) overflowed its stack of " << limit.rlim_cur / 1024 << " KiB (fault at ";
    line.hex(reinterpret_cast<std::uintptr_t>(address)) << "); raise it with `ulimit -s`\n";
  } else {
    line << " overflowed its stack of " << me.stack_bytes / 1024 << " KiB (fault at ";
    line.hex(reinterpret_cast<std::uintptr_t>(address))
        << "); raise it with pthread_attr_setstacksize, `weft run --stack-size=BYTES` or `ulimit -s`\n";
  }
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

void overflow_handler(int signal, siginfo_t* info, void* context) noexcept {
  if (info->si_code <= 0) return keep_for_later(signal, *info);
  auto* me = static_cast<user_thread*>(current());
  if (me != nullptr && overflowed(*me, info->si_addr, context)) report(*me, info->si_addr);
  if (me != nullptr) me->no_preempt.raise();
  const handler_choice h = choose_handler(signal);
  if (me != nullptr) me->no_preempt.lower();
  if (h.function == nullptr) {
    // As without us: the same instruction faults again, with the default action.
    struct sigaction usual = {};
    usual.sa_handler = SIG_DFL;
    libc.sigaction(signal, &usual, nullptr);
    return;
  }
  if (me == nullptr) return h.function(signal, info, context);
  // We stand on the carrier's signal stack: the thread must stay on this carrier until the handler is through.
  // A handler that leaves by siglongjmp is met in signal_calls.cpp (before_jump).
  me->no_preempt.raise();
  h.function(signal, info, context);
  me->no_preempt.lower();
}

}  // namespace weft::engine::posix
