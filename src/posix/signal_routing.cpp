// SPDX-License-Identifier: BSL-1.0
#include "posix/signal_routing.hpp"

#include <errno.h>

#include "core/section.hpp"
#include "os/fence.hpp"
#include "os/kernel_thread.hpp"
#include "os/signal_mask.hpp"
#include "posix/registry.hpp"
#include "posix/runtime.hpp"
#include "posix/signal_actions.hpp"

namespace weft::engine::posix {

namespace {

constinit spinlock process_lock;
constinit signal_inbox process_inbox{signal_inbox::owner::process};
/// What lies in the process's list, for a quick look.
constinit atomic<std::uint64_t> process_pending{0};
constinit signal_waiter* waiters = nullptr;

/// Not blocked, as far as another thread can tell; [inbox-1] comes before it (signals.hpp, L3).
bool open_for(const user_thread& t, std::uint64_t bit) noexcept {
  return (__atomic_load_n(&t.signal_mask, __ATOMIC_RELAXED) & bit) == 0;
}
bool waits_for(const user_thread& t, std::uint64_t bit) noexcept {
  return (t.waits_for.load(memory_order::relaxed) & bit) != 0;  // relaxed: [inbox-1] orders
}

/// s4 to s6.
void interrupt(user_thread& t) noexcept {
  for (int round = 0; round < 2; ++round) {
    ticket wait{};
    if (t.wait.current_ticket(wait) && the_scheduler.wake(t, wait, wake_reason::interrupt)) return;
    // [current-1] acquire: the carrier's record.
    if (carrier* c = t.on; c != nullptr && c->current.load(memory_order::acquire) == &t) {
      os::signal_kernel_thread(c->tid.load(memory_order::relaxed), os::preempt_signal);  // relaxed: does not change
      return;
    }
    os::heavy_fence();
  }
}

/// s3 to s6: `t` has a signal that it does not block.
void tell(user_thread& t, user_thread* me) noexcept {
  // [parked-1] see scheduler::commit_park
  if ((t.pending.fetch_or(pending_work::signals, memory_order::seq_cst) & pending_work::signals) != 0) return;
  if (&t != me) interrupt(t);
}

void link(signal_waiter& w) noexcept {
  w.next = waiters;
  w.prev = nullptr;
  if (waiters != nullptr) waiters->prev = &w;
  waiters = &w;
  w.linked = true;
}
void unlink(signal_waiter& w) noexcept {
  (w.prev != nullptr ? w.prev->next : waiters) = w.next;
  if (w.next != nullptr) w.next->prev = w.prev;
  w.linked = false;
}

/// [process_lock] The thread that now has what `note` told. `ready`: it is parked.
bool serve_waiter(const signal_note& note, thread*& ready) noexcept {
  const std::uint64_t bit = os::signal_bit(note.info.si_signo);
  for (signal_waiter* w = waiters; w != nullptr;) {
    signal_waiter* after = w->next;
    if ((w->wanted & bit) != 0) {
      thread& t = w->who;
      w->info = note.info;  // it cannot go away while we hold the lock; if it lost its wait, it does not look
      w->served = true;
      unlink(*w);
      const claim_result r = t.wait.claim(w->wait, wake_reason::owner);  // its stack is its own from here on
      if (r == claim_result::parked) ready = &t;
      if (r != claim_result::lost) return true;
      // A deadline or a signal was first. It comes to leave_signal_waiter, under the lock.
      w->served = false;
    }
    w = after;
  }
  return false;
}

/// [process_lock] Puts the note into some thread's inbox. Null: everybody blocks it.
user_thread* find_taker(user_thread* me, signal_note& note) noexcept {
  const std::uint64_t bit = os::signal_bit(note.info.si_signo);
  user_thread* found = nullptr;
  const auto give = [&](user_thread& t) {
    if (!open_for(t, bit)) return false;
    found = &t;
    t.inbox.push(note);
    return true;
  };
  locked hold(threads.lock());
  if (runtime.first->listed && give(*runtime.first)) return found;
  if (me != nullptr && (me->listed || me->kind == thread_kind::foreign) && give(*me)) return found;
  threads.find_locked(give);
  return found;
}

bool anybody_open(user_thread* me, std::uint64_t bit) noexcept {
  locked hold(threads.lock());
  if (me != nullptr && open_for(*me, bit)) return true;
  bool found = false;
  threads.find_locked([&](user_thread& t) { return found = open_for(t, bit); });
  return found;
}

void note_process_pending() noexcept {
  process_pending.store(process_inbox.pending(), memory_order::relaxed);  // relaxed: under the lock
}

/// [process_lock] One note that has just come. What is to be done when the lock is free again: `ready`, `told`, `fatal`.
void route_one(signal_note& note, user_thread* me, thread*& ready, user_thread*& told, int& fatal) noexcept {
  const int signal = note.info.si_signo;
  if (serve_waiter(note, ready)) return settle_signal(note);
  const effect what = effect_of(signal);
  if (what != effect::run && anybody_open(me, os::signal_bit(signal))) {
    if (what != effect::ignore) fatal = signal;
    return settle_signal(note);
  }
  // [inbox-1] Listed before we look at the masks: who opens its own meanwhile finds the bit, and waits for the lock.
  process_pending.fetch_or(os::signal_bit(signal), memory_order::seq_cst);
  told = what == effect::run ? find_taker(me, note) : nullptr;
  if (told == nullptr) process_inbox.keep(note);
}

}  // namespace

bool post_to_process(int signal, const siginfo_t& info) noexcept { return process_inbox.post(signal, info); }

void route_signals(user_thread* me) noexcept {
  if (!process_inbox.has_incoming()) return;
  for (;;) {
    thread* ready = nullptr;
    user_thread* told = nullptr;
    int fatal = 0;
    {
      locked hold(process_lock);
      signal_note* note = process_inbox.take_newly();
      if (note == nullptr) return;
      route_one(*note, me, ready, told, fatal);
      note_process_pending();
    }
    if (ready != nullptr) the_scheduler.make_ready(*ready);
    if (told != nullptr) tell(*told, me);
    if (fatal != 0) act_by_default(fatal);
  }
}

int send_to_thread(user_thread& me, user_thread& t, int signal, const siginfo_t& info) noexcept {
  const std::uint64_t bit = os::signal_bit(signal);
  if (open_for(t, bit) && !waits_for(t, bit)) {
    const effect what = effect_of(signal);
    if (what == effect::stop || what == effect::terminate) act_by_default(signal);
    if (what != effect::run) return 0;
  }
  if (!t.inbox.post(signal, info)) return EAGAIN;
  if (open_for(t, bit) || waits_for(t, bit)) tell(t, &me);
  return 0;
}

signal_note* take_signal(user_thread& me, std::uint64_t wanted) noexcept {
  me.inbox.sort();
  if (signal_note* own = me.inbox.take(wanted)) return own;
  // [inbox-1] The caller has published its mask or what it waits for by an exchange.
  if ((process_pending.load(memory_order::seq_cst) & wanted) == 0) return nullptr;
  locked hold(process_lock);
  signal_note* shared = process_inbox.take(wanted);
  note_process_pending();
  return shared;
}

void settle_signal(signal_note& note) noexcept {
  if (note.process) process_inbox.settle(note);
  give_back(note);
}

void give_back_signals(user_thread& me, std::uint64_t unwanted) noexcept {
  if (me.inbox.empty()) return;
  me.inbox.sort();
  bool any = false;
  while (signal_note* note = me.inbox.take_shared(unwanted)) {
    process_inbox.push(*note);
    any = true;
  }
  if (any) route_signals(nullptr);
}

std::uint64_t pending_signals(user_thread& me) noexcept {
  route_signals(&me);
  me.inbox.sort();
  return me.inbox.pending() | process_pending.load(memory_order::relaxed);  // relaxed: a snapshot
}

bool enter_signal_waiter(signal_waiter& w) noexcept {
  w.who.waits_for.exchange(w.wanted, memory_order::seq_cst);  // [inbox-1] before we look; senders post before they look
  route_signals(&w.who);
  locked hold(process_lock);
  w.who.inbox.sort();
  signal_note* note = w.who.inbox.take(w.wanted);
  if (note == nullptr) {
    note = process_inbox.take(w.wanted);
    note_process_pending();
  }
  if (note == nullptr) {
    link(w);
    return false;
  }
  w.info = note->info;
  settle_signal(*note);
  return true;
}

bool leave_signal_waiter(signal_waiter& w) noexcept {
  locked hold(process_lock);
  if (w.linked) unlink(w);
  return w.served;
}

void routing_after_fork() noexcept {
  process_lock.reset();
  process_inbox.clear();
  process_pending.store(0, memory_order::relaxed);  // relaxed: the child has one thread
  waiters = nullptr;
}

}  // namespace weft::engine::posix
