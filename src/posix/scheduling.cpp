// SPDX-License-Identifier: BSL-1.0
// `own` of a thread holds the settings that it has for itself; `own_lock` guards it and who carries it out: under it a
// thread binds itself, so another one finds it either bound (and asks the kernel) or not (and leaves the wish).
#include "posix/scheduling.hpp"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "os/kernel_thread.hpp"
#include "os/signal_mask.hpp"
#include "os/syscall.hpp"
#include "posix/binding.hpp"
#include "posix/registry.hpp"
#include "posix/runtime.hpp"

namespace weft::engine::posix {

namespace {

/// What carriers have, as the last thread knew it that bound itself.
constinit scheduling usual_when_bound;

constexpr int policy_bits = ~SCHED_RESET_ON_FORK;

/// On a kernel thread (0: the calling one). 0 or a negated errno.
long apply(int tid, const scheduling& s) noexcept {
  if ((s.which & scheduling::of_policy) != 0) {
    const sched_param p{s.priority};
    if (const long r = os::raw_syscall(SYS_sched_setscheduler, tid, s.policy, os::arg(&p)); r < 0) return r;
  }
  if ((s.which & scheduling::of_cpus) != 0) {
    if (const long r = os::raw_syscall(SYS_sched_setaffinity, tid, sizeof s.cpus, os::arg(&s.cpus)); r < 0) return r;
  }
  if ((s.which & scheduling::of_nice) != 0) {
    if (const long r = os::raw_syscall(SYS_setpriority, PRIO_PROCESS, tid, s.nice); r < 0) return r;
  }
  return 0;
}

scheduling of_kernel_thread(int tid) noexcept {
  scheduling s;
  s.which = scheduling::of_policy | scheduling::of_nice | scheduling::of_cpus;
  if (const long policy = os::raw_syscall(SYS_sched_getscheduler, tid); policy >= 0) s.policy = static_cast<int>(policy);
  sched_param p{};
  os::raw_syscall(SYS_sched_getparam, tid, os::arg(&p));
  s.priority = p.sched_priority;
  if (const long nice = os::raw_syscall(SYS_getpriority, PRIO_PROCESS, tid); nice > 0) s.nice = static_cast<int>(20 - nice);
  os::raw_syscall(SYS_sched_getaffinity, tid, sizeof s.cpus, os::arg(&s.cpus));
  return s;
}

/// Inside a section: what a thread has that has nothing of its own.
scheduling usual(const user_thread& me) noexcept {
  return me.kind == thread_kind::user ? of_kernel_thread(0) : usual_when_bound;
}

scheduling effective(const user_thread& me, const user_thread& t) noexcept {
  if (is_bound(t)) return of_kernel_thread(&t == &me ? 0 : t.on->tid.load(memory_order::relaxed));  // relaxed: does not change
  scheduling s = usual(me);
  s.merge(t.own);
  return s;
}

bool same(const scheduling& now, const scheduling& wanted) noexcept {
  if ((wanted.which & scheduling::of_policy) != 0 && (now.policy != wanted.policy || now.priority != wanted.priority))
    return false;
  if ((wanted.which & scheduling::of_nice) != 0 && now.nice != wanted.nice) return false;
  return (wanted.which & scheduling::of_cpus) == 0 || CPU_EQUAL(&now.cpus, &wanted.cpus);
}

/// Inside a section: lets the kernel judge, on the calling kernel thread, and takes it back. What cannot be taken back is
/// never refused: giving up one's share.
long try_out(const scheduling& wanted) noexcept {
  const scheduling before = of_kernel_thread(0);
  scheduling trial = wanted;
  trial.policy &= policy_bits;
  const bool policy = (wanted.which & scheduling::of_policy) != 0, nicer = wanted.nice > before.nice;
  if (policy && (trial.policy == SCHED_OTHER || trial.policy == SCHED_BATCH || trial.policy == SCHED_IDLE)) {
    if (wanted.priority != 0) return -EINVAL;
    trial.which &= static_cast<std::uint8_t>(~scheduling::of_policy);
  }
  if (nicer) trial.which &= static_cast<std::uint8_t>(~scheduling::of_nice);
  const long result = apply(0, trial);
  scheduling back = before;
  back.which = trial.which;
  apply(0, back);
  return result;
}

/// The kernel cuts the CPUs down to those that there are, and so do we before we compare.
scheduling within_machine(const scheduling& wanted, const scheduling& now) noexcept {
  scheduling s = wanted;
  if ((s.which & scheduling::of_cpus) == 0) return s;
  cpu_set_t both;
  CPU_AND(&both, &s.cpus, &now.cpus);
  if (CPU_EQUAL(&both, &now.cpus)) s.cpus = now.cpus;  // at least all that it may have now: as many as that
  return s;
}

int change_mine(user_thread& me, const scheduling& wanted) noexcept {
  const section in(me);
  const scheduling now = effective(me, me);
  if (!is_bound(me) && same(now, within_machine(wanted, now))) {
    me.own.merge(wanted);
    return 0;
  }
  locked hold(me.own_lock);
  if (me.kind == thread_kind::user) {
    usual_when_bound = of_kernel_thread(0);
    scheduling all = me.own;
    all.merge(wanted);
    const long result = bind_for(me, [&]() noexcept { return apply(0, all); });
    if (result < 0) return static_cast<int>(-result);
  } else if (const long result = apply(0, wanted); result < 0) {
    return static_cast<int>(-result);
  }
  me.own.merge(wanted);
  return 0;
}

int change_others(user_thread& me, user_thread& t, const scheduling& wanted) noexcept {
  const section in(me);
  locked hold(t.own_lock);
  if (t.leaving) return ESRCH;
  if (is_bound(t)) {
    const long result = apply(t.on->tid.load(memory_order::relaxed), wanted);  // relaxed: does not change
    if (result == 0) t.own.merge(wanted);
    return static_cast<int>(-result);
  }
  const scheduling now = effective(me, t);
  if (same(now, within_machine(wanted, now))) return 0;
  if (const long result = try_out(wanted); result < 0) return static_cast<int>(-result);
  t.own.merge(wanted);
  t.pending.fetch_or(pending_work::settle, memory_order::seq_cst);  // [pending-1] seen at the end of its next section
  // If it computes it has none: the engine's signal gives it one.
  if (carrier* c = t.on; c != nullptr && c->current.load(memory_order::acquire) == &t)  // [current-1]
    os::signal_kernel_thread(c->tid.load(memory_order::relaxed), os::preempt_signal);  // relaxed: does not change
  return 0;
}

}  // namespace

void scheduling::merge(const scheduling& other) noexcept {
  which |= other.which;
  if ((other.which & of_policy) != 0) {
    policy = other.policy;
    priority = other.priority;
  }
  if ((other.which & of_nice) != 0) nice = other.nice;
  if ((other.which & of_cpus) != 0) cpus = other.cpus;
}

int change_scheduling(user_thread& t, const scheduling& wanted) noexcept {
  user_thread& me = self();
  return &t == &me ? change_mine(me, wanted) : change_others(me, t, wanted);
}

scheduling scheduling_of(user_thread& t) noexcept {
  user_thread& me = self();
  const section in(me);
  locked hold(t.own_lock);
  return effective(me, t);
}

int may_have(const scheduling& wanted) noexcept {
  const section in(self());
  return static_cast<int>(-try_out(wanted));
}

scheduling inherited_scheduling(const user_thread& me) noexcept {
  scheduling s = me.own;
  if ((s.which & scheduling::of_policy) != 0 && (s.policy & SCHED_RESET_ON_FORK) != 0) {
    s.policy = SCHED_OTHER;
    s.priority = 0;
    if (s.nice < 0) s.nice = 0;
  }
  return s;
}

void settle_scheduling(user_thread& me) noexcept {
  const section in(me);
  locked hold(me.own_lock);
  if (me.kind != thread_kind::user || me.own.which == 0) return;
  const scheduling now = usual(me);
  scheduling all = now;
  all.merge(me.own);
  if (same(now, all)) return;
  usual_when_bound = now;
  (void)bind_for(me, [&]() noexcept { return apply(0, me.own); });
}

void scheduling_after_fork(user_thread& me) noexcept {
  me.own = {};
  me.own_lock.reset();
}

}  // namespace weft::engine::posix
