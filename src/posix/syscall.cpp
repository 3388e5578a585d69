// SPDX-License-Identifier: BSL-1.0
// syscall(): what a program asks of the kernel by number, where the kernel would answer for the carrier instead of the
// thread. Waiting on a futex parks; ids and signals by id are the thread's; everything else passes through untouched.
//
// Futexes. Waiters of ours are in sync/futex_table. Kernel threads that Weft did not make, and code with system calls of
// its own, wait in the kernel on the same words: so a wake-up that finds fewer waiters than asked for goes on to the kernel.
// A futex without FUTEX_PRIVATE_FLAG belongs to every process that maps the word. If nobody else can, because the memory
// is private, it is served like a private one; otherwise the thread gives its slot away and waits in the kernel.
// Futexes with priority inheritance are in pi_futex; those that other processes see are the kernel's, for a thread that is
// bound to its kernel thread from then on.
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

#include "core/section.hpp"
#include "os/mapping.hpp"
#include "os/syscall.hpp"
#include "posix/binding.hpp"
#include "posix/blocking.hpp"
#include "posix/exported.hpp"
#include "posix/fork.hpp"
#include "posix/ids.hpp"
#include "posix/pi_futex.hpp"
#include "posix/runtime.hpp"
#include "posix/signals.hpp"
#include "posix/thread_life.hpp"
#include "sync/futex_table.hpp"

namespace weft::engine::posix {

namespace {

constexpr int match_any = static_cast<int>(FUTEX_BITSET_MATCH_ANY);

struct futex_call {
  sync::futex_word* word;
  int operation;  ///< With its flags.
  std::uint32_t value;
  long fourth;    ///< A timeout or a second count.
  sync::futex_word* second;
  std::uint32_t third_value;

