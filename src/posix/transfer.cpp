// SPDX-License-Identifier: BSL-1.0
// read, write and their kin. A blocking write returns when everything is written, as the kernel's does.
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "os/memory.hpp"
#include "os/syscall.hpp"
#include "posix/blocking.hpp"
#include "posix/descriptors.hpp"
#include "posix/exported.hpp"
#include "io/pipe_credit.hpp"

namespace weft::engine::posix {

namespace {

using os::arg;
using os::raw_syscall;

/// libc's call will not wait (io/pipe_credit.hpp), and is a cancellation point like ours.
bool credit_for_read(int fd, std::size_t bytes) noexcept {
  io::descriptor* d = io::record_if_any(fd);
  return d != nullptr && io::pipe_credit(*d).take_for_read(bytes);
}
bool credit_for_write(int fd, std::size_t bytes) noexcept {
  io::descriptor* d = io::record_if_any(fd);
  return d != nullptr && io::pipe_credit(*d).take_for_write(bytes);
}

ssize_t read_parts(user_thread& me, int fd, const iovec* parts, int count) {
  cancellation_point(me);
  if (known_nonblocking(fd)) return to_errno(raw_syscall(SYS_readv, fd, arg(parts), count));
  const auto deadline = [&] { return socket_deadline(fd, SO_RCVTIMEO); };
  const long result = until_done(me, fd, POLLIN, [&](io::turn& t) { return read_now(t.fd(), parts, count); }, deadline);
  if (result != must_block) return to_errno(result);
  return while_blocking_undisturbed([&] { return libc.readv(fd, parts, count); });
}

/// May we look at the list? What the kernel would refuse is left to it.
bool can_be_split(const iovec* parts, int count) noexcept {
  if (count <= 0 || count > IOV_MAX) return false;
  const auto first = reinterpret_cast<std::uintptr_t>(parts);
  return os::can_read(first) && os::can_read(first + static_cast<std::size_t>(count) * sizeof(iovec) - 8);
}

/// The parts of a message that are still to be written. At most IOV_MAX of them at a time.
class remaining {
 public:
  remaining(const iovec* parts, int count) noexcept : next_(parts), count_(count) {}
  [[nodiscard]] bool done() noexcept {
    while (count_ > 0 && next_->iov_len == offset_) advance();
    return count_ == 0;
  }
  void take(std::size_t n) noexcept {
    while (count_ > 0 && n >= next_->iov_len - offset_) {
      n -= next_->iov_len - offset_;
      advance();
    }
    offset_ += n;
  }
  /// One part if the first was begun; otherwise all.
  long write_some(int fd) noexcept {
    if (offset_ == 0) return write_now(fd, next_, count_);
    const iovec begun{static_cast<char*>(next_->iov_base) + offset_, next_->iov_len - offset_};
    return write_now(fd, &begun, 1);
  }

  /// Waits in the kernel, in one call. True: there is more to be written; false: that was all, or it ended early.
  bool write_blocking(int fd, ssize_t& written) {
    const ssize_t n = offset_ == 0 ? libc.writev(fd, next_, count_)
                                   : libc.write(fd, static_cast<char*>(next_->iov_base) + offset_, next_->iov_len - offset_);
    if (n > 0) {
      const bool whole = offset_ != 0 && static_cast<std::size_t>(n) == next_->iov_len - offset_;
      written += n;
      take(static_cast<std::size_t>(n));
      return whole && !done();
    }
    if (written == 0) written = n;
    return false;
  }

 private:
  void advance() noexcept {
    ++next_;
    --count_;
    offset_ = 0;
  }
  const iovec* next_;
  int count_;
  std::size_t offset_ = 0;
};

ssize_t write_parts(user_thread& me, int fd, const iovec* parts, int count) {
  cancellation_point(me);
  if (known_nonblocking(fd)) return to_errno(raw_syscall(SYS_writev, fd, arg(parts), count));
  remaining rest(parts, count);
  ssize_t written = 0;
  const auto attempt = [&](io::turn& t) -> long {
    for (;;) {
      const long n = rest.write_some(t.fd());
      if (n < 0) return n == -EAGAIN && written != 0 ? written : n;
      written += n;
      rest.take(static_cast<std::size_t>(n));
      if (n == 0 || rest.done()) return written;
    }
  };
  const auto deadline = [&] { return socket_deadline(fd, SO_SNDTIMEO); };
  const long result = until_done(me, fd, POLLOUT, attempt, deadline);
  if (result == must_block) {
    const blocking stretch(me);
    while (rest.write_blocking(fd, written)) {
    }
    return written;
  }
  if (result < 0 && written != 0) return written;
  return to_errno(result);
}

}  // namespace

}  // namespace weft::engine::posix

using namespace weft::engine;
using namespace weft::engine::posix;

