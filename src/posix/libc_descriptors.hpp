// SPDX-License-Identifier: BSL-1.0
// libc's versions of the calls on descriptors that the library replaces; see posix/libc.hpp.
#pragma once
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#define WEFT_LIBC_DESCRIPTOR_FUNCTIONS(F)                                                                             \
  F(ssize_t, read, (int, void*, size_t))                                                                              \
  F(ssize_t, write, (int, const void*, size_t))                                                                       \
  F(ssize_t, readv, (int, const iovec*, int))                                                                         \
  F(ssize_t, writev, (int, const iovec*, int))                                                                        \
  F(ssize_t, pread, (int, void*, size_t, off_t))                                                                      \
  F(ssize_t, preadv, (int, const iovec*, int, off_t))                                                                 \
  F(ssize_t, recv, (int, void*, size_t, int))                                                                         \
  F(ssize_t, recvfrom, (int, void*, size_t, int, sockaddr*, socklen_t*))                                              \
  F(ssize_t, recvmsg, (int, msghdr*, int))                                                                            \
  F(int, recvmmsg, (int, mmsghdr*, unsigned, int, timespec*))                                                         \
  F(ssize_t, send, (int, const void*, size_t, int))                                                                   \
  F(ssize_t, sendto, (int, const void*, size_t, int, const sockaddr*, socklen_t))                                     \
  F(ssize_t, sendmsg, (int, const msghdr*, int))                                                                      \
  F(int, sendmmsg, (int, mmsghdr*, unsigned, int))                                                                    \
  F(ssize_t, sendfile, (int, int, off_t*, size_t))                                                                    \
  F(ssize_t, splice, (int, off64_t*, int, off64_t*, size_t, unsigned))                                                \
  F(ssize_t, tee, (int, int, size_t, unsigned))                                                                       \
  F(ssize_t, vmsplice, (int, const iovec*, size_t, unsigned))                                                         \
  F(int, accept, (int, sockaddr*, socklen_t*))                                                                        \
  F(int, accept4, (int, sockaddr*, socklen_t*, int))                                                                  \
  F(int, connect, (int, const sockaddr*, socklen_t))                                                                  \
  F(int, setsockopt, (int, int, int, const void*, socklen_t))                                                         \
  F(int, poll, (pollfd*, nfds_t, int))                                                                                \
  F(int, ppoll, (pollfd*, nfds_t, const timespec*, const sigset_t*))                                                  \
  F(int, select, (int, fd_set*, fd_set*, fd_set*, timeval*))                                                          \
  F(int, pselect, (int, fd_set*, fd_set*, fd_set*, const timespec*, const sigset_t*))                                 \
  F(int, epoll_wait, (int, epoll_event*, int, int))                                                                   \
  F(int, epoll_pwait, (int, epoll_event*, int, int, const sigset_t*))                                                 \
  F(int, epoll_pwait2, (int, epoll_event*, int, const timespec*, const sigset_t*))                                    \
  F(int, close, (int))                                                                                                \
  F(int, close_range, (unsigned, unsigned, int))                                                                      \
  F(int, dup2, (int, int))                                                                                            \
  F(int, dup3, (int, int, int))                                                                                       \
  F(int, fclose, (FILE*))                                                                                             \
  F(int, ioctl, (int, unsigned long, ...))
