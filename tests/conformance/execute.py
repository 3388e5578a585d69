# SPDX-License-Identifier: BSL-1.0
"""Runs one test: in a session, a folder and a time limit of its own, and says in one word what came of it.

A test may fork, change its group or session, and die before its children do. All of them carry a mark in their environment, by which
they are found and killed afterwards, so that a hanging child cannot disturb the tests that follow.
"""
import dataclasses
import itertools
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile
import time

# The suite's exit statuses.
VERDICTS = {0: "PASS", 1: "FAIL", 2: "UNRESOLVED", 4: "UNSUPPORTED", 5: "UNTESTED"}
MARK = "CONFORMANCE_TEST"
LOG_BYTES = 200_000
numbers = itertools.count()


@dataclasses.dataclass(frozen=True)
class Outcome:
    verdict: str
    seconds: float


def is_crash_or_hang(verdict):
    return verdict == "HANG" or verdict.startswith("SIG")


def prepare_this_process():
    """What tests inherit: no core files, and no signal ignored. A caught signal is at its default again in a program that is started."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def marked_processes(mark):
    for environment in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in environment.read_bytes().split(b"\0"):
                yield int(environment.parent.name)
        except OSError:
            pass  # it ended, or is not ours


def kill_marked(mark):
    while found := list(marked_processes(mark)):
        for process in found:
            try:
                os.kill(process, signal.SIGKILL)
            except OSError:
                pass
        time.sleep(0.02)


def verdict_of(status):
    if status >= 0:
        return VERDICTS.get(status, f"STATUS-{status}")
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"SIG-{-status}"


def execute(command, log, limit):
    """Waits for it, `limit` seconds at most. What it printed is in `log`."""
    mark = f"{os.getpid()}.{next(numbers)}"
    folder = tempfile.mkdtemp(prefix="conformance.")
    os.chmod(folder, 0o777)  # some tests go on as another user
    environment = os.environ | {"LC_ALL": "C", "TMPDIR": folder, MARK: mark}
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=folder, env=environment, start_new_session=True)
        try:
            verdict = verdict_of(process.wait(limit))
        except subprocess.TimeoutExpired:
            verdict = "HANG"
        seconds = time.monotonic() - start
        kill_marked(f"{MARK}={mark}".encode())
        process.wait()
    if log.stat().st_size > LOG_BYTES:
        os.truncate(log, LOG_BYTES)
    shutil.rmtree(folder, ignore_errors=True)
    return Outcome(verdict, seconds)
