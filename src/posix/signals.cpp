// SPDX-License-Identifier: BSL-1.0
#include "posix/signals.hpp"

#include <errno.h>
#include <string.h>
#include <ucontext.h>

#include "core/section.hpp"
#include "os/kernel_thread.hpp"
#include "os/signal_mask.hpp"
#include "os/syscall.hpp"
#include "posix/credentials.hpp"
#include "posix/overflow.hpp"
#include "posix/registry.hpp"
#include "posix/runtime.hpp"
#include "preempt/preempt.hpp"
#include "sync/wait.hpp"

namespace weft::posix {

namespace {

using handler = void (*)(int, siginfo_t*, void*);

struct action {
  spinlock lock;
  struct sigaction wanted = {};  ///< As the program gave it.
};
constinit action actions[_NSIG];

std::uint64_t& mask_of(void* context) noexcept {
  return *reinterpret_cast<std::uint64_t*>(&static_cast<ucontext_t*>(context)->uc_sigmask);
}
std::uint64_t bits_of(const sigset_t& set) noexcept {
  std::uint64_t bits;
  ::memcpy(&bits, &set, sizeof bits);
  return bits;
}

/// Keeps the thread from being switched away while it holds a spinlock outside sections.
class unpreempted {
 public:
  explicit unpreempted(thread* t) noexcept : t_(t) {
    if (t_ != nullptr) t_->no_preempt.raise();
  }
  ~unpreempted() {
    if (t_ != nullptr) t_->no_preempt.lower();
  }
  unpreempted(const unpreempted&) = delete;
  unpreempted& operator=(const unpreempted&) = delete;

