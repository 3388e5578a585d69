// SPDX-License-Identifier: BSL-1.0
// The back end that every kernel has. Each wait arms its descriptor once (EPOLLONESHOT); an eventfd ends a wait early.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "io/back_end.hpp"
#include "os/clock.hpp"
#include "os/syscall.hpp"

namespace weft::engine::io {

namespace {

constexpr int most_events = 128;
constexpr std::uint64_t interrupt_mark = ~std::uint64_t{0};
constinit atomic<int> queue{-1}, bell{-1};

long at(const atomic<int>& fd) noexcept { return fd.load(memory_order::relaxed); }  // relaxed: set before anybody looks

int watch_bell() noexcept {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = interrupt_mark;
  return static_cast<int>(-os::raw_syscall(SYS_epoll_ctl, at(queue), EPOLL_CTL_ADD, at(bell), os::arg(&event)));
}

void close_both() noexcept {
  for (atomic<int>* fd : {&queue, &bell}) {
    if (at(*fd) >= 0) os::raw_syscall(SYS_close, at(*fd));
    fd->store(-1, memory_order::relaxed);  // relaxed: nobody uses it now
  }
}

int open_both() noexcept {
  queue.store(hide(static_cast<int>(os::raw_syscall(SYS_epoll_create1, EPOLL_CLOEXEC))), memory_order::relaxed);  // relaxed: see at()
  bell.store(hide(static_cast<int>(os::raw_syscall(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK))), memory_order::relaxed);  // relaxed: as above
  int error = at(queue) < 0 ? static_cast<int>(-at(queue)) : at(bell) < 0 ? static_cast<int>(-at(bell)) : watch_bell();
  if (error != 0) close_both();
  return error;
}

int arm(int fd, descriptor& d, event_mask wanted, event_mask) noexcept {
  epoll_event event{};
  event.events = wanted | EPOLLONESHOT;
  event.data.u64 = static_cast<std::uint64_t>(fd);
  // What we know may be wrong: a number that was closed and opened again behind our back.
  int operation = d.known_to_back_end ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  for (;;) {
    const long result = os::raw_syscall(SYS_epoll_ctl, at(queue), operation, fd, os::arg(&event));
    d.known_to_back_end = result == 0;
    if (result == -ENOENT && operation == EPOLL_CTL_MOD) {
      operation = EPOLL_CTL_ADD;
    } else if (result == -EEXIST && operation == EPOLL_CTL_ADD) {
      operation = EPOLL_CTL_MOD;
    } else {
      return static_cast<int>(-result);
    }
  }
}

/// Returns whether the bell rang.
bool take(const epoll_event* events, long count, ready_list& ready) noexcept {
  bool rang = false;
  for (long i = 0; i < count; ++i) {
    if (events[i].data.u64 == interrupt_mark) {
      rang = true;
    } else {
      on_event({.fd = static_cast<int>(events[i].data.u64), .fired = events[i].events, .disarmed = ~event_mask{0}}, ready);
    }
  }
  return rang;
}

void look(ready_list& ready) noexcept {
  epoll_event events[most_events];
  const long count = os::raw_syscall(SYS_epoll_pwait, at(queue), os::arg(events), most_events, 0, 0, 8);
  (void)take(events, count, ready);
}

/// Waits in epoll itself where the kernel can wait for nanoseconds (5.11), else in ppoll on it.
long sleep(epoll_event* events, nanoseconds_at until) noexcept {
  timespec span{};
  if (until != never) {
    const nanoseconds left = until - os::now();
    if (left > 0) span = {.tv_sec = left / second, .tv_nsec = left % second};
  }
  const long bound = until == never ? 0 : os::arg(&span);
  const long count = os::raw_syscall(SYS_epoll_pwait2, at(queue), os::arg(events), most_events, bound, 0, 8);
  if (count != -ENOSYS) return count;
  pollfd self{.fd = static_cast<int>(at(queue)), .events = POLLIN, .revents = 0};
  if (os::raw_syscall(SYS_ppoll, os::arg(&self), 1, bound, 0, 8) <= 0) return 0;
  return os::raw_syscall(SYS_epoll_pwait, at(queue), os::arg(events), most_events, 0, 0, 8);
}

void wait(ready_list& ready, nanoseconds_at until) noexcept {
  epoll_event events[most_events];
  const long count = sleep(events, until);
  // Only here: a bell that poll() had silenced would be missing to whom it was meant for.
  if (take(events, count, ready)) {
    std::uint64_t rings;
    os::raw_syscall(SYS_read, at(bell), os::arg(&rings), sizeof rings);
  }
}

void interrupt() noexcept {
  const std::uint64_t one = 1;
  os::raw_syscall(SYS_write, at(bell), os::arg(&one), sizeof one);
}

int own(int i) noexcept { return i == 0 ? static_cast<int>(at(queue)) : i == 1 ? static_cast<int>(at(bell)) : -1; }

void move(int fd) noexcept {
  for (atomic<int>* number : {&queue, &bell}) {
    if (fd != at(*number)) continue;
    // The old number stays valid until the program's file takes its place: whoever uses it just now is not disturbed.
    const long other = os::raw_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest_hidden_number());
    if (other >= 0) number->store(static_cast<int>(other), memory_order::relaxed);  // relaxed: both numbers serve
  }
}

}  // namespace

const back_end epoll_back_end = {.name = "epoll",
                                 .open = open_both,
                                 .close = close_both,
                                 .arm = arm,
                                 .disarm = nullptr,
                                 .poll = look,
                                 .wait = wait,
                                 .interrupt = interrupt,
                                 .own = own,
                                 .move = move};

}  // namespace weft::engine::io
