// SPDX-License-Identifier: BSL-1.0
// The back end on io_uring: each arming is one IORING_OP_POLL_ADD that reports once. Asked for by io=uring; what speaks
// against it as the usual one is in docs/decisions/0018.
//
// U1  Arming only queues a request; the next poll() or wait() hands all of them to the kernel in one call. While somebody
//     sleeps in wait(), nobody may call poll() for long: then arming hands over at once [ring-1].
// U2  Requests belong to the kernel thread that handed them over, and complete on it. When it has ended they are reported
//     as cancelled: like an error, that makes the waiters try again.
// U3  A pending request keeps its file open: disarming removes it at once, whoever handed it over.
// U4  Completions are taken by one at a time. The completion that ends a wait() may be taken by a poll(), which sends
//     another one as long as the wait() goes on [ring-2].
// The kernel reports POLLRDHUP unasked and at once, so on a half-closed connection a request for POLLOUT would complete
// again and again. Such a descriptor is refused from then on, as is one that the kernel cannot poll: its operations block.
//
// Raw structures, because carriers have no libc under them. Rejected: a thread of the kernel's that submits (SQPOLL; see
// there), requests that fire many times (a thread that waits wants one event, and a number may change hands in between).
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/mman.h>

#include <cstddef>

#include "io/back_end.hpp"
#include "os/clock.hpp"
#include "os/syscall.hpp"