WEFT_EXPORT ssize_t read(int fd, void* buffer, size_t bytes) {
  user_thread* me = parkable();
  if (me == nullptr || credit_for_read(fd, bytes)) return libc.read(fd, buffer, bytes);
  const iovec part{buffer, bytes};
  return read_parts(*me, fd, &part, 1);
}
WEFT_EXPORT ssize_t __read_chk(int fd, void* buffer, size_t bytes, size_t room) {
  if (bytes > room) ::abort();
  return read(fd, buffer, bytes);
}
WEFT_EXPORT ssize_t readv(int fd, const iovec* parts, int count) {
  user_thread* me = parkable();
  if (me == nullptr || !can_be_split(parts, count)) return libc.readv(fd, parts, count);
  return read_parts(*me, fd, parts, count);
}

WEFT_EXPORT ssize_t write(int fd, const void* buffer, size_t bytes) {
  user_thread* me = parkable();
  if (me == nullptr || credit_for_write(fd, bytes)) return libc.write(fd, buffer, bytes);
  const iovec part{const_cast<void*>(buffer), bytes};
  return write_parts(*me, fd, &part, 1);
}
WEFT_EXPORT ssize_t writev(int fd, const iovec* parts, int count) {
  user_thread* me = parkable();
  if (me == nullptr || !can_be_split(parts, count)) return libc.writev(fd, parts, count);
  return write_parts(*me, fd, parts, count);
}

// Reading at an offset is reading a file: it waits for the disk alone.
WEFT_EXPORT ssize_t preadv(int fd, const iovec* parts, int count, off_t offset) {
  user_thread* me = parkable();
  if (me == nullptr) return libc.preadv(fd, parts, count, offset);
  cancellation_point(*me);
  const long cached = raw_syscall(SYS_preadv2, fd, arg(parts), count, offset, 0, RWF_NOWAIT);
  std::size_t wanted = 0;
  for (int i = 0; i < count && cached > 0; ++i) wanted += parts[i].iov_len;
  if (cached == 0 || (cached > 0 && static_cast<std::size_t>(cached) == wanted)) return cached;
  if (cached != -EAGAIN) return libc.preadv(fd, parts, count, offset);  // the end of the file, most likely; or an error
  return while_blocking_undisturbed([&] { return libc.preadv(fd, parts, count, offset); });
}
WEFT_EXPORT ssize_t preadv64(int fd, const iovec* parts, int count, off64_t offset) { return preadv(fd, parts, count, offset); }
WEFT_EXPORT ssize_t pread(int fd, void* buffer, size_t bytes, off_t offset) {
  const iovec part{buffer, bytes};
  return parkable() != nullptr && offset >= 0 ? preadv(fd, &part, 1, offset) : libc.pread(fd, buffer, bytes, offset);
}
WEFT_EXPORT ssize_t pread64(int fd, void* buffer, size_t bytes, off64_t offset) { return pread(fd, buffer, bytes, offset); }
WEFT_EXPORT ssize_t __pread_chk(int fd, void* buffer, size_t bytes, off_t offset, size_t room) {
  if (bytes > room) ::abort();
  return pread(fd, buffer, bytes, offset);
}
WEFT_EXPORT ssize_t __pread64_chk(int fd, void* buffer, size_t bytes, off64_t offset, size_t room) {
  return __pread_chk(fd, buffer, bytes, offset, room);
}

// These move data between two descriptors and wait for both: on a carrier of their own, unless the target never waits.
WEFT_EXPORT ssize_t sendfile(int out, int in, off_t* offset, size_t bytes) {
  user_thread* me = parkable();
  if (me == nullptr || known_nonblocking(out)) return touch(), libc.sendfile(out, in, offset, bytes);
  if (after_eagain(out) == -EAGAIN) return libc.sendfile(out, in, offset, bytes);
  return while_blocking_undisturbed([&] { return libc.sendfile(out, in, offset, bytes); });
}
WEFT_EXPORT ssize_t sendfile64(int out, int in, off64_t* offset, size_t bytes) { return sendfile(out, in, offset, bytes); }
WEFT_EXPORT ssize_t splice(int in, off64_t* in_at, int out, off64_t* out_at, size_t bytes, unsigned flags) {
  return while_blocking_undisturbed([&] { return libc.splice(in, in_at, out, out_at, bytes, flags); });
}
WEFT_EXPORT ssize_t tee(int in, int out, size_t bytes, unsigned flags) {
  return while_blocking_undisturbed([&] { return libc.tee(in, out, bytes, flags); });
}
WEFT_EXPORT ssize_t vmsplice(int fd, const iovec* parts, size_t count, unsigned flags) {
  return while_blocking_undisturbed([&] { return libc.vmsplice(fd, parts, count, flags); });
}