  [[nodiscard]] int command() const noexcept { return operation & FUTEX_CMD_MASK; }
  [[nodiscard]] bool is_private() const noexcept { return (operation & FUTEX_PRIVATE_FLAG) != 0; }
  [[nodiscard]] long in_kernel() const noexcept {
    return os::raw_syscall(SYS_futex, os::arg(word), operation, value, fourth, os::arg(second), third_value);
  }
};

/// The kernel refuses what is no word of the program's; for that the call goes there.
bool usable(const sync::futex_word* word) noexcept {
  const auto at = reinterpret_cast<std::uintptr_t>(word);
  return at % sizeof(std::uint32_t) == 0 && at >= 4096 && at < std::uintptr_t{1} << 47;
}

/// False: the kernel would refuse it.
bool deadline_of(const futex_call& c, nanoseconds_at& deadline) noexcept {
  const auto* when = reinterpret_cast<const timespec*>(c.fourth);
  deadline = never;
  if (when == nullptr) return true;
  if (when->tv_sec < 0 || when->tv_nsec < 0 || when->tv_nsec >= second) return false;
  if (c.command() == FUTEX_LOCK_PI) return to_deadline(CLOCK_REALTIME, when, deadline);
  if (c.command() != FUTEX_WAIT)
    return to_deadline((c.operation & FUTEX_CLOCK_REALTIME) != 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC, when, deadline);
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);  // the kernel measures a relative time by this clock whatever is asked for
  timespec end{now.tv_sec, now.tv_nsec + when->tv_nsec};
  if (end.tv_nsec >= second) {
    end.tv_nsec -= second;
    ++end.tv_sec;
  }
  if (__builtin_add_overflow(end.tv_sec, when->tv_sec, &end.tv_sec)) return true;
  return to_deadline(CLOCK_MONOTONIC, &end, deadline);
}

/// In the kernel, with the slot given away.
long blocked_in_kernel(const futex_call& c) noexcept {
  return while_blocking([&] { return c.in_kernel(); });
}

long futex_wait(const futex_call& c) noexcept {
  user_thread& me = self();
  if (me.kind != thread_kind::user) return c.in_kernel();
  const std::uint32_t bits = c.command() == FUTEX_WAIT_BITSET ? c.third_value : sync::futex_table::any;
  nanoseconds_at deadline = never;
  if (bits == 0 || !deadline_of(c, deadline)) return -EINVAL;
  if (!c.is_private()) {
    // Only a thread that will really wait pays for the question.
    if (c.word->load(memory_order::relaxed) != c.value) return -EAGAIN;  // relaxed: that it differed is all that is said
    if (!os::is_private_memory(c.word)) return blocked_in_kernel(c);
  }
  const std::uint32_t handlers = me.handlers_run;
  for (;;) {
    int error;
    {
      const section in(me);
      error = sync::futexes.wait(me, *c.word, c.value, bits, deadline);
    }
    if (error != EINTR) return -error;
    // As in the kernel: a wait with a timeout is never restarted after a handler.
    if (deadline == never ? interrupted_for_good(me, handlers) : me.handlers_run != handlers) return -EINTR;
  }
}

/// The kernel takes 0 for 1.
int count_of(long count) noexcept {
  const int n = static_cast<int>(count);
  return n > 0 ? n : 1;
}

/// What is left of a wake-up, for those who wait in the kernel. Returns how many there were.
int wake_in_kernel(const futex_call& c, sync::futex_word* word, int most, int bits) noexcept {
  if (most <= 0) return 0;
  const int operation = FUTEX_WAKE_BITSET | (c.operation & FUTEX_PRIVATE_FLAG);
  const long woken = os::raw_syscall(SYS_futex, os::arg(word), operation, most, 0, 0, bits);
  return woken > 0 ? static_cast<int>(woken) : 0;
}

long futex_wake(const futex_call& c) noexcept {
  const int bits = c.command() == FUTEX_WAKE_BITSET ? static_cast<int>(c.third_value) : match_any;
  if (bits == 0) return -EINVAL;
  const int most = count_of(c.value);
  int woken;
  {
    const section in(self());
    woken = sync::futexes.wake(*c.word, most, static_cast<std::uint32_t>(bits));
  }
  return woken + wake_in_kernel(c, c.word, most - woken, bits);
}

long futex_requeue(const futex_call& c) noexcept {
  const int wake = static_cast<int>(c.value), move = static_cast<int>(c.fourth);
  if (wake < 0 || move < 0) return -EINVAL;
  sync::futex_table::requeued done;
  {
    const section in(self());
    if (!sync::futexes.requeue(*c.word, *c.second, wake, move, c.command() == FUTEX_CMP_REQUEUE ? &c.third_value : nullptr, done))
      return -EAGAIN;
  }
  if (done.woken == wake && done.moved == move) return done.woken + done.moved;
  const long more = os::raw_syscall(SYS_futex, os::arg(c.word), FUTEX_REQUEUE | (c.operation & FUTEX_PRIVATE_FLAG),
                                    wake - done.woken, move - done.moved, os::arg(c.second));
  return done.woken + done.moved + (more > 0 ? more : 0);
}

/// FUTEX_WAKE_OP's little language: change the word, test what was there.
bool operate(sync::futex_word& word, std::uint32_t code) noexcept {
  const auto signed_12_bits = [](std::uint32_t field) { return static_cast<int>(field << 20) >> 20; };
  const std::uint32_t what = code >> 28 & 7, test = code >> 24 & 15;
  const int number = signed_12_bits(code >> 12 & 0xfff), other = signed_12_bits(code & 0xfff);
  const std::uint32_t operand = (code >> 31) != 0 ? 1u << (number & 31) : static_cast<std::uint32_t>(number);
  std::uint32_t before = word.load(memory_order::relaxed);  // relaxed: the exchange decides
  for (;;) {
    const std::uint32_t after = what == FUTEX_OP_SET    ? operand
                                : what == FUTEX_OP_ADD  ? before + operand
                                : what == FUTEX_OP_OR   ? before | operand
                                : what == FUTEX_OP_ANDN ? before & ~operand
                                                        : before ^ operand;
    // [futex-1] both: the program's word, changed as the kernel would, under the locks of both buckets.
    if (word.compare_exchange_weak(before, after, memory_order::seq_cst, memory_order::relaxed)) break;  // relaxed: retry
  }
  const int was = static_cast<int>(before);
  switch (test) {
    case FUTEX_OP_CMP_EQ:
      return was == other;
    case FUTEX_OP_CMP_NE:
      return was != other;
    case FUTEX_OP_CMP_LT:
      return was < other;
    case FUTEX_OP_CMP_LE:
      return was <= other;
    case FUTEX_OP_CMP_GT:
      return was > other;
    default:
      return was >= other;
  }
}

long futex_wake_op(const futex_call& c) noexcept {
  if ((c.third_value >> 28 & 7) > FUTEX_OP_XOR || (c.third_value >> 24 & 15) > FUTEX_OP_CMP_GE) return -ENOSYS;
  const int wake = count_of(c.value), wake_second = count_of(c.fourth);
  sync::futex_table::woken_both done;
  {
    const section in(self());
    done = sync::futexes.wake_op(*c.word, *c.second, wake, wake_second, operate, c.third_value);
  }
  int woken = done.first + done.second + wake_in_kernel(c, c.word, wake - done.first, match_any);
  if (done.held) woken += wake_in_kernel(c, c.second, wake_second - done.second, match_any);
  return woken;
}

/// The kernel moves waiters to the second word, where they get it one after the other. Here all of them wake and ask for it.
long futex_wait_for_pi(const futex_call& c, nanoseconds_at deadline) noexcept {
  user_thread& me = self();
  int error;
  do {
    const section in(me);
    error = sync::futexes.wait(me, *c.word, c.value, sync::futex_table::any, deadline);
  } while (error == EINTR);
  return error != 0 ? -error : lock_pi(*c.second, when_held::wait, deadline);
}

long futex_wake_for_pi(const futex_call& c) noexcept {
  const int move = static_cast<int>(c.fourth);
  if (c.value != 1 || move < 0) return -EINVAL;
  const int most = move < INT_MAX ? move + 1 : move;
  sync::futex_table::requeued done;
  const section in(self());
  return sync::futexes.requeue(*c.word, *c.second, most, 0, &c.third_value, done) ? done.woken : -EAGAIN;
}

long futex_pi(const futex_call& c) noexcept {
  const int command = c.command();
  const bool two_words = command == FUTEX_WAIT_REQUEUE_PI || command == FUTEX_CMP_REQUEUE_PI;
  sync::futex_word* held = two_words ? c.second : c.word;
  if (!usable(held)) return c.in_kernel();
  if (two_words && c.word == c.second) return -EINVAL;
  if (!c.is_private() && !os::is_private_memory(held)) {
    bind_to_carrier(self());
    return c.in_kernel();
  }
  nanoseconds_at deadline = never;
  if ((command == FUTEX_LOCK_PI || command == FUTEX_LOCK_PI2 || command == FUTEX_WAIT_REQUEUE_PI) && !deadline_of(c, deadline))
    return -EINVAL;
  switch (command) {
    case FUTEX_UNLOCK_PI:
      return unlock_pi(*held);
    case FUTEX_TRYLOCK_PI:
      return lock_pi(*held, when_held::give_up, never);
    case FUTEX_WAIT_REQUEUE_PI:
      return futex_wait_for_pi(c, deadline);
    case FUTEX_CMP_REQUEUE_PI:
      return futex_wake_for_pi(c);
    default:
      return lock_pi(*held, when_held::wait, deadline);
  }
}

long futex(const futex_call& c) noexcept {
  const int command = c.command();
  const bool waits = command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET || command == FUTEX_LOCK_PI2 || command == FUTEX_WAIT_REQUEUE_PI;
  const int flags = c.operation & ~FUTEX_CMD_MASK & ~FUTEX_PRIVATE_FLAG;
  if (!usable(c.word) || (flags & ~(waits ? FUTEX_CLOCK_REALTIME : 0)) != 0) return c.in_kernel();
  switch (command) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
      return futex_wait(c);
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET:
      return futex_wake(c);
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
      return usable(c.second) ? futex_requeue(c) : c.in_kernel();
    case FUTEX_WAKE_OP:
      return usable(c.second) ? futex_wake_op(c) : c.in_kernel();
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_TRYLOCK_PI:
    case FUTEX_UNLOCK_PI:
    case FUTEX_WAIT_REQUEUE_PI:
    case FUTEX_CMP_REQUEUE_PI:
      return futex_pi(c);
    default:
      return blocked_in_kernel(c);
  }
}

