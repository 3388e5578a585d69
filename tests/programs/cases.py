# SPDX-License-Identifier: BSL-1.0
"""The programs that only have to be started: what to run, under which models, and what to compare."""
import contextlib
import dataclasses
import hashlib
import os
import pathlib
import random
import re
import sys
from collections.abc import Callable

from beside import postgres, web_server
from harness import (
    BY_URING, MODELS, NATIVE, PREEMPTED, USER_LEVEL, WAITING, Failure, Variant, check_engaged, check_same, installed, run, run_variants, tail,
)  # fmt: skip

HERE = pathlib.Path(__file__).resolve().parent


def same(output):
    return output


def only_lines(pattern):
    """Of an output full of times, only the lines that must be the same every time."""
    return lambda output: b"\n".join(line for line in output.splitlines() if re.search(pattern, line)) + b"\n"


def only_parts(pattern):
    """Of an output full of times and in no certain order, only the parts that must be the same every time: the pattern's groups."""
    return lambda output: b"\n".join(sorted(b" ".join(filter(None, found.groups())) for found in re.finditer(pattern, output, re.M))) + b"\n"


@dataclasses.dataclass(frozen=True)
class Case:
    commands: tuple[tuple[str, ...], ...]  # {bin}, {examples}, {python}, {here} and what `beside` gives are filled in; each is one run
    variants: tuple[Variant, ...] = MODELS
    compare: Callable = same
    prepare: Callable = lambda workdir: None
    beside: Callable = lambda workdir: contextlib.nullcontext({})  # what runs natively beside it; gives further places to fill in
    expected: tuple[int, bytes] | None = None  # instead of a native run, where the system cannot do it natively
    natively: bytes | None = None  # natively it ends with 0 and says what matches: else a broken set-up would be what is compared
    most_rescues: int | None = None  # announced blocking needs none; a few come of a slow disk
    says: str | None = None  # under user-level models stderr has a line that matches; without it stderr is the native one


def program(name, *arguments, **more):
    return Case(commands=(("{bin}/" + name, *arguments),), **more)


def make_text(workdir):
    """16 MiB that compress to about a third, the same on every machine."""
    generator = random.Random(20)
    words = ["".join(generator.choices("etaoinshrdlu", k=generator.randrange(2, 9))) for _ in range(3000)]
    (workdir / "text").write_bytes(" ".join(generator.choices(words, k=2_700_000)).encode()[: 16 << 20])


def make_packed(tool, *arguments):
    def prepare(workdir):
        make_text(workdir)
        packed = run(None, NATIVE, (installed(tool), *arguments, "-c", "text"), workdir)
        (workdir / "packed").write_bytes(packed.stdout)

    return prepare


def stress(stressor, ops, limit_s):
    return ("stress-ng", "--stdout", "--verify", "--metrics-brief", f"--{stressor}", "1", f"--{stressor}-ops", str(ops), "--timeout", f"{limit_s}s")


def python_tests(names, ignored, **more):
    """The verdict on every one of Python's own tests, four files at a time."""
    ignored = tuple(part for pattern in ignored for part in ("-i", pattern))
    return Case(
        (("{python}", "-m", "test", "-v", "-j4", *ignored, *names),),
        compare=only_parts(rb"^(?:(\w+ \([\w.]+\)) )?(?:.* )?(ok|FAIL|ERROR|skipped .+|expected failure)$|^(Ran \d+ tests)|^(Tests result: .*)"),
        natively=rb"^Tests result: SUCCESS$",
        **more,
    )


PGBENCH = ("{postgres}/pgbench", "-h", "{socket}", "-U", "weft", "-n")
ENDINGS = "main-exits-pthread main-returns main-exits thread-exits thread-exits-at-once abort crash raise killed".split()

