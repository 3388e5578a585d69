// SPDX-License-Identifier: BSL-1.0
// libc's versions of the calls that block in the kernel and cannot park (posix/blocking.hpp); see posix/libc.hpp.
#pragma once
#include <aio.h>
#include <fcntl.h>
#include <grp.h>
#include <mqueue.h>
#include <netdb.h>
#include <pwd.h>
#include <resolv.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>

// <resolv.h> renames these.
#undef res_nquery
#undef res_nquerydomain
#undef res_nsearch
#undef res_nsend
#undef res_query
#undef res_querydomain
#undef res_search
#undef res_send

#define WEFT_LIBC_BLOCKING_FUNCTIONS(F)                                                                               \
  F(pid_t, _Fork, (void))                                                                                             \
  F(int, fsync, (int))                                                                                                \
  F(int, fdatasync, (int))                                                                                            \
  F(void, sync, (void))                                                                                               \
  F(int, syncfs, (int))                                                                                               \
  F(int, sync_file_range, (int, off64_t, off64_t, unsigned))                                                          \
  F(int, msync, (void*, size_t, int))                                                                                 \
  F(int, truncate, (const char*, off_t))                                                                              \
  F(int, ftruncate, (int, off_t))                                                                                     \
  F(int, fallocate, (int, int, off_t, off_t))                                                                         \
  F(int, posix_fallocate, (int, off_t, off_t))                                                                        \
  F(ssize_t, copy_file_range, (int, off64_t*, int, off64_t*, size_t, unsigned))                                       \
  F(int, tcdrain, (int))                                                                                              \
  F(ssize_t, getrandom, (void*, size_t, unsigned))                                                                    \
  F(int, flock, (int, int))                                                                                           \
  F(int, lockf, (int, int, off_t))                                                                                    \
  F(int, fcntl, (int, int, ...))                                                                                      \
  F(int, open, (const char*, int, ...))                                                                               \
  F(int, __open_2, (const char*, int))                                                                                \
  F(int, openat, (int, const char*, int, ...))                                                                        \
  F(int, __openat_2, (int, const char*, int))                                                                         \
  F(int, creat, (const char*, mode_t))                                                                                \
  F(FILE*, fopen, (const char*, const char*))                                                                         \
  F(FILE*, freopen, (const char*, const char*, FILE*))                                                                \
  F(int, mkfifo, (const char*, mode_t))                                                                               \
  F(int, mkfifoat, (int, const char*, mode_t))                                                                        \
  F(int, mknod, (const char*, mode_t, dev_t))                                                                         \
  F(int, mknodat, (int, const char*, mode_t, dev_t))                                                                  \
  F(pid_t, wait4, (pid_t, int*, int, rusage*))                                                                        \
  F(pid_t, waitpid, (pid_t, int*, int))                                                                               \
  F(int, waitid, (idtype_t, id_t, siginfo_t*, int))                                                                   \
  F(int, pclose, (FILE*))                                                                                             \
  F(int, getaddrinfo, (const char*, const char*, const addrinfo*, addrinfo**))                                        \
  F(int, getaddrinfo_a, (int, gaicb**, int, sigevent*))                                                               \
  F(int, gai_suspend, (const gaicb* const*, int, const timespec*))                                                    \
  F(int, getnameinfo, (const sockaddr*, socklen_t, char*, socklen_t, char*, socklen_t, int))                          \
  F(hostent*, gethostbyname, (const char*))                                                                           \
  F(hostent*, gethostbyname2, (const char*, int))                                                                     \
  F(int, gethostbyname_r, (const char*, hostent*, char*, size_t, hostent**, int*))                                    \
  F(int, gethostbyname2_r, (const char*, int, hostent*, char*, size_t, hostent**, int*))                              \
  F(hostent*, gethostbyaddr, (const void*, socklen_t, int))                                                           \
  F(int, gethostbyaddr_r, (const void*, socklen_t, int, hostent*, char*, size_t, hostent**, int*))                    \
  F(passwd*, getpwnam, (const char*))                                                                                 \
  F(int, getpwnam_r, (const char*, passwd*, char*, size_t, passwd**))                                                 \
  F(passwd*, getpwuid, (uid_t))                                                                                       \
  F(int, getpwuid_r, (uid_t, passwd*, char*, size_t, passwd**))                                                       \
  F(group*, getgrnam, (const char*))                                                                                  \
  F(int, getgrnam_r, (const char*, group*, char*, size_t, group**))                                                   \
  F(group*, getgrgid, (gid_t))                                                                                        \
  F(int, getgrgid_r, (gid_t, group*, char*, size_t, group**))                                                         \
  F(int, initgroups, (const char*, gid_t))                                                                            \
  F(int, getgrouplist, (const char*, gid_t, gid_t*, int*))                                                            \
  F(int, res_query, (const char*, int, int, unsigned char*, int))                                                     \
  F(int, res_querydomain, (const char*, const char*, int, int, unsigned char*, int))                                  \
  F(int, res_search, (const char*, int, int, unsigned char*, int))                                                    \
  F(int, res_send, (const unsigned char*, int, unsigned char*, int))                                                  \
  F(int, res_nquery, (res_state, const char*, int, int, unsigned char*, int))                                         \
  F(int, res_nquerydomain, (res_state, const char*, const char*, int, int, unsigned char*, int))                      \
  F(int, res_nsearch, (res_state, const char*, int, int, unsigned char*, int))                                        \
  F(int, res_nsend, (res_state, const unsigned char*, int, unsigned char*, int))                                      \
  F(void, openlog, (const char*, int, int))                                                                           \
  F(void, vsyslog, (int, const char*, va_list))                                                                       \
  F(void, __vsyslog_chk, (int, int, const char*, va_list))                                                            \
  F(int, semop, (int, sembuf*, size_t))                                                                               \
  F(int, semtimedop, (int, sembuf*, size_t, const timespec*))                                                         \
  F(ssize_t, msgrcv, (int, void*, size_t, long, int))                                                                 \
  F(int, msgsnd, (int, const void*, size_t, int))                                                                     \
  F(ssize_t, mq_receive, (mqd_t, char*, size_t, unsigned*))                                                           \
  F(ssize_t, mq_timedreceive, (mqd_t, char*, size_t, unsigned*, const timespec*))                                     \
  F(int, mq_send, (mqd_t, const char*, size_t, unsigned))                                                             \
  F(int, mq_timedsend, (mqd_t, const char*, size_t, unsigned, const timespec*))                                       \
  F(int, aio_suspend, (const aiocb* const*, int, const timespec*))
