#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Lets system calls fail, one kind after the other, under a program that uses threads, and says what came of it.

strace makes the call return the error without making it. A run may do its work (status 0: retried, or done in another way),
report an error of a call (3), or fail to be loaded at all (127, or 2 from the library). It may not be killed, get wrong
results (4), hang, or leave processes behind.

  sweep.py --library LIB --program PROG         each fault for ever, one of each kind once
  sweep.py --library LIB --program PROG --full  at every single call
"""
import argparse
import collections
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile

LIMIT_S = 20
RIGHT = {0: "went on", 3: "reported", 2: "did not start", 127: "was not loaded"}

# Call, plausible errors, and whether it can fail for ever. What is not here cannot fail, or not so: a futex wake that is not
# made is a lost wake-up that no kernel produces.
FAULTS = (
    ("arch_prctl", ("EINVAL",), False),  # without the thread pointer libc itself does not start
    ("clone", ("EAGAIN", "ENOMEM"), True),
    ("clone3", ("EAGAIN", "ENOMEM", "ENOSYS"), True),
    ("close_range", ("ENOSYS", "EINVAL", "ENOMEM"), True),
    ("epoll_create1", ("EMFILE", "ENFILE", "ENOMEM"), True),
    ("epoll_ctl", ("ENOMEM", "ENOSPC", "EPERM"), True),
    ("epoll_pwait", ("EINTR",), False),
    ("eventfd2", ("EMFILE", "ENFILE", "ENOMEM"), True),
    ("fcntl", ("EMFILE", "EINVAL"), True),
    ("futex", ("EINTR",), False),
    ("get_robust_list", ("ENOSYS",), True),
    ("getrandom", ("ENOSYS", "EAGAIN"), True),
    ("madvise", ("EINVAL", "ENOMEM", "EAGAIN"), True),
    ("membarrier", ("ENOSYS", "EPERM", "EINVAL"), True),
    ("mmap", ("ENOMEM",), True),
    ("mprotect", ("ENOMEM",), True),
    ("munmap", ("ENOMEM",), True),
    ("openat", ("EMFILE", "ENFILE", "ENOENT"), True),
    ("ppoll", ("EINTR", "ENOMEM"), False),
    ("prctl", ("EPERM", "EINVAL"), True),
    ("pread64", ("EIO",), True),
    ("preadv2", ("ENOSYS", "EOPNOTSUPP"), True),
    ("prlimit64", ("EPERM",), True),
    ("pwritev2", ("ENOSYS", "EOPNOTSUPP"), True),
    ("read", ("EINTR", "EIO"), True),
    ("rseq", ("ENOSYS",), True),
    ("rt_sigaction", ("EINVAL",), True),
    ("sched_getaffinity", ("EPERM", "EINVAL"), True),
    ("sched_setattr", ("EPERM", "EINVAL", "ENOSYS"), True),
    ("sched_yield", ("ENOSYS",), True),
    ("set_robust_list", ("ENOSYS",), True),
    ("sigaltstack", ("ENOMEM", "EPERM"), True),
    ("tgkill", ("EAGAIN",), True),
    ("unshare", ("EPERM", "ENOMEM"), True),
)


class Sweep:
    def __init__(self, library, program, model):
        self.library, self.program, self.model = library, program, model

    def run(self, *strace_options, limit_s=LIMIT_S, natively=False):
        """Status (None: no end), stderr, and whether processes were left behind."""
        command = ["strace", "-f", "-qq"]
        if not natively:
            command += ["-E", f"LD_PRELOAD={self.library}", "-E", f"WEFT_OPTIONS=model={self.model}"]
        with tempfile.TemporaryFile() as err:
            process = subprocess.Popen(
                [*command, *strace_options, self.program], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err,
                start_new_session=True,
            )
            try:
                status = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                status = None
            left = False
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
                left = status is not None
            process.wait()
            err.seek(0)
            return status, err.read().decode(errors="replace"), left

    def count_calls(self):
        """Of the first kernel thread: how often it makes each call, and how often before main (which begins with a pipe)."""
        before, total = collections.Counter(), collections.Counter()
        with tempfile.NamedTemporaryFile("r") as log:
            status, err, _ = self.run("-o", log.name)
            if status != 0:
                raise SystemExit(f"sweep: without any fault: status {status}\n{err}")
            first, in_main = None, False
            for line in log:
                match = re.match(r"(\d+) +(\w+)\(", line)
                if not match or (first or match[1]) != match[1]:
                    continue
                first = match[1]
                in_main = in_main or match[2].startswith("pipe")
                total[match[2]] += 1
                before[match[2]] += not in_main
        return before, total

    def cases(self, full):
        before, total = self.count_calls()
        for call, errors, may_last in FAULTS:
            for error in errors:
                if may_last:
                    yield call, error, f"{before[call] + 1}+"
                single = range(1, total[call] + 3) if full else [before[call] + 1] if error == errors[0] else []
                for n in single:
                    yield call, error, str(n)

    def judge(self, call, fault, limit_s=LIMIT_S):
        """What became of it, whether that is right, and stderr."""
        injected = ("-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:{fault}")
        status, err, left = self.run(*injected, limit_s=limit_s)
        if status is None:
            return f"no end after {limit_s} s", False, err
        if left:
            return "left processes behind", False, err
        if status < 0 and fault.startswith("error=") and self.run(*injected, natively=True)[0] == status:
            return "was killed natively, too", True, err  # the loader's first mapping
        return RIGHT.get(status, f"status {status}"), status in RIGHT, err

    def check_itself(self):
        """A crash and a hang, planted where carriers are made, must be seen."""
        for planted in ("signal=ABRT", "signal=STOP"):
            outcome, right, _ = self.judge("clone", planted, limit_s=3)
            if right:
                raise SystemExit(f"sweep: {planted} was not noticed: {outcome}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", required=True)
    parser.add_argument("--program", required=True)
    parser.add_argument("--model", default="m:n")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", help="this system call")
    options = parser.parse_args()
    sweep = Sweep(options.library, options.program, options.model)
    sweep.check_itself()
    outcomes, failed = collections.Counter(), 0
    for call, error, when in sweep.cases(options.full):
        if options.only not in (None, call):
            continue
        outcome, right, err = sweep.judge(call, f"error={error}:when={when}")
        outcomes[outcome] += 1
        if not right:
            failed += 1
            print(f"{call} {error} when={when}: FAILED: {outcome}\n{err[-1500:]}", flush=True)
    tally = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    print(f"sweep: {options.model}: {outcomes.total()} faults: {tally}")
    return 1 if failed or not outcomes else 0


sys.exit(main())
