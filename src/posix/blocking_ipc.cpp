// SPDX-License-Identifier: BSL-1.0
// System V semaphores and messages, POSIX message queues, asynchronous I/O: tried without waiting first; what would wait
// gives its slot away (posix/blocking.hpp).
#include <aio.h>
#include <mqueue.h>
#include <sys/msg.h>
#include <sys/sem.h>

#include "posix/blocking.hpp"
#include "posix/exported.hpp"
#include "posix/spans.hpp"

using namespace weft::engine;
using namespace weft::engine::posix;

namespace {

constexpr timespec no_time = {.tv_sec = 0, .tv_nsec = 0};

/// Zero time to wait, instead of IPC_NOWAIT in a copy: there is no bound on the number of operations.
long semop_now(int id, sembuf* operations, size_t count) noexcept {
  return os::raw_syscall(SYS_semtimedop, id, os::arg(operations), static_cast<long>(count), os::arg(&no_time));
}

/// A deadline long past, in whose stead the queue's own O_NONBLOCK counts if it is set.
long receive_now(mqd_t queue, char* message, size_t bytes, unsigned* priority) noexcept {
  return os::raw_syscall(SYS_mq_timedreceive, queue, os::arg(message), static_cast<long>(bytes), os::arg(priority),
                         os::arg(&no_time));
}
long send_now(mqd_t queue, const char* message, size_t bytes, unsigned priority) noexcept {
  return os::raw_syscall(SYS_mq_timedsend, queue, os::arg(message), static_cast<long>(bytes), priority, os::arg(&no_time));
}

}  // namespace

WEFT_EXPORT int semop(int id, sembuf* operations, size_t count) {
  return unless_it_would_block(
      EAGAIN, [=] { return semop_now(id, operations, count); }, [=] { return libc.semop(id, operations, count); });
}

WEFT_EXPORT int semtimedop(int id, sembuf* operations, size_t count, const timespec* span) {
  if (!valid(span)) return while_blocking([=] { return libc.semtimedop(id, operations, count, span); });
  const nanoseconds_at until = deadline_after(span);
  return unless_it_would_block(
      EAGAIN, [=] { return semop_now(id, operations, count); },
      [=] { return libc.semtimedop(id, operations, count, rest_of(until).get()); });
}

WEFT_EXPORT ssize_t msgrcv(int id, void* message, size_t bytes, long type, int flags) {
  const auto wait = [=] { return libc.msgrcv(id, message, bytes, type, flags); };
  if ((flags & MSG_COPY) != 0) return while_blocking(wait);  // it means something else without IPC_NOWAIT
  return unless_it_would_block_or_is_cancelled(
      ENOMSG,
      [=] { return os::raw_syscall(SYS_msgrcv, id, os::arg(message), static_cast<long>(bytes), type, flags | IPC_NOWAIT); },
      wait);
}

WEFT_EXPORT int msgsnd(int id, const void* message, size_t bytes, int flags) {
  return unless_it_would_block_or_is_cancelled(
      EAGAIN,
      [=] { return os::raw_syscall(SYS_msgsnd, id, os::arg(message), static_cast<long>(bytes), flags | IPC_NOWAIT); },
      [=] { return libc.msgsnd(id, message, bytes, flags); });
}

WEFT_EXPORT ssize_t mq_receive(mqd_t queue, char* message, size_t bytes, unsigned* priority) {
  return unless_it_would_block_or_is_cancelled(
      ETIMEDOUT, [=] { return receive_now(queue, message, bytes, priority); },
      [=] { return libc.mq_receive(queue, message, bytes, priority); });
}

WEFT_EXPORT ssize_t mq_timedreceive(mqd_t queue, char* message, size_t bytes, unsigned* priority, const timespec* when) {
  const auto wait = [=] { return libc.mq_timedreceive(queue, message, bytes, priority, when); };
  if (!valid(when)) return while_blocking(wait);
  return unless_it_would_block_or_is_cancelled(
      ETIMEDOUT, [=] { return receive_now(queue, message, bytes, priority); }, wait);
}

WEFT_EXPORT int mq_send(mqd_t queue, const char* message, size_t bytes, unsigned priority) {
  return unless_it_would_block_or_is_cancelled(
      ETIMEDOUT, [=] { return send_now(queue, message, bytes, priority); },
      [=] { return libc.mq_send(queue, message, bytes, priority); });
}

WEFT_EXPORT int mq_timedsend(mqd_t queue, const char* message, size_t bytes, unsigned priority, const timespec* when) {
  const auto wait = [=] { return libc.mq_timedsend(queue, message, bytes, priority, when); };
  if (!valid(when)) return while_blocking(wait);
  return unless_it_would_block_or_is_cancelled(
      ETIMEDOUT, [=] { return send_now(queue, message, bytes, priority); }, wait);
}

WEFT_EXPORT int aio_suspend(const aiocb* const list[], int count, const timespec* span) {
  if (!valid(span)) return while_blocking([=] { return libc.aio_suspend(list, count, span); });
  const nanoseconds_at until = deadline_after(span);
  return while_blocking_undisturbed([=] { return libc.aio_suspend(list, count, rest_of(until).get()); });
}
