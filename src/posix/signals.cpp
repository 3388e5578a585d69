// SPDX-License-Identifier: BSL-1.0
#include "posix/signals.hpp"

#include <errno.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "core/section.hpp"
#include "os/fence.hpp"
#include "os/kernel_thread.hpp"
#include "os/signal_mask.hpp"
#include "os/syscall.hpp"
#include "posix/credentials.hpp"
#include "posix/runtime.hpp"
#include "posix/signal_routing.hpp"
#include "preempt/preempt.hpp"
#include "sync/wait.hpp"

namespace weft::engine::posix {

namespace {

std::uint64_t& mask_of(void* context) noexcept {
  return *reinterpret_cast<std::uint64_t*>(&static_cast<ucontext_t*>(context)->uc_sigmask);
}

bool is_fault(int signal, const siginfo_t& info) noexcept {
  switch (signal) {
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
    case SIGSYS:
      return info.si_code > 0;  // from the kernel, about this very instruction
    default:
      return false;
  }
}

/// Was it meant for the kernel thread that it reached? libc's abort and raise, and what a write to a broken pipe raises,
/// which looks like a signal to oneself (those that the program sends itself do not come this way).
bool is_directed(int signal, const siginfo_t& info) noexcept {
  return info.si_code == SI_TKILL || (signal == SIGPIPE && info.si_code == SI_USER && info.si_pid == ::getpid());
}

void post(user_thread* me, int signal, const siginfo_t& info) noexcept {
  // A real-time signal for which there is no room is lost; its sender is gone.
  if (me != nullptr && is_directed(signal, info)) {
    (void)me->inbox.post(signal, info);
  } else {
    (void)post_to_process(signal, info);
  }
}

/// The current stretch must not be disturbed: its end, or whoever comes next on this carrier, looks.
void mark_section(user_thread& me) noexcept {
  me.pending.fetch_or(pending_work::signals, memory_order::seq_cst);  // [pending-1] as in preempt_current
  if (me.kind == thread_kind::foreign) me.foreign_wake.fetch_or(thread::poked, memory_order::relaxed);  // relaxed: ends our own sleep, or keeps us from one
  if (me.on != nullptr) me.on->arrived.store(true, memory_order::relaxed);  // relaxed: same kernel thread
}

/// Does a system call that the kernel is about to restart after the handler return EINTR instead, as it does when a handler
/// has no SA_RESTART? Only calls that may block and that the kernel restarts; an interrupted one stands before its
/// instruction again, with its number in rax.
bool may_be_interrupted(long number) noexcept {
  switch (number) {
    case SYS_read:
    case SYS_write:
    case SYS_readv:
    case SYS_writev:
    case SYS_pread64:
    case SYS_pwrite64:
    case SYS_preadv:
    case SYS_pwritev:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendmmsg:
    case SYS_accept:
    case SYS_accept4:
    case SYS_connect:
    case SYS_wait4:
    case SYS_waitid:
    case SYS_flock:
    case SYS_fcntl:
    case SYS_ioctl:
    case SYS_open:
    case SYS_openat:
    case SYS_futex:
    case SYS_mq_timedsend:
    case SYS_mq_timedreceive:
    case SYS_sendfile:
    case SYS_splice:
    case SYS_getrandom:
      return true;
    default:
      return false;
  }
}
void end_system_call(void* context) noexcept {
  greg_t* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const auto* code = reinterpret_cast<const unsigned char*>(registers[REG_RIP]);
  if (code == nullptr || !may_be_interrupted(registers[REG_RAX]) || code[0] != 0x0f || code[1] != 0x05) return;
  registers[REG_RIP] += 2;
  registers[REG_RAX] = -EINTR;
}

/// The calling thread stands in a signal's frame, outside sections: what there is for it runs here.
void look_from_frame(user_thread& me, void* context) noexcept {
  const std::uint32_t seen = me.handlers_run;
  void* outer = me.signal_frame;
  me.signal_frame = context;
  {
    const section in(me);
    me.pending.fetch_or(pending_work::signals, memory_order::seq_cst);  // [pending-1]
  }
  me.signal_frame = outer;
  if (interrupted_for_good(me, seen)) end_system_call(context);
  // The kernel sets this mask on our return, on whichever carrier that is; to the next switch the mask is unknown.
  const section in(me);
  const std::uint64_t kernels = me.signal_mask & ~os::signal_bit(os::preempt_signal);
  if (mask_of(context) == kernels) return;
  mask_of(context) = kernels;
  if (me.on != nullptr) me.on->kernel_mask = mask_unknown;
}

/// Makes the kernel's mask the thread's, where it has to be.
void adopt_mask(user_thread& me) noexcept {
  me.no_preempt.raise();
  if (me.on == nullptr) {
    os::set_thread_mask(me.signal_mask);
  } else if (me.on->kernel_mask != me.signal_mask) {
    me.on->kernel_mask = me.signal_mask;
    os::set_thread_mask(me.signal_mask);
  }
  me.no_preempt.lower();
}

/// Signals that somebody reads from a signalfd: the kernel must keep them while every thread blocks them. A carrier that
/// went to sleep before it knew gives back the first one that it gets.
constinit atomic<std::uint64_t> left_to_kernel{0};

void return_to_kernel(int signal, siginfo_t& info, void* context) noexcept {
  mask_of(context) |= os::signal_bit(signal);
  current_carrier->kernel_mask = mask_unknown;
  std::uint64_t bit = os::signal_bit(signal);
  os::raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, os::arg(&bit), 0, sizeof bit);
  (void)give_to_kernel(info);
}

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

constexpr int disarm = static_cast<int>(1u << 31);  // SS_AUTODISARM

bool stands_on(const stack_t& s) noexcept {
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  const auto low = reinterpret_cast<std::uintptr_t>(s.ss_sp);
  return (s.ss_flags & disarm) == 0 && here >= low && here < low + s.ss_size;
}

void call_handler(user_thread& me, const handler_choice& h, int signal, siginfo_t* info, void* context) noexcept {
  call c{&h, signal, info, context};
  const stack_t own = me.signal_stack;
  if ((h.flags & SA_ONSTACK) == 0 || (own.ss_flags & SS_DISABLE) != 0 || stands_on(own)) return do_call(&c);
  if ((own.ss_flags & disarm) != 0) me.signal_stack = {.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
  arch::weft_call_on_stack(do_call, &c, static_cast<char*>(own.ss_sp) + own.ss_size);
  if ((own.ss_flags & disarm) != 0) me.signal_stack = own;
}

/// A section whose end does not attend: what comes of it is looked at right after. (Else a storm of signals would nest.)
class quiet_section {
 public:
  explicit quiet_section(user_thread& me) noexcept : me_(me) {
    me_.no_preempt.raise();
    if (me_.kind != thread_kind::user) return;
    os::light_fence();  // as in section
    if (!me_.on->claim.confirm()) regain(me_);
  }
  ~quiet_section() { me_.no_preempt.lower(); }
  quiet_section(const quiet_section&) = delete;
  quiet_section& operator=(const quiet_section&) = delete;

 private:
  user_thread& me_;
};

/// [no_preempt raised] What to deliver next, and how. False: nothing.
struct occurrence {
  siginfo_t info;
  handler_choice handler;
};
bool choose_next(user_thread& me, occurrence& next) noexcept {
  // waits_for: sigwait takes those, even if the program forgot to block them.
  while (signal_note* note = take_signal(me, ~(me.signal_mask | me.waits_for.load(memory_order::relaxed)))) {  // relaxed: its own
    next.info = note->info;
    settle_signal(*note);
    next.handler = choose_handler(next.info.si_signo);
    if (next.handler.function != nullptr) return true;
    act_by_default(next.info.si_signo);
  }
  return false;
}

/// [no_preempt raised once] Runs one handler; returns raised.
void run_one(user_thread& me, occurrence& o) noexcept {
  void* frame = me.signal_frame;
  std::uint64_t after = me.has_mask_after ? me.mask_after : me.signal_mask;
  me.has_mask_after = false;
  me.signal_frame = nullptr;  // taken: a handler within this one has a frame of its own, or none
  me.signal_mask = (me.signal_mask | o.handler.mask) & ~os::unblockable;
  ++me.handlers_run;
  const bool kernel_thread = me.on == nullptr;
  me.no_preempt.lower();
  if (kernel_thread) adopt_mask(me);
  if (frame != nullptr) {
    mask_of(frame) = after;
    call_handler(me, o.handler, o.info.si_signo, &o.info, frame);
    after = mask_of(frame) & ~os::unblockable;
  } else {
    ucontext_t here;
    ::getcontext(&here);
    here.uc_stack = me.signal_stack;
    mask_of(&here) = after;
    call_handler(me, o.handler, o.info.si_signo, &o.info, &here);
    after = mask_of(&here) & ~os::unblockable;
  }
  me.no_preempt.raise();
  me.signal_frame = frame;
  me.signal_mask = after;
  me.no_preempt.lower();
  if (frame == nullptr || me.on == nullptr) adopt_mask(me);
  me.no_preempt.raise();
}

/// r2, outside sections, by the thread itself.
void deliver(user_thread& me) noexcept {
  const int saved = errno;
  bool restarts = true, any = false;
  for (;;) {
    me.no_preempt.raise();
    // r2. What comes from here on sets the bit again.
    me.pending.fetch_and(~pending_work::signals, memory_order::seq_cst);  // [pending-1]
    occurrence next;
    const bool found = choose_next(me, next);
    if (found) {
      run_one(me, next);
      any = true;
      restarts = restarts && (next.handler.flags & SA_RESTART) != 0;
    }
    me.no_preempt.lower();
    if (!found && (me.pending.load(memory_order::relaxed) & pending_work::signals) == 0) break;  // relaxed: as at r1
  }
  if (any) me.handler_restarts = restarts;
  errno = saved;
}

}  // namespace

void on_signal(int signal, siginfo_t* info, void* context) noexcept {
  auto* me = static_cast<user_thread*>(current());
  if (is_fault(signal, *info)) {
    if (me != nullptr) me->no_preempt.raise();
    const handler_choice h = choose_handler(signal);
    if (h.function == nullptr) act_by_default(signal);
    if (me != nullptr) me->no_preempt.lower();
    if (h.function != nullptr) run_fault_handler(me, h, signal, info, context);
    return;
  }
  if (me == nullptr) {
    if (carrier* c = current_carrier; c != nullptr) {
      if ((left_to_kernel.load(memory_order::relaxed) & os::signal_bit(signal)) != 0)  // relaxed: a hint, see there
        return return_to_kernel(signal, *info, context);
      post(nullptr, signal, *info);
      c->arrived.store(true, memory_order::relaxed);  // relaxed: same kernel thread
      the_scheduler.rouse(*c, 2);                     // or keeps it from falling asleep
      return;
    }
    me = &self();
  }
  post(me, signal, *info);
  if (me->no_preempt.raised()) return mark_section(*me);
  look_from_frame(*me, context);
}

void on_preempt_signal(int signal, siginfo_t* info, void* context) noexcept {
  catch_up_on_credentials();
  // A program may have a use for the same signal; ours come from this process by tgkill.
  if (info->si_code != SI_TKILL) return on_signal(signal, info, context);
  auto* me = static_cast<user_thread*>(current());
  // Somebody who has a signal for this thread has marked it before (signals.hpp, s3).
  const bool for_signals = me != nullptr && (me->pending.load(memory_order::relaxed) & pending_work::signals) != 0;  // relaxed: as at r5
  if (!for_signals) return preempt_current(signal, info, context);
  if (!me->no_preempt.raised()) look_from_frame(*me, context);
}

void signal_arrived_idle() noexcept { route_signals(nullptr); }

void look_at_signals(thread& t) noexcept {
  auto& me = static_cast<user_thread&>(t);
  {
    const quiet_section in(me);
    route_signals(&me);
  }
  deliver(me);
}

/// A carrier that sleeps takes anything else: signals that nobody wants wait in the process's inbox.
std::uint64_t mask_while_idle() noexcept { return left_to_kernel.load(memory_order::relaxed); }  // relaxed: a hint

int give_to_kernel(siginfo_t info) noexcept {
  const long process = os::raw_syscall(SYS_getpid);
  long result = os::raw_syscall(SYS_rt_sigqueueinfo, process, info.si_signo, os::arg(&info));
  if (result == -EPERM) {  // a kernel thread other than the first may not say that kill or the kernel sent it
    info.si_code = SI_QUEUE;
    result = os::raw_syscall(SYS_rt_sigqueueinfo, process, info.si_signo, os::arg(&info));
  }
  return static_cast<int>(-result);
}

void leave_to_kernel(std::uint64_t which) noexcept {
  left_to_kernel.fetch_or(which & ~os::never_blocked, memory_order::relaxed);  // relaxed: a hint
}

void run_fault_handler(user_thread* me, const handler_choice& h, int signal, siginfo_t* info, void* context) noexcept {
  if (me == nullptr) return h.function(signal, info, context);
  const std::uint64_t before = me->signal_mask;
  me->signal_mask = (before | h.mask) & ~os::unblockable;
  mask_of(context) = before;
  call_handler(*me, h, signal, info, context);
  me->signal_mask = mask_of(context) & ~os::unblockable;
  mask_of(context) = me->signal_mask & ~os::signal_bit(os::preempt_signal);
  me->no_preempt.raise();
  if (me->on != nullptr) me->on->kernel_mask = mask_unknown;
  me->no_preempt.lower();
}

void keep_for_later(int signal, const siginfo_t& info) noexcept {
  auto* me = static_cast<user_thread*>(current());
  carrier* c = me != nullptr ? me->on : current_carrier;
  post(me, signal, info);
  if (me == nullptr) {
    if (c == nullptr) return;
    c->arrived.store(true, memory_order::relaxed);  // relaxed: as in on_signal
    the_scheduler.rouse(*c, 2);
    return;
  }
  mark_section(*me);
  if (me->no_preempt.raised()) return;
  // Not on this stack: as soon as the handler has returned. The signal waits until then, the return opens the mask.
  std::uint64_t bit = os::signal_bit(os::preempt_signal);
  os::raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, os::arg(&bit), 0, sizeof bit);
  os::signal_kernel_thread(os::kernel_thread_id(), os::preempt_signal);
}

