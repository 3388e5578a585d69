// SPDX-License-Identifier: BSL-1.0
#include "io/reactor.hpp"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

#include "base/text.hpp"
#include "io/back_end.hpp"
#include "os/task.hpp"
#include "os/syscall.hpp"

namespace weft::engine::io {

namespace {

constinit event_source source;
constinit spinlock opening;
constinit atomic<const back_end*> in_use{nullptr};
constinit options::io_choice chosen = options::io_choice::best;

int open_one(const back_end& b) noexcept {
  if (const int error = b.open(); error != 0) return error;
  source.poll = b.poll;
  source.wait = b.wait;
  source.interrupt = b.interrupt;
  // [reactor-1] release: whoever finds the back end (acquire) finds its descriptors open.
  in_use.store(&b, memory_order::release);
  the_scheduler.set_event_source(source);
  return 0;
}

void complain(int error) noexcept {
  text<200> line;
  line << "weft: io=uring: the kernel refuses io_uring here (" << (error == EPERM    ? "EPERM: disabled, or a sandbox"
                                                                   : error == ENOSYS ? "ENOSYS: too old, or a sandbox"
                                                                   : error == EMFILE || error == ENFILE ? "no descriptors"
                                                                                                         : "no memory")
       << "); epoll is used\n";
  os::write_to_process_stderr(line.data(), line.size());
}

/// [section] Opens the back end at the first wait. Null: none can be had now (no descriptors left).
const back_end* back_end_in_use() noexcept {
  const back_end* b = in_use.load(memory_order::acquire);  // [reactor-1]
  if (b != nullptr) [[likely]] return b;
  locked hold(opening);
  b = in_use.load(memory_order::relaxed);  // relaxed: under the lock
  if (b != nullptr) return b;
  if (chosen == options::io_choice::uring) {
    const int error = open_one(uring_back_end);
    if (error == 0) return &uring_back_end;
    complain(error);
    chosen = options::io_choice::best;
  }
  return open_one(epoll_back_end) == 0 ? &epoll_back_end : nullptr;
}

event_mask wanted_by_waiters(const descriptor& d) noexcept {
  event_mask all = 0;
  for (const waiter* w = d.first; w != nullptr; w = w->next)
    if (!w->woken) all |= w->wanted;
  return all & ~d.taken;
}

/// Under the record's lock (I1). 0 or an errno code.
int arm_what_is_missing(const back_end& b, int fd, descriptor& d) noexcept {
  const event_mask wanted = wanted_by_waiters(d);
  const event_mask missing = wanted & ~d.armed;
  if (missing == 0) return 0;
  const int error = b.arm(fd, d, wanted | d.armed, missing);
  if (error == 0) d.armed |= wanted;
  return error;
}

/// Under the record's lock. Also where the kernel keeps it armed: should the number change hands unseen, the next waiter arms
/// the new file.
void disarm(const back_end& b, int fd, descriptor& d) noexcept {
  if (d.armed == 0) return;
  d.armed = 0;
  ++d.round;
  if (b.disarm != nullptr) b.disarm(fd);
}

/// Under the record's lock. It stays linked until it unlinks itself, and cannot before we let go of the lock.
void wake(descriptor& d, waiter& w, ready_list& ready) noexcept {
  if (w.woken) return;
  const claim_result result = w.who->wait.claim(w.wait, wake_reason::owner);
  if (result == claim_result::lost) return;  // it leaves for another reason
  w.woken = true;
  if (!w.sharing) d.taken |= w.wanted;
  if (result == claim_result::parked) ready.push(*w.who);
}

void make_all_ready(ready_list& ready) noexcept {
  while (thread* t = ready.pop()) the_scheduler.make_ready(*t);
}

/// Under the record's lock, when somebody has left: what the others want is armed; what nobody wants is not kept.
void tidy(const back_end& b, int fd, descriptor& d, ready_list& ready) noexcept {
  if (d.first != nullptr) {
    if (arm_what_is_missing(b, fd, d) == 0) return;
    for (waiter* w = d.first; w != nullptr; w = w->next) wake(d, *w, ready);  // they try again, and find out
    return;
  }
  disarm(b, fd, d);
  if (d.lent && d.taken == 0) {
    d.lent = d.known_to_back_end = d.refused = false;
    os::raw_syscall(SYS_close, fd);
  }
}

/// Unlinks `w`; returns the number under which its file can be reached. `keep`: the turn that it was given.
int leave(const back_end& b, waiter& w, event_mask keep) noexcept {
  for (;;) {
    const int fd = w.number.load(memory_order::acquire);  // [moved-1] acquire: its record, which may have been made for the move, is there
    descriptor& d = *record_if_any(fd);
    ready_list ready;
    {
      locked hold(d.lock);
      if (w.number.load(memory_order::relaxed) != fd) continue;  // relaxed: under the lock; it was moved
      d.remove(w);
      if (w.woken && !w.sharing) d.taken = (d.taken & ~w.wanted) | keep;
      tidy(b, fd, d, ready);
    }
    make_all_ready(ready);
    return fd;
  }
}

wait_end end_of(wake_reason why) noexcept {
  switch (why) {
    case wake_reason::owner:
      return wait_end::ready;
    case wake_reason::deadline:
      return wait_end::deadline;
    default:
      return wait_end::interrupt;
  }
}

wait_end park(thread& me, ticket t, nanoseconds_at deadline) noexcept {
  the_scheduler.begin_event_wait();
  const wake_reason why = me.on->home->park(me, t, deadline);
  the_scheduler.end_event_wait();
  return end_of(why);
}

wait_end give_up(thread& me) noexcept {
  return me.wait.cancel() == wake_reason::none ? wait_end::refused : wait_end::interrupt;
}

}  // namespace

void on_event(const event& e, ready_list& ready) noexcept {
  descriptor* d = record_if_any(e.fd);
  const back_end* b = in_use.load(memory_order::acquire);  // [reactor-1]
  if (d == nullptr || b == nullptr) return;
  const bool all = (e.fired & (POLLERR | POLLHUP | POLLNVAL)) != 0;
  locked hold(d->lock);
  if (e.round != event::any_round && e.round != d->round) return;
  d->armed &= ~e.disarmed;
  d->refused |= e.refused;
  for (waiter* w = d->first; w != nullptr; w = w->next) {
    if (!all && (w->wanted & e.fired) == 0) continue;
    if (w->sharing || (w->wanted & d->taken) == 0) wake(*d, *w, ready);
  }
  tidy(*b, e.fd, *d, ready);
}

wait_end turn::take(nanoseconds_at deadline) noexcept {
  const section in(me_);
  if (has_turn_) return wait_end::ready;
  const back_end* b = back_end_in_use();
  descriptor* d = record_of(fd_);
  if (b == nullptr || d == nullptr) return wait_end::refused;
  d->lock.lock();
  if ((d->taken & wanted_) != 0) return park_in(*b, *d, deadline);
  d->taken |= wanted_;
  d->lock.unlock();
  has_turn_ = true;
  return wait_end::ready;
}

wait_end turn::wait(nanoseconds_at deadline) noexcept {
  const section in(me_);
  const back_end* b = back_end_in_use();
  descriptor* d = record_of(fd_);
  if (b == nullptr || d == nullptr) return wait_end::refused;
  d->lock.lock();
  if (has_turn_) d->taken &= ~wanted_;
  has_turn_ = false;
  return park_in(*b, *d, deadline);
}

/// [section] With the record's lock, which it gives back.
wait_end turn::park_in(const back_end& b, descriptor& d, nanoseconds_at deadline) noexcept {
  waiter w;
  w.who = &me_;
  w.wanted = wanted_;
  w.number.store(fd_, memory_order::relaxed);  // relaxed: under the lock
  w.wait = me_.wait.prepare();
  d.push_back(w);
  const int error = arm_what_is_missing(b, fd_, d);
  if (error != 0) d.remove(w);
  d.lock.unlock();
  if (error != 0) return give_up(me_);
  const wait_end end = park(me_, w.wait, deadline);
  has_turn_ = end == wait_end::ready;
  const int fd = leave(b, w, has_turn_ ? wanted_ : 0);
  if (has_turn_) fd_ = fd;
  return end;
}

void turn::give_back() noexcept {
  const section in(me_);
  const back_end* b = in_use.load(memory_order::acquire);  // [reactor-1]
  descriptor* d = record_if_any(fd_);
  if (b == nullptr || d == nullptr) return;
  ready_list ready;
  {
    locked hold(d->lock);
    d->taken &= ~wanted_;
    tidy(*b, fd_, *d, ready);
  }
  make_all_ready(ready);
}

wait_end wait_for_any(thread& me, waiter* waiters, unsigned count, nanoseconds_at deadline) noexcept {
  const section in(me);
  const back_end* b = back_end_in_use();
  if (b == nullptr) return wait_end::refused;
  const ticket t = me.wait.prepare();
  unsigned linked = 0;
  int error = 0;
  for (; linked < count && error == 0; ++linked) {
    waiter& w = waiters[linked];
    const int fd = w.number.load(memory_order::relaxed);  // relaxed: not linked yet
    descriptor* d = record_of(fd);
    if (d == nullptr) break;
    w.who = &me;
    w.wait = t;
    w.sharing = true;
    w.woken = false;
    locked hold(d->lock);
    d->push_back(w);
    error = arm_what_is_missing(*b, fd, *d);
  }
  const bool refused = error != 0 || linked < count;
  const wait_end end = refused ? give_up(me) : park(me, t, deadline);
  for (unsigned i = 0; i < linked; ++i) (void)leave(*b, waiters[i], 0);
  return end;
}

namespace {

/// Under d's lock: those who wait for the file go on waiting for it under another number (I3). False: no number to be had.
bool move_waiters(const back_end& b, int fd, descriptor& d, ready_list& ready) noexcept {
  const long other = os::raw_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest_hidden_number());
  if (other < 0) return false;
  const int number = static_cast<int>(other);
  descriptor* to = record_of(number);
  if (to == nullptr) {
    os::raw_syscall(SYS_close, other);
    return false;
  }
  locked hold(to->lock);
  to->lent = true;
  for (waiter* w = d.first; w != nullptr;) {
    waiter* next = w->next;
    if (!w->woken) {
      d.remove(*w);
      to->push_back(*w);
      w->number.store(number, memory_order::release);  // [moved-1]
    }
    w = next;
  }
  tidy(b, number, *to, ready);
  return true;
}

void let_go_of(const back_end& b, int fd, descriptor& d, ready_list& ready) noexcept {
  locked hold(d.lock);
  bool somebody = false;
  for (waiter* w = d.first; w != nullptr; w = w->next) {
    if (w->sharing) wake(d, *w, ready);  // it looks again, and sees that the number is closed
    somebody |= !w->woken;
  }
  if (somebody && !move_waiters(b, fd, d, ready))
    for (waiter* w = d.first; w != nullptr; w = w->next) wake(d, *w, ready);
  disarm(b, fd, d);
  d.known_to_back_end = d.refused = false;
}

}  // namespace

