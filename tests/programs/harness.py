# SPDX-License-Identifier: BSL-1.0
"""Runs a program natively and under Weft, and says where the runs differ.

A run that does not end is a failure: what each of its kernel threads is doing is printed before it is killed. Output goes to
files, not pipes, so that a child which outlives its parent cannot hold us up.
"""
import contextlib
import ctypes
import dataclasses
import difflib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

HANG_LIMIT_S = float(os.environ.get("WEFT_TEST_HANG_LIMIT_S", 120))  # lower it to see hangs sooner


class Failure(Exception):
    """What a test found wrong, in words for the person who reads the log."""


def installed(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/bin:/usr/sbin:/usr/local/bin")
    if not found:
        raise Failure(f"{name} is not installed: run scripts/install-deps.sh test")
    return found


@dataclasses.dataclass(frozen=True)
class Variant:
    """One way to run a program: natively (model None), or under a model with further `weft run` options."""

    model: str | None
    options: tuple[str, ...] = ()

    def __str__(self):
        return " ".join(("native",) if self.model is None else (self.model, *self.options))

    def command(self, weft, argv):
        if self.model is None:
            return [str(part) for part in argv]
        return [str(part) for part in (weft, "run", f"--model={self.model}", *self.options, "--", *argv)]


NATIVE = Variant(None)
MODELS = (Variant("m:n"), Variant("n:1"), Variant("1:1"))
USER_LEVEL = MODELS[:2]
# Slices of 1 ms on more slots than CPUs: preemption at its most frequent.
PREEMPTED = MODELS + (Variant("m:n", ("--slice=1", "--parallelism=4")), Variant("n:1", ("--slice=1",)))


def io_uring_works():
    """Sandboxes refuse it, and old kernels lack what is needed."""
    parameters = ctypes.create_string_buffer(120)
    fd = ctypes.CDLL(None, use_errno=True).syscall(425, 1, parameters)
    if fd < 0:
        return False
    os.close(fd)
    features_at, linked_file = 20, 1 << 12
    return bool(int.from_bytes(parameters[features_at : features_at + 4], sys.byteorder) & linked_file)


# For programs that wait for descriptors.
BY_URING = tuple(Variant(each.model, (*each.options, "--io=uring")) for each in PREEMPTED if each.model != "1:1") if io_uring_works() else ()
WAITING = PREEMPTED + BY_URING


@dataclasses.dataclass
class Result:
    status: int
    stdout: bytes
    stderr: str
    models: list[str]  # what each process that ended by itself says it ran as
    rescues: int  # the most that one of them needed
    waited_with: set[str]  # "epoll", "uring"


class Session:
    """One program running, in a process group of its own; as another user, if one is named."""

    def __init__(self, weft, variant, argv, workdir, stdin=subprocess.DEVNULL, user=None):
        self.argv, self.variant = argv, variant
        self._files = {name: workdir / f"run.{name}" for name in ("stdout", "stderr", "stats")}
        for file in self._files.values():
            file.unlink(missing_ok=True)
        workdir.chmod(0o755)
        self._files["stats"].touch()
        self._files["stats"].chmod(0o666)  # a program may give up its user before it ends
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "WEFT_OPTIONS": f"stats-file={self._files['stats']}"}
        if variant.model is None:
            del environment["WEFT_OPTIONS"]
        with open(self._files["stdout"], "wb") as out, open(self._files["stderr"], "wb") as err:
            self.process = subprocess.Popen(
                variant.command(weft, argv), stdin=stdin, stdout=out, stderr=err, cwd=workdir, env=environment, start_new_session=True,
                user=user, extra_groups=user and [],
            )  # fmt: skip

    def finish(self, limit_s=HANG_LIMIT_S):
        try:
            status = self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            report = describe_process_group(self.process.pid)
            self.kill()
            raise Failure(
                f"no end after {limit_s} s; kernel threads at that time:\n{report}\n--- stdout\n{tail(self._read('stdout'))}"
                f"\n--- stderr\n{tail(self._read('stderr'))}"
            ) from None
        finally:
            self.kill()  # whatever the program left running
        stats = [json.loads(line) for line in self._read("stats").decode().splitlines()]
        stderr = self._read("stderr").decode(errors="replace")
        rescues = max((line.get("rescues", 0) for line in stats), default=0)
        return Result(status, self._read("stdout"), stderr, [line["model"] for line in stats], rescues,
                      {line.get("io", "none") for line in stats} - {"none"})

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _read(self, name):
        file = self._files[name]
        return file.read_bytes() if file.exists() else b""