void set_mask(user_thread& me, std::uint64_t mask) noexcept {
  mask &= ~os::unblockable;
  cover_signals(mask);
  const section in(me);
  const std::uint64_t old = me.signal_mask;
  me.signal_mask = mask;
  if (me.on == nullptr) {
    os::set_thread_mask(mask);
  } else if (me.on->kernel_mask != mask) {
    me.on->kernel_mask = mask;
    os::set_thread_mask(mask);
  }
  if ((mask & ~old) != 0) give_back_signals(me, mask);
  if ((old & ~mask) != 0) me.pending.fetch_or(pending_work::signals, memory_order::seq_cst);  // [inbox-1] the mask, then r2
}

void wait_for_handler(user_thread& me, std::uint64_t mask) noexcept {
  mask &= ~os::unblockable;
  cover_signals(mask);
  const std::uint32_t seen = me.handlers_run;
  me.no_preempt.raise();
  me.mask_after = me.signal_mask;
  me.has_mask_after = true;
  me.signal_mask = mask;
  me.no_preempt.lower();
  for (;;) {
    {
      const section in(me);
      me.pending.fetch_or(pending_work::signals, memory_order::seq_cst);  // [inbox-1] as in set_mask: look before we wait
    }
    if (me.handlers_run != seen) return;
    if (me.on == nullptr) {  // not ours: the kernel holds what its kernel thread blocks
      os::raw_syscall(SYS_rt_sigsuspend, os::arg(&mask), sizeof mask);
      continue;
    }
    const section in(me);
    const ticket t = me.wait.prepare();
    sync::park(me, t);
  }
}

void signals_after_fork(user_thread& me) noexcept {
  actions_after_fork();
  routing_after_fork();
  me.inbox.clear();
  me.waits_for.store(0, memory_order::relaxed);  // relaxed: the child has one thread
  os::set_thread_mask(me.signal_mask);
}

void take_over_pending(user_thread& me) noexcept {
  for (;;) {
    const std::uint64_t ours = os::block_all & ~left_to_kernel.load(memory_order::relaxed);  // relaxed: a hint, see there
    constexpr timespec at_once{};
    siginfo_t info;
    const long signal = os::raw_syscall(SYS_rt_sigtimedwait, os::arg(&ours), os::arg(&info), os::arg(&at_once), sizeof ours);
    if (signal < 0) return;
    post(&me, static_cast<int>(signal), info);
  }
}

void leave_signals(user_thread& me) noexcept {
  give_back_signals(me, ~std::uint64_t{0});
  me.inbox.clear();
}

}  // namespace weft::engine::posix
