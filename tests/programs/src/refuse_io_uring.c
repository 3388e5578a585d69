// SPDX-License-Identifier: BSL-1.0
// refuse_io_uring PROGRAM [ARG...]: runs it in a sandbox in which io_uring_setup fails with EPERM, as in many containers.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

int main(int count, char** arguments) {
  CHECK(count > 1);
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
  char parameters[120] = {0};
  CHECK_EQ(syscall(SYS_io_uring_setup, 1, parameters), -1);
  CHECK_EQ(errno, EPERM);
  execv(arguments[1], arguments + 1);
  return 127;
}