CASES = {
    "load_while_running": program("load_while_running", "{bin}/tls_plugin.so"),
    "load_while_running_static": program("load_while_running", "{bin}/tls_plugin_static.so"),
    "thread_limit": program("thread_limit"),
    "malloc_stdio": program("malloc_stdio", variants=PREEMPTED),
    "exceptions": program("exceptions", variants=PREEMPTED),
    "thread_locals": program("thread_locals", variants=PREEMPTED),
    "per_thread_state": program("per_thread_state", variants=PREEMPTED),
    "mutexes": program("mutexes", variants=PREEMPTED),
    "condition_variables": program("condition_variables", variants=PREEMPTED),
    "other_sync": program("other_sync"),
    "handed_off": program("handed_off", variants=PREEMPTED, most_rescues=20),
    "rwlocks": program("rwlocks", variants=PREEMPTED),
    "futexes": program("futexes"),
    "lock_answers": program("lock_answers"),
    "resolver_state": program("resolver_state", variants=PREEMPTED),
    "robust_mutexes": program("robust_mutexes"),
    "shared_locks": program("shared_locks"),
    "pthread_exit": program("pthread_exit", variants=PREEMPTED),
    "cpu_time": program("cpu_time", variants=PREEMPTED),
    "create_join": program("create_join"),
    "cancellation": program("cancellation", variants=PREEMPTED),
    "cancellation_at_once": program("cancellation_at_once", variants=PREEMPTED),
    "credentials": program("credentials"),
    "descriptor_traps": program("descriptor_traps", variants=MODELS + BY_URING),
    "descriptors": program("descriptors", variants=PREEMPTED),
    "descriptors_by_uring": program("descriptors", "closes-late", variants=BY_URING),
    "io_uring_refused": program(
        "refuse_io_uring", "{bin}/waiting_crowd", variants=tuple(Variant(each.model, ("--io=uring",)) for each in USER_LEVEL),
        says=r"^weft: io=uring: .*EPERM.*epoll is used$",
    ),
    "io_uring_refused_quietly": program("refuse_io_uring", "{bin}/waiting_crowd", variants=USER_LEVEL),
    "waiting_crowd": program("waiting_crowd", variants=WAITING),
    "endings": Case(tuple(("{bin}/endings", how) for how in ENDINGS)),
    "scheduling": program("scheduling", variants=PREEMPTED),
    "thread_names": program("thread_names"),
    "thread_ids": program("thread_ids", variants=PREEMPTED),
    "stack_overflow": program("stack_overflow", says=r"^weft: .*deep-thread"),
    "fork_storm": program("fork_storm"),
    "processes": program("processes", variants=PREEMPTED),
    "fork_with_threads": program("fork_with_threads"),
    "scale_crowd": program("scale", "crowd", "100000", variants=USER_LEVEL, expected=(0, b"100000 threads were parked\n")),
    "scale_lives": program("scale", "lives", "100000"),
    "scale_peak": program("scale", "peak", "20000", variants=USER_LEVEL, expected=(0, b"20000 threads came and went, twice\n")),
    "signals_alarm": program("signals", "alarm", variants=PREEMPTED),
    "signals_interrupt": program("signals", "interrupt"),
    "signals_sigwait": program("signals", "sigwait"),
    "signals_masks": program("signals", "masks"),
    "signals_one_thread": program("signals", "one-thread"),
    "signals_exact": program("signals_exact", variants=PREEMPTED),
    "signals_storm": Case((("{bin}/signals_storm", "64", "40000"), ("{bin}/signals_storm", "1000", "40000"))),
    "signals_terminated": program("signals", "terminated"),
    "sleeping": program("sleeping"),
    "sleeping_interrupted": program("sleeping", "interrupted"),
    "busy_waiting": program("busy_waiting", variants=MODELS + (Variant("m:n", ("--parallelism=1",)),)),
    "blocked_carriers": program("blocked_carriers", variants=MODELS + (Variant("m:n", ("--parallelism=1",)),)),
    "openmp": program("openmp"),
    "rust_threads": program("rust_threads"),
    "wrapper_script": Case((("/bin/sh", "-c", '"$0/mutexes" && "$0/pthread_exit" && exit 5', "{bin}"),)),
    "python_children": Case((("{python}", "{here}/workloads/python_children.py"),)),
    "python_threads": Case((("{python}", "{here}/workloads/python_threads.py"),)),
    "sqlite_writers": Case((("{python}", "{here}/workloads/sqlite_writers.py"),)),
    "many_threads": Case(
        (("{examples}/many_threads", "100000"),),
        variants=tuple(Variant(each.model, ("--stack-size=64K",)) for each in USER_LEVEL),
        expected=(0, b"100000 threads were alive at once, 0 are left\n"),
    ),
    "connections": Case((("{examples}/connections", "--connections", "200", "--requests", "10"),), variants=WAITING),
    "pipeline": Case((("{examples}/pipeline", "300"),)),
    "loops_and_sleepers": Case((("{examples}/loops_and_sleepers", "4", "20", "20"),), compare=only_lines(rb"loops got to run")),
    "sysbench_threads": Case(
        (("sysbench", "threads", "--threads=16", "--events=2000", "--time=0", "--thread-yields=50", "--thread-locks=4", "run"),),
        compare=only_lines(rb"Number of threads|total number of events|Threads started"),
    ),
    "sysbench_mutex": Case(
        (("sysbench", "mutex", "--threads=16", "--mutex-num=32", "--mutex-locks=3000", "--mutex-loops=200", "--time=0", "run"),),
        compare=only_lines(rb"Number of threads|total number of events|Threads started"),
    ),
    # Sixteen threads with a connection each; threads with several connections, which connect anew for each transaction; and threads that sleep.
    "pgbench": Case(
        (
            (*PGBENCH, "-j", "16", "-c", "16", "-t", "50", "postgres"),
            (*PGBENCH, "-S", "-C", "-j", "4", "-c", "12", "-t", "10", "postgres"),
            (*PGBENCH, "-M", "prepared", "-R", "1000", "-j", "8", "-c", "16", "-t", "50", "postgres"),
        ),
        variants=WAITING, beside=postgres, natively=rb"^number of failed transactions: 0 \(0\.000%\)$",
        compare=only_lines(rb"^transaction type|^query mode|^number of|^maximum number"),
    ),
    "curl": Case(
        (("/bin/sh", "-c", "rm -rf got && curl --parallel --parallel-max 20 --config downloads && sha256sum -c sums"),),
        variants=WAITING, beside=web_server, natively=rb": OK$",
    ),
    "python_downloads": Case(
        (("{python}", "{here}/workloads/downloads.py", "localhost:{port}"),), variants=WAITING, beside=web_server, natively=rb"^\d+ files are right$",
    ),
    "python_tests": python_tests(
        ("test_threading", "test_queue", "test_thread", "test_concurrent_futures"),
        # Processes are for the next case; the others sleep for six seconds to see a timeout that shorter ones see as well.
        ("ProcessPool*", "test_map_timeout", "test.test_concurrent_futures.*.test_timeout"),
    ),
    "python_tests_process_pools": python_tests(
        ("test_concurrent_futures",), ("ThreadPool*", "ProcessPoolSpawn*", "ProcessPoolForkserver*", "ProcessPoolForkWaitTest"), variants=MODELS[:1],
    ),
    "stress_ng": Case(
        # The first has a real-time thread that leaves its creator no time to go on, if it is the only one, until it has done all it has to.
        (stress("mutex", 100_000, 60),)
        + tuple(stress(name, 20_000, 60) for name in ("futex", "switch", "poll", "eventfd", "aio"))
        + tuple(stress(name, 2000, 60) for name in ("pthread", "nanosleep", "sleep", "timer"))
        + tuple(stress(name, 2000, 1) for name in ("sem", "membarrier")),  # these take their whole time, whatever number is asked for
        compare=only_parts(rb"(fail.*)|metrc: \[\d+\] (\w+) +[1-9]\d* +\d|(successful run)"),
        natively=rb"\A(\w+\nsuccessful run|successful run\n\w+)\n\Z",
    ),
    "xz": Case(
        (("xz", "-1", "-T4", "--block-size=1MiB", "-c", "text"), ("xz", "-d", "-T4", "-c", "packed")),
        prepare=make_packed("xz", "-1", "-T4", "--block-size=1MiB"),
    ),
    "zstd": Case(
        (("zstd", "-5", "-T4", "-B1MiB", "-q", "-c", "text"), ("zstd", "-d", "-T4", "-q", "-c", "packed")),
        prepare=make_packed("zstd", "-5", "-T4", "-B1MiB", "-q"),
    ),
}