 private:
  thread* t_;
};

bool is_fault(int signal, const siginfo_t& info) noexcept {
  switch (signal) {
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
      return info.si_code > 0;  // from the kernel, about this very instruction
    default:
      return false;
  }
}

void queue_again(int signal, siginfo_t& info) noexcept {
  const long pid = os::raw_syscall(SYS_getpid);
  if (info.si_code == SI_TKILL) {
    os::raw_syscall(SYS_rt_tgsigqueueinfo, pid, os::kernel_thread_id(), signal, os::arg(&info));
  } else {
    os::raw_syscall(SYS_rt_sigqueueinfo, pid, signal, os::arg(&info));
  }
}

void put_off(carrier& c, int signal, siginfo_t& info, void* context) noexcept {
  queue_again(signal, info);
  mask_of(context) = os::block_all;  // in force when we return
  c.kernel_mask = mask_unknown;
}

/// What the kernel calls for every signal that the program handles.
void wrapper(int signal, siginfo_t* info, void* context) noexcept {
  thread* t = current();
  if (t == nullptr) {
    if (carrier* c = current_carrier; c != nullptr && !is_fault(signal, *info)) {
      put_off(*c, signal, *info, context);
      c->idle_interrupted = true;
      the_scheduler.rouse(*c, 2);  // or keeps it from falling asleep
      return;
    }
  } else if (t->kind == thread_kind::user && t->no_preempt.raised() && !is_fault(signal, *info)) {
    put_off(*t->on, signal, *info, context);
    t->pending.fetch_or(pending_work::signals, memory_order::seq_cst);  // [pending-1] as in preempt_current
    return;
  }
  const handler_choice h = program_handler(signal);
  if (h.function != nullptr) run_program_handler(static_cast<user_thread*>(t), h, signal, info, context);
}

void preempt_signal_handler(int signal, siginfo_t* info, void* context) noexcept {
  catch_up_on_credentials();
  preempt_current(signal, info, context);
  // A program may have a use for the same signal; ours come from this process by tgkill.
  if (info->si_code != SI_TKILL) wrapper(signal, info, context);
}

/// What the kernel shall do when the program wants `a` for `signal`.
struct sigaction kernel_action(int signal, const struct sigaction& a) noexcept {
  struct sigaction k = a;
  const bool handled = a.sa_handler != SIG_DFL && a.sa_handler != SIG_IGN;
  if (signal == os::preempt_signal) {
    k = {};
    k.sa_sigaction = preempt_signal_handler;
    k.sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER;
  } else if (handles_overflow(signal)) {
    k = {};
    k.sa_sigaction = overflow_handler;
    k.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | (handled ? a.sa_flags & SA_RESTART : 0);
  } else if (handled) {
    k.sa_sigaction = wrapper;
    k.sa_flags = (a.sa_flags | SA_SIGINFO) & ~SA_ONSTACK;  // the thread's own signal stack is ours to honour
    ::sigdelset(&k.sa_mask, os::preempt_signal);
  }
  return k;
}

}  // namespace

handler_choice program_handler(int signal) noexcept {
  action& a = actions[signal];
  const unpreempted stretch(current());
  locked hold(a.lock);
  if (a.wanted.sa_handler == SIG_DFL || a.wanted.sa_handler == SIG_IGN) return {nullptr, 0};
  const handler_choice h{a.wanted.sa_sigaction, a.wanted.sa_flags};
  if ((h.flags & static_cast<int>(SA_RESETHAND)) != 0) a.wanted.sa_handler = SIG_DFL;
  return h;
}

namespace {
struct call {
  const handler_choice* h;
  int signal;
  siginfo_t* info;
  void* context;
};
void do_call(void* raw) noexcept {
  const call& c = *static_cast<call*>(raw);
  c.h->function(c.signal, c.info, c.context);
}
bool on_stack(const stack_t& s) noexcept {
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  const auto low = reinterpret_cast<std::uintptr_t>(s.ss_sp);
  return here >= low && here < low + s.ss_size;
}
}  // namespace

void run_program_handler(user_thread* me, const handler_choice& h, int signal, siginfo_t* info, void* context) noexcept {
  if (me == nullptr) return h.function(signal, info, context);
  // The kernel's mask is already the handler's; note it, so that a switch inside the handler keeps it.
  me->no_preempt.raise();
  std::uint64_t extra = (h.flags & SA_NODEFER) == 0 ? os::signal_bit(signal) : 0;
  {
    action& a = actions[signal];
    locked hold(a.lock);
    extra |= bits_of(a.wanted.sa_mask);
  }
  me->signal_mask = (mask_of(context) | extra) & ~os::never_blocked;
  if (me->on != nullptr) me->on->kernel_mask = mask_unknown;
  me->handler_restarts = (h.flags & SA_RESTART) != 0;
  ++me->handlers_run;
  me->no_preempt.lower();

  call c{&h, signal, info, context};
  const stack_t& own = me->signal_stack;
  if ((h.flags & SA_ONSTACK) != 0 && (own.ss_flags & SS_DISABLE) == 0 && !on_stack(own)) {
    arch::weft_call_on_stack(do_call, &c, static_cast<char*>(own.ss_sp) + own.ss_size);
  } else {
    do_call(&c);
  }

  // From here to the return into the kernel the kernel's mask is still the handler's: unknown to the next switch.
  me->no_preempt.raise();
  me->signal_mask = mask_of(context) & ~os::never_blocked;
  if (me->on != nullptr) me->on->kernel_mask = mask_unknown;
  me->no_preempt.lower();
}

void install_engine_signals() noexcept {
  for (int s = 1; s < _NSIG; ++s) {
    struct sigaction present;
    if (s == SIGKILL || s == SIGSTOP || libc.sigaction(s, nullptr, &present) != 0) continue;
    if (runtime.now == stage::waiting && present.sa_sigaction != wrapper &&
        present.sa_sigaction != preempt_signal_handler && present.sa_sigaction != overflow_handler)
      actions[s].wanted = present;
    const struct sigaction k = kernel_action(s, actions[s].wanted);
    if (k.sa_sigaction != present.sa_sigaction) libc.sigaction(s, &k, nullptr);
  }
}

void signals_after_fork() noexcept {
  for (action& a : actions) a.lock.reset();
}

int change_action(int signal, const struct sigaction* wanted, struct sigaction* before) noexcept {
  if (signal < 1 || signal >= _NSIG || signal == 32 || signal == 33 ||
      (wanted != nullptr && (signal == SIGKILL || signal == SIGSTOP))) {
    errno = EINVAL;
    return -1;
  }
  if (!the_scheduler.started()) return libc.sigaction(signal, wanted, before);
  user_thread& me = self();
  const section in(me);
  action& a = actions[signal];
  struct sigaction old;
  {
    locked hold(a.lock);
    old = a.wanted;
    if (wanted != nullptr) a.wanted = *wanted;
  }
  if (before != nullptr) *before = old;
  if (wanted == nullptr) return 0;
  const struct sigaction k = kernel_action(signal, *wanted);
  return libc.sigaction(signal, &k, nullptr);
}

bool interrupt_somebody() noexcept {
  std::uint64_t waiting = 0;
  os::raw_syscall(SYS_rt_sigpending, os::arg(&waiting), sizeof waiting);
  thread* ready = nullptr;
  bool found = false;
  const auto try_one = [&](user_thread& t) {
    ticket wait{};
    if ((waiting & ~t.signal_mask) == 0 || !t.wait.current_ticket(wait)) return false;
    const claim_result r = t.wait.claim(wait, wake_reason::interrupt);
    if (r == claim_result::parked) ready = &t;
    found = r != claim_result::lost;
    return found;
  };
  // main first: it is where people expect their handlers to run.
  if (!try_one(*runtime.first)) threads.find(try_one);
  if (ready != nullptr) the_scheduler.make_ready(*ready);
  return found;
}

std::uint64_t mask_while_idle() noexcept {
  std::uint64_t all = runtime.first->signal_mask;
  if (all == 0) return 0;
  threads.find([&](user_thread& t) {
    all &= t.signal_mask;
    return all == 0;
  });
  return all;
}

void deliver_directed(thread& raw) noexcept {
  auto& me = static_cast<user_thread&>(raw);
  // What the thread blocks stays with it until it opens its mask (change_mask looks).
  // [directed-1] acquire: pairs with the release in pthread_kill.
  std::uint64_t now = me.directed.fetch_and(me.signal_mask, memory_order::acq_rel) & ~me.signal_mask;
  for (int s = 1; now != 0; ++s, now >>= 1)
    if ((now & 1) != 0) os::signal_kernel_thread(os::kernel_thread_id(), s);
}

}  // namespace weft::posix