long to_errno(long result) noexcept {
  if (result >= 0 || result < -4095) return result;
  errno = static_cast<int>(-result);
  return -1;
}

}  // namespace

namespace {

/// Natively libc registers a list for each thread; so it does for ours, but for the kernel, which is told when it is used.
long robust_list_of(const user_thread& t, long head, long bytes) noexcept {
  if (head == 0 || bytes == 0) return to_errno(-EFAULT);
  *reinterpret_cast<std::uintptr_t*>(head) = mem::robust_list(t.thread_pointer);
  *reinterpret_cast<std::size_t*>(bytes) = sizeof(robust_list_head);
  return 0;
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

// Not variadic: libc's takes six words from the same places, whatever the caller meant by them.
extern "C" [[gnu::visibility("default")]] long weft_syscall(long number, long a, long b, long c, long d, long e, long f) asm("syscall");

long weft_syscall(long number, long a, long b, long c, long d, long e, long f) {
  const auto pass = [&] { return os::raw_syscall(number, a, b, c, d, e, f); };
  if (native() || runtime.now != stage::running) return to_errno(pass());
  switch (number) {
    case SYS_futex:
      return to_errno(futex({reinterpret_cast<sync::futex_word*>(a), static_cast<int>(b), static_cast<std::uint32_t>(c), d,
                             reinterpret_cast<sync::futex_word*>(e), static_cast<std::uint32_t>(f)}));
    case SYS_gettid:
    case SYS_set_tid_address:  // which answers with the id; the address is the carrier's, who tells the engine of its end by it
      return id_of(self());
    case SYS_get_robust_list: {
      user_thread* t = a == 0 ? &self() : by_id(static_cast<int>(a));
      return t != nullptr ? robust_list_of(*t, b, c) : to_errno(pass());
    }
    case SYS_set_robust_list:
      // The list that libc made for the thread is in force as it is; one of the program's own needs a kernel thread.
      if (static_cast<std::uintptr_t>(a) == mem::robust_list(self().thread_pointer)) return 0;
      return bound_call(number, a, b);
    case SYS_sched_yield:
      return ::sched_yield();
    case SYS_exit: {
      user_thread& me = self();
      if (me.kind == thread_kind::user || is_bound(me)) end_thread_at_once(me, static_cast<int>(a));
      return to_errno(pass());
    }
    case SYS_tkill:
    case SYS_tgkill: {
      const bool group = number == SYS_tgkill;
      user_thread* t = group && static_cast<int>(a) != os::raw_syscall(SYS_getpid) ? nullptr : by_id(static_cast<int>(group ? b : a));
      return t != nullptr ? signal_by_id(*t, static_cast<int>(group ? c : b)) : to_errno(pass());
    }
    case SYS_clone:
      if ((a & (CLONE_VM | CLONE_THREAD)) != 0) return to_errno(pass());
      [[fallthrough]];
    case SYS_fork: {
      const long child = pass();
      if (child == 0) go_on_as_child();
      return to_errno(child);
    }
    // What is done with a descriptor's number must be known, by whatever name it goes.
    case SYS_close:
      return ::close(static_cast<int>(a));
    case SYS_close_range:
      return ::close_range(static_cast<unsigned>(a), static_cast<unsigned>(b), static_cast<int>(c));
    case SYS_dup2:
      return ::dup2(static_cast<int>(a), static_cast<int>(b));
    case SYS_dup3:
      return ::dup3(static_cast<int>(a), static_cast<int>(b), static_cast<int>(c));
    default:
      return to_errno(pass());
  }
}