def run_case(name, case, weft, bin_dir, workdir, natively_only):
    python = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
    places = {"bin": bin_dir, "examples": bin_dir.parent.parent / "examples", "python": python, "here": HERE}
    case.prepare(workdir)
    with case.beside(workdir) as more_places:
        for command in case.commands:
            argv = [part.format(**places, **more_places) for part in command]
            argv[0] = installed(argv[0])
            native = run(None, NATIVE, argv, workdir) if case.expected is None else None
            status, stdout = (native.status, case.compare(native.stdout)) if native else case.expected
            if case.natively and (status != 0 or not re.search(case.natively, stdout, re.M)):
                raise Failure(f"natively status {status}, and what should match {case.natively!r} is\n{tail(native.stdout)}\n{native.stderr}")
            digest = hashlib.sha256(stdout).hexdigest()[:12]
            title = " ".join([name, *command[1:]]) if len(case.commands) > 1 else name
            print(f"{title}: expected status {status}, {len(stdout)} bytes of output ({digest})", flush=True)

            def check(variant):
                result = run(weft, variant, argv, workdir)
                user_level = variant.model not in (None, "1:1")
                if case.says and user_level:
                    if not re.search(case.says, result.stderr, re.M):
                        raise Failure(f"stderr has no line that matches {case.says!r}:\n{result.stderr}")
                elif native:
                    check_same("stderr", native.stderr, result.stderr)
                check_same("status", status, result.status)
                check_same("stdout", stdout, case.compare(result.stdout))
                if not argv[-1].endswith("-at-once"):  # _exit leaves no time for statistics
                    check_engaged(variant, result)
                if case.most_rescues is not None and result.rescues > case.most_rescues:
                    raise Failure(f"needed {result.rescues} rescues, more than {case.most_rescues}")

            yield run_variants(title, (NATIVE,) if natively_only and native else case.variants, check)