namespace weft::engine::io {

namespace {

constexpr std::uint32_t requests_wanted = 1024, completions_wanted = 8192;
constexpr std::uint32_t most_events = 128;
// 6.0 brought the last one; all before it (removal by file, requests that report only failure) is there, too.
constexpr std::uint32_t needed = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG | IORING_FEAT_POLL_32BITS |
                                 IORING_FEAT_CQE_SKIP | IORING_FEAT_LINKED_FILE;

/// What a request says about itself in user_data: a poll request its descriptor, events and round.
struct note {
  enum class kind : std::uint64_t { poll, interrupt, removal };
  std::uint64_t bits;
  static note of(kind k) noexcept { return {static_cast<std::uint64_t>(k) << 62}; }
  static note of(int fd, event_mask events, std::uint8_t round) noexcept {
    return {static_cast<std::uint32_t>(fd) | std::uint64_t{events & 0xffff} << 32 | std::uint64_t{round} << 48};
  }
  [[nodiscard]] kind what() const noexcept { return static_cast<kind>(bits >> 62); }
  [[nodiscard]] int fd() const noexcept { return static_cast<int>(bits & 0xffffffff); }
  [[nodiscard]] event_mask events() const noexcept { return static_cast<event_mask>(bits >> 32 & 0xffff); }
  [[nodiscard]] std::uint8_t round() const noexcept { return static_cast<std::uint8_t>(bits >> 48 & 0xff); }
};

/// Memory shared with the kernel.
struct ring {
  char* queues = nullptr;
  std::size_t queue_bytes = 0;
  io_uring_sqe* requests = nullptr;
  std::size_t request_bytes = 0;
  atomic<std::uint32_t>* request_head = nullptr;
  atomic<std::uint32_t>* request_tail = nullptr;
  atomic<std::uint32_t>* request_flags = nullptr;
  atomic<std::uint32_t>* completion_head = nullptr;
  atomic<std::uint32_t>* completion_tail = nullptr;
  io_uring_cqe* completions = nullptr;
  std::uint32_t request_count = 0, completion_count = 0;
};

constinit ring shared;
constinit atomic<int> ring_fd{-1};
constinit spinlock queueing, taking;
constinit atomic<bool> waits{false};  ///< Somebody is in wait(),
constinit atomic<bool> rung{false};   ///< which is to end.

long number() noexcept { return ring_fd.load(memory_order::relaxed); }  // relaxed: set before anybody looks

long enter(std::uint32_t submit, std::uint32_t wait_for, std::uint32_t flags, const void* argument = nullptr,
           std::size_t bytes = 0) noexcept {
  return os::raw_syscall(SYS_io_uring_enter, number(), submit, wait_for, flags, os::arg(argument), static_cast<long>(bytes));
}

std::uint32_t queued() noexcept {
  // relaxed: whoever else queues or hands over meanwhile looks after that himself
  return shared.request_tail->load(memory_order::relaxed) - shared.request_head->load(memory_order::relaxed);
}

void hand_over() noexcept {
  if (const std::uint32_t n = queued(); n != 0) (void)enter(n, 0, 0);
}

/// False: the kernel takes none now.
bool queue(const io_uring_sqe& request) noexcept {
  locked hold(queueing);
  const std::uint32_t tail = shared.request_tail->load(memory_order::relaxed);  // relaxed: under the lock
  for (int turn = 0;; ++turn) {
    // [ring-3] acquire: the kernel has read what stood there.
    if (tail - shared.request_head->load(memory_order::acquire) < shared.request_count) break;
    if (turn == 100) return false;
    (void)enter(shared.request_count, 0, 0);
  }
  shared.requests[tail & (shared.request_count - 1)] = request;
  // [ring-1] We queue, then look whether somebody waits; wait() says that it waits, then has the kernel look at the
  // queue. Both are seq_cst: it hands our request over, or we see it and do that. [ring-3] The kernel reads what we wrote.
  shared.request_tail->store(tail + 1, memory_order::seq_cst);
  return true;
}

void* map_ring(std::size_t bytes, long offset) noexcept {
  const long at = os::raw_syscall(SYS_mmap, 0, static_cast<long>(bytes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                                  number(), offset);
  if (at < 0 && at > -4096) return nullptr;
  os::raw_syscall(SYS_madvise, at, static_cast<long>(bytes), MADV_DONTFORK);  // a child has no business there
  return reinterpret_cast<void*>(at);
}

/// In a child the memory is not there: nothing of it is touched.
void close_ring() noexcept {
  if (shared.queues != nullptr) os::raw_syscall(SYS_munmap, os::arg(shared.queues), static_cast<long>(shared.queue_bytes));
  if (shared.requests != nullptr) os::raw_syscall(SYS_munmap, os::arg(shared.requests), static_cast<long>(shared.request_bytes));
  if (number() >= 0) os::raw_syscall(SYS_close, number());
  // relaxed: nobody uses them now
  ring_fd.store(-1, memory_order::relaxed);
  waits.store(false, memory_order::relaxed);
  rung.store(false, memory_order::relaxed);
  shared = {};
  queueing.reset();
  taking.reset();
}

int map_all(const io_uring_params& p) noexcept {
  if ((p.features & needed) != needed) return ENOSYS;
  const std::size_t requests_end = p.sq_off.array + p.sq_entries * sizeof(std::uint32_t);
  const std::size_t completions_end = p.cq_off.cqes + p.cq_entries * sizeof(io_uring_cqe);
  shared.queue_bytes = requests_end > completions_end ? requests_end : completions_end;
  shared.request_bytes = p.sq_entries * sizeof(io_uring_sqe);
  shared.queues = static_cast<char*>(map_ring(shared.queue_bytes, static_cast<long>(IORING_OFF_SQ_RING)));
  shared.requests = static_cast<io_uring_sqe*>(map_ring(shared.request_bytes, static_cast<long>(IORING_OFF_SQES)));
  if (shared.queues == nullptr || shared.requests == nullptr) return ENOMEM;
  const auto word = [](std::uint32_t offset) { return reinterpret_cast<atomic<std::uint32_t>*>(shared.queues + offset); };
  shared.request_head = word(p.sq_off.head);
  shared.request_tail = word(p.sq_off.tail);
  shared.request_flags = word(p.sq_off.flags);
  shared.completion_head = word(p.cq_off.head);
  shared.completion_tail = word(p.cq_off.tail);
  shared.completions = reinterpret_cast<io_uring_cqe*>(shared.queues + p.cq_off.cqes);
  shared.request_count = p.sq_entries;
  shared.completion_count = p.cq_entries;
  for (std::uint32_t i = 0; i < p.sq_entries; ++i)
    word(p.sq_off.array)[i].store(i, memory_order::relaxed);  // relaxed: nobody uses it yet
  return 0;
}

int open_ring() noexcept {
  io_uring_params p{};
  p.flags = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL;
  p.cq_entries = completions_wanted;
  const long fd = os::raw_syscall(SYS_io_uring_setup, requests_wanted, os::arg(&p));
  if (fd < 0) return static_cast<int>(-fd);
  ring_fd.store(hide(static_cast<int>(fd)), memory_order::relaxed);  // relaxed: see number()
  const int error = map_all(p);
  if (error != 0) close_ring();
  return error;
}

int arm(int fd, descriptor& d, event_mask, event_mask missing) noexcept {
  if (d.refused) return EPERM;
  io_uring_sqe request{};
  request.opcode = IORING_OP_POLL_ADD;
  request.fd = fd;
  request.poll32_events = missing;
  request.user_data = note::of(fd, missing, d.round).bits;
  if (!queue(request)) return EAGAIN;
  if (waits.load(memory_order::seq_cst)) hand_over();  // [ring-1]
  return 0;
}

/// By file: that catches the requests of other numbers for it, too, which do no more than try again (U2).
void disarm(int fd) noexcept {
  io_uring_sqe request{};
  request.opcode = IORING_OP_ASYNC_CANCEL;
  request.flags = IOSQE_CQE_SKIP_SUCCESS;
  request.fd = fd;
  request.cancel_flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL;
  request.user_data = note::of(note::kind::removal).bits;
  if (queue(request)) hand_over();
}

void wake_wait() noexcept {
  io_uring_sqe request{};
  request.opcode = IORING_OP_NOP;
  request.user_data = note::of(note::kind::interrupt).bits;
  if (queue(request)) hand_over();
}

void report(const io_uring_cqe& c, ready_list& ready) noexcept {
  const note n{c.user_data};
  if (n.what() != note::kind::poll) return;
  event e{.fd = n.fd(), .fired = static_cast<event_mask>(c.res), .disarmed = n.events(), .round = n.round()};
  const bool passing = c.res == -ECANCELED || c.res == -EBADF;
  e.refused = c.res < 0 ? !passing : (e.fired & (n.events() | POLLERR | POLLHUP | POLLNVAL)) == 0;
  if (c.res < 0 || e.refused) e.fired = POLLERR;  // they try again
  on_event(e, ready);
}

/// Takes what has completed. Returns whether what ends a wait was among it.
bool take(ready_list& ready) noexcept {
  io_uring_cqe taken[most_events];
  std::uint32_t count = 0;
  {
    locked hold(taking);
    const std::uint32_t head = shared.completion_head->load(memory_order::relaxed);  // relaxed: under the lock
    // [ring-4] acquire: the kernel wrote the completions before it moved the tail. Release: it may write where we have read.
    const std::uint32_t there = shared.completion_tail->load(memory_order::acquire) - head;
    for (; count < there && count < most_events; ++count)
      taken[count] = shared.completions[(head + count) & (shared.completion_count - 1)];
    shared.completion_head->store(head + count, memory_order::release);  // [ring-4]
  }
  bool interrupt = false;
  for (std::uint32_t i = 0; i < count; ++i) {
    interrupt |= note{taken[i].user_data}.what() == note::kind::interrupt;
    report(taken[i], ready);
  }
  return interrupt;
}

/// No system call when nothing was armed since the last one: the kernel reports into our memory.
void look(ready_list& ready) noexcept {
  // relaxed: only whether to ask for what did not fit
  const bool overflowed = (shared.request_flags->load(memory_order::relaxed) & IORING_SQ_CQ_OVERFLOW) != 0;
  if (const std::uint32_t n = queued(); n != 0 || overflowed) (void)enter(n, 0, overflowed ? IORING_ENTER_GETEVENTS : 0);
  // [ring-2] It was meant for a wait() that may be on its way into the kernel still, and would not find it there.
  if (take(ready) && waits.load(memory_order::seq_cst) && rung.load(memory_order::seq_cst)) wake_wait();
}

void wait(ready_list& ready, nanoseconds_at until) noexcept {
  __kernel_timespec span{};
  if (until != never) {
    const nanoseconds left = until - os::now();
    if (left > 0) span = {.tv_sec = left / second, .tv_nsec = left % second};
  }
  io_uring_getevents_arg bound{};
  bound.ts = until == never ? 0 : reinterpret_cast<std::uint64_t>(&span);
  waits.store(true, memory_order::seq_cst);  // [ring-1] [ring-2]
  const std::uint32_t wanted = rung.load(memory_order::seq_cst) ? 0 : 1;  // [ring-2]
  (void)enter(queued(), wanted, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &bound, sizeof bound);
  // relaxed: who interrupts in vain does no harm, and nobody interrupts the next wait before it was agreed on
  waits.store(false, memory_order::relaxed);
  rung.store(false, memory_order::relaxed);
  (void)take(ready);
}

void interrupt() noexcept {
  // [ring-2] We ring, then look whether somebody waits; wait() says so, then looks whether it was rung. Both are seq_cst:
  // it does not sleep, or we send it a completion.
  rung.store(true, memory_order::seq_cst);
  if (waits.load(memory_order::seq_cst)) wake_wait();  // [ring-2]
}

int own(int i) noexcept { return i == 0 ? static_cast<int>(number()) : -1; }

void move(int fd) noexcept {
  if (fd != number()) return;
  // As in epoll: the old number serves until the program's file takes its place.
  const long other = os::raw_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest_hidden_number());
  if (other >= 0) ring_fd.store(static_cast<int>(other), memory_order::relaxed);  // relaxed: both numbers serve
}

}  // namespace

const back_end uring_back_end = {.name = "uring",
                                 .open = open_ring,
                                 .close = close_ring,
                                 .arm = arm,
                                 .disarm = disarm,
                                 .poll = look,
                                 .wait = wait,
                                 .interrupt = interrupt,
                                 .own = own,
                                 .move = move};

}  // namespace weft::engine::io