void let_go(thread& me, int fd) noexcept {
  descriptor* d = record_if_any(fd);
  if (d == nullptr) return;
  d->forget_notes();
  const section in(me);
  const back_end* b = in_use.load(memory_order::acquire);  // [reactor-1]
  if (b == nullptr) return;
  ready_list ready;
  let_go_of(*b, fd, *d, ready);
  make_all_ready(ready);
}

int own_descriptor(int i) noexcept {
  const back_end* b = in_use.load(memory_order::acquire);  // [reactor-1]
  return b != nullptr ? b->own(i) : -1;
}

bool is_own(int fd) noexcept {
  if (fd < 0) return false;
  for (int i = 0; i < most_own; ++i)
    if (own_descriptor(i) == fd) return true;
  return false;
}

void move_own(thread& me, int fd) noexcept {
  const section in(me);
  in_use.load(memory_order::acquire)->move(fd);  // [reactor-1]
}

int lowest_hidden_number() noexcept {
  rlimit limit{};
  if (os::raw_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, os::arg(&limit)) != 0) return 0;
  constexpr rlim_t wanted = 960, room = 64;
  if (limit.rlim_cur >= wanted + room) return wanted;
  if (limit.rlim_cur > 2 * room) return static_cast<int>(limit.rlim_cur - room);
  return static_cast<int>(limit.rlim_cur > most_own ? limit.rlim_cur - most_own : 0);
}

int hide(int fd) noexcept {
  if (fd < 0) return fd;
  const long hidden = os::raw_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest_hidden_number());
  if (hidden < 0) return fd;
  os::raw_syscall(SYS_close, fd);
  return static_cast<int>(hidden);
}

const char* name_of_back_end() noexcept {
  const back_end* b = in_use.load(memory_order::acquire);  // [reactor-1]
  return b != nullptr ? b->name : "none";
}

void choose_back_end(options::io_choice c) noexcept { chosen = c; }

void begin_anew() noexcept {
  forget_all_waiters();
  opening.reset();
  const back_end* b = in_use.load(memory_order::relaxed);  // relaxed: the child has one thread
  if (b == nullptr) return;
  b->close();
  in_use.store(nullptr, memory_order::relaxed);          // relaxed: as above
  source.waiting.store(0, memory_order::relaxed);        // relaxed: as above
}

}  // namespace weft::engine::io