def run(weft, variant, argv, workdir, limit_s=HANG_LIMIT_S):
    return Session(weft, variant, argv, workdir).finish(limit_s)


def check_engaged(variant, result):
    """The model that was asked for is the one that ran: a silent fall back to 1:1 would pass every other check."""
    if variant.model is None or result.status < 0:
        return
    if not result.models:
        raise Failure("the program ended by itself and left no line in the stats file")
    for model in result.models:
        if model != variant.model:
            raise Failure(f"ran as {model}; stderr:\n{result.stderr}")
    if "--io=uring" in variant.options and "epoll" in result.waited_with and "epoll is used" not in result.stderr:
        raise Failure("waited with epoll instead of io_uring, and did not say so")


def check_same(what, expected, actual):
    if expected == actual:
        return
    if isinstance(expected, bytes):
        try:
            expected, actual = expected.decode(), actual.decode()
        except UnicodeDecodeError:
            raise Failure(f"{what} differs (binary, {len(expected)} bytes against {len(actual)})") from None
    if isinstance(expected, str):
        lines = difflib.unified_diff(expected.splitlines(), actual.splitlines(), "expected", "actual", lineterm="")
        raise Failure(f"{what} differs:\n" + "\n".join(list(lines)[:60]))
    raise Failure(f"{what} is {describe_status(actual) if what == 'status' else actual}, not {expected}")


def describe_status(status):
    return str(status) if status >= 0 else f"{status} ({signal.Signals(-status).name})"


def tail(output, limit=3000):
    return output[-limit:].decode(errors="replace")


def describe_process_group(group):
    """State, system call and place in the kernel of every kernel thread in the group, as far as /proc lets us see."""
    lines = []
    for process in sorted(pathlib.Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with contextlib.suppress(OSError, IndexError):
            if int(re.sub(r".*\)", "", (process / "stat").read_text()).split()[2]) != group:
                continue
            tasks = sorted((process / "task").iterdir(), key=lambda path: int(path.name))
            lines.append(f"process {process.name}: {len(tasks)} kernel threads, {(process / 'cmdline').read_text().replace(chr(0), ' ')}")
            lines += [describe_task(task) for task in tasks[:40]]
    return "\n".join(lines)


def describe_task(task):
    def read(name):
        with contextlib.suppress(OSError):
            return (task / name).read_text().strip()
        return "?"

    state = re.search(r"^State:\s*(.*)$", read("status"), re.M)
    switches = re.findall(r"voluntary_ctxt_switches:\s*(\d+)", read("status"))
    stack = "; ".join(re.findall(r"\] (\w+)", read("stack"))[:6])
    return (
        f"  {task.name} {read('comm')}: {state.group(1) if state else '?'}, wchan {read('wchan')}, syscall {read('syscall')[:60]}, "
        f"switches {'/'.join(switches)}, stack {stack}"
    )


def run_variants(name, variants, body):
    """Calls `body(variant)` for each and turns what it raises into a report. True if none failed."""
    failed = []
    for variant in variants:
        try:
            body(variant)
            print(f"{name}: {variant}: right", flush=True)
        except Failure as failure:
            failed.append(variant)
            print(f"{name}: {variant}: FAILED: {failure}", flush=True)
    if failed:
        print(f"{name}: {len(failed)} of {len(variants)} ways to run it failed", file=sys.stderr)
    return not failed
