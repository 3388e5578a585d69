#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Runs the benchmark programs natively and under Weft, turn by turn, and writes what came out beside what was hoped for.

  bench/run.py [--build build/release] [--runs 7] [--only NAME ...]

Everything is in build/bench/results.json and, as a table, in docs/benchmarks.md; README.md gets the lines that have a goal, between
its markers. Turn by turn, because the machine's mood changes over minutes: what both sides see of it is then the same. Figures are
medians; the spread is from the least to the most.
"""
import argparse
import dataclasses
import json
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parent.parent
ONE_CPU = ("taskset", "-c", "0")
ONE_CARRIER = ("--parallelism=1",)
TWO_CARRIERS = ("--parallelism=2",)
RESULT = re.compile(r"(\w+) ([-+.e\d]+) (\S+)")
MARKERS = ("<!-- benchmarks:begin -->", "<!-- benchmarks:end -->")


@dataclasses.dataclass(frozen=True)
class Program:
    name: str
    weft_options: tuple[str, ...] = TWO_CARRIERS
    native_prefix: tuple[str, ...] = ()
    native_arguments: tuple[str, ...] = ()
    weft_arguments: tuple[str, ...] = ()
    binary: str = ""  # if it is not the name


@dataclasses.dataclass(frozen=True)
class Server:
    """A server on one CPU; request_load, on another one, starts it and prints the figures."""

    name: str
    protocol: str
    connections: int
    port: int
    argv: tuple[str, ...]  # {build} and {port} are filled in


@dataclasses.dataclass(frozen=True)
class Figure:
    """One line of the table: a figure that a program prints, and what is asked of it."""

    program: str
    key: str
    title: str
    goal: str = ""
    met: Callable[[float, float], bool] | None = None  # of native and Weft

    @property
    def place(self):
        return f"{self.program}/{self.key}"


PROGRAMS = (
    Program("yield", ONE_CARRIER, ONE_CPU),
    Program("create_join", ONE_CARRIER, ONE_CPU),
    Program("ping_pong", ONE_CARRIER, ONE_CPU),
    Program("mutex", ONE_CARRIER, ONE_CPU),
    Program("rwlock", ONE_CARRIER, ONE_CPU),
    Program("parked", native_arguments=("20000",), weft_arguments=("100000",)),
    Program("cpu_bound"),
    Program("sleeper"),
    Program("blocked"),
    Program("idle"),
    Program("queue"),
    Program("queue_of_10000", native_arguments=("10000", "20"), weft_arguments=("10000", "20"), binary="queue"),
    Program("messaging_pipe", native_arguments=("pipe",), weft_arguments=("pipe",), binary="messaging"),
    Program("messaging_socket", native_arguments=("socket",), weft_arguments=("socket",), binary="messaging"),
    Program("event"),
    Program("sleepers", native_arguments=("10000",), weft_arguments=("10000",)),
    Server("echo_100", "echo", 100, 7701, ("{build}/bench/echo_server", "{port}")),
    Server("echo_10000", "echo", 10_000, 7702, ("{build}/bench/echo_server", "{port}")),
    Server("memcached", "memcached", 100, 7703, ("memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", "{port}")),
    Server("redis", "redis", 100, 7704, ("redis-server", "--port", "{port}", "--save", "", "--appendonly", "no")),
)

NO_SLOWER = ("0.95 of native at least", lambda n, w: 0.95 * w <= n)

FIGURES = (
    Figure("yield", "switch", "switch by `sched_yield`, one carrier", "≤ 40 ns, 40 times faster", lambda n, w: w <= 40 and n >= 40 * w),
    Figure("create_join", "create_join", "create and join", "≤ 400 ns, 60 times faster", lambda n, w: w <= 400 and n >= 60 * w),
    Figure("ping_pong", "ping_pong_condition", "ping-pong by mutex and condition variable, one carrier, round trip", "≤ 150 ns", lambda n, w: w <= 150),
    Figure("ping_pong", "ping_pong_semaphore", "ping-pong by semaphores, one carrier, round trip"),
    Figure("mutex", "mutex", "lock and unlock a free mutex"),
    Figure("rwlock", "rwlock", "lock for reading and unlock"),
    Figure("queue", "queue", "500 producers and 500 consumers on one queue, two carriers, an item"),
    Figure("parked", "parked_threads", "parked threads with 64 KiB stacks at once"),
    Figure("parked", "parked_create", "creating one of them"),
    Figure("parked", "parked_resident", "memory resident for each", "≤ 10 KiB", lambda n, w: w <= 10),
    Figure("parked", "parked_page_tables", "page tables for each"),
    Figure("cpu_bound", "cpu_bound", "two threads that only compute", "within 2 %", lambda n, w: w <= 1.02 * n),
    Figure("sleeper", "sleeper_median", "sleep of 1 ms beside four loops on two carriers: late, median"),
    Figure("sleeper", "sleeper_p99", "sleep of 1 ms beside four loops on two carriers: late, p99", "≤ 5 ms", lambda n, w: w <= 5),
    Figure("blocked", "blocked_median", "all carriers blocked by unreplaced calls: a ready thread runs after, median"),
    Figure("blocked", "blocked_most", "all carriers blocked by unreplaced calls: a ready thread runs after, worst of 1,000", "≤ 10 ms", lambda n, w: w <= 10),
    Figure("queue_of_10000", "queue", "10,000 producers and 10,000 consumers on one queue, two carriers, an item"),
    Figure("messaging_pipe", "message", "400 threads, messages through pipes, each", *NO_SLOWER),
    Figure("messaging_socket", "message", "400 threads, messages through sockets, each", *NO_SLOWER),
    Figure("event", "event_median", "data in a pipe beside four loops on two carriers: late, median"),
    Figure("event", "event_p99", "data in a pipe beside four loops on two carriers: late, p99", "≤ 5 ms", lambda n, w: w <= 5),
    Figure("sleepers", "sleepers_p99", "10,000 sleepers: late, p99", "1 ms more at most", lambda n, w: w <= n + 1),
    Figure("sleepers", "sleepers_cpu", "10,000 sleepers: CPU for a sleep"),
    *(
        figure
        for server, title in (
            ("echo_100", "echo server, a thread for each of 100 connections"),
            ("echo_10000", "echo server, a thread for each of 10,000 connections"),
            ("memcached", "memcached, 100 connections"),
            ("redis", "redis-server, 100 connections"),
        )
        for figure in (
            Figure(server, "cpu", f"{title}: CPU for a request", *NO_SLOWER),
            Figure(server, "rate", f"{title}: requests"),
            Figure(server, "p99", f"{title}: latency, p99"),
            Figure(server, "resident", f"{title}: memory resident for each"),
        )
    ),
    Figure("idle", "idle_cpu", "CPU used by 10,000 parked threads", "≤ 0.1 %", lambda n, w: w <= 0.1),
)


def command(program, side, build):
    weft = [str(build / "weft"), "run", "--model=m:n"]
    if isinstance(program, Server):
        argv = [part.format(build=build, port=program.port) for part in program.argv]
        load = [str(build / "bench" / "request_load"), program.protocol, str(program.connections), "3", str(program.port)]
        return [*load, *ONE_CPU, *([*weft, "--"] if side == "weft" else []), *argv]
    binary = str(build / "bench" / (program.binary or program.name))
    if side == "native":
        return [*program.native_prefix, binary, *program.native_arguments]
    return [*weft, *program.weft_options, "--", binary, *program.weft_arguments]


def installed(program):
    """Servers that the machine does not have are left out."""
    return not isinstance(program, Server) or program.argv[0].startswith("{") or shutil.which(program.argv[0]) is not None


def run_once(argv, environment=None):
    """What it printed, as {key: (value, unit)}; or in words why there is nothing."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, env=environment)
    except subprocess.TimeoutExpired:
        return None, "no end after 300 s"
    if "runs in model 1:1" in done.stderr:
        return None, done.stderr.strip()
    if done.returncode != 0:
        return None, f"status {done.returncode}: {done.stderr.strip()[-200:]}"
    lines = [RESULT.fullmatch(line) for line in done.stdout.splitlines()]  # servers talk, too
    return {line[1]: (float(line[2]), line[3]) for line in lines if line}, None


def progress(text):
    if sys.stderr.isatty():
        print("\r\033[K" + text, end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)


def measure(programs, runs, build):
    """{program/key: {"unit": u, "native": [values], "weft": [values]}} and the failures as lines."""
    results, failures = {}, []
    for turn in range(runs):
        for program in programs:
            for side in ("native", "weft"):
                progress(f"bench: run {turn + 1} of {runs}: {program.name} ({side})")
                figures, failure = run_once(command(program, side, build))
                if failure:
                    failures.append(f"{program.name} ({side}), run {turn + 1}: {failure}")
                for key, (value, unit) in (figures or {}).items():
                    results.setdefault(f"{program.name}/{key}", {"unit": unit, "native": [], "weft": []})[side].append(value)
    progress("")
    return results, failures


def number(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def cell(values, unit):
    if not values:
        return "failed"
    middle, least, most = statistics.median(values), min(values), max(values)
    if unit == "threads":
        return number(middle)
    return f"{number(middle)} {unit} ({number(least)}–{number(most)})"


def row(figure, result):
    native, weft = result["native"], result["weft"]
    ratio = met = ""
    if native and weft and result["unit"] != "threads":
        n, w = statistics.median(native), statistics.median(weft)
        if n > 0 and w > 0:
            ratio = f"{number(n / w)} times less" if n >= w else f"{number(w / n)} times more"
            ratio = "the same" if 0.98 <= n / w <= 1.02 else ratio
        if figure.met:
            met = "yes" if figure.met(n, w) else "**no**"
    return f"| {figure.title} | {cell(native, result['unit'])} | {cell(weft, result['unit'])} | {ratio} | {figure.goal} | {met} |"


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    cpus = len(re.findall(r"^processor", pathlib.Path("/proc/cpuinfo").read_text(), re.M))
    return f"{cpu.group(1) if cpu else platform.machine()}, {cpus} CPUs, Linux {platform.release()}, {' '.join(platform.libc_ver())}"


def rows(figures, results):
    return [
        "| what | native threads | Weft, `m:n` | Weft needs | goal | met |",
        "|---|---|---|---|---|---|",
        *(row(figure, results[figure.place]) for figure in figures if figure.place in results),
    ]


def table(results, failures, runs):
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench` (`bench/run.py`): plain pthread programs, natively and under `weft run`, turn by turn;",
        f"medians of {runs} runs, in brackets the least and the most. On {machine()}.",
        "Native threads of the lines that say “one carrier” are pinned to one CPU; so are servers, while what asks them runs on another.",
        "",
        *rows(FIGURES, results),
        "",
    ]
    return "\n".join(lines + [f"- Failed: {failure}" for failure in failures] + [""] * bool(failures))


def put_between(markers, lines, document=ROOT / "README.md"):
    """Replaces what stands between the two markers, if they are there."""
    before, begin, rest = document.read_text().partition(markers[0])
    _, end, after = rest.partition(markers[1])
    if end:
        document.write_text("\n".join([before + begin, *lines, end + after]))


def put_into_readme(results, runs):
    """The lines that have a goal."""
    lines = [f"Medians of {runs} runs, in brackets the least and the most. On {machine()}.", "", *rows([each for each in FIGURES if each.goal], results)]
    put_between(MARKERS, lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[program.name for program in PROGRAMS], help="and leave the table in docs/ alone")
    options = parser.parse_args()
    programs = [program for program in PROGRAMS if installed(program) and (not options.only or program.name in options.only)]
    results, failures = measure(programs, options.runs, options.build.resolve())
    text = table(results, failures, options.runs)
    output = ROOT / "build" / "bench"
    output.mkdir(parents=True, exist_ok=True)
    (output / "results.json").write_text(json.dumps({"machine": machine(), "runs": options.runs, "results": results, "failures": failures}, indent=1))
    if not options.only:
        (ROOT / "docs").mkdir(exist_ok=True)
        (ROOT / "docs" / "benchmarks.md").write_text(text)
        put_into_readme(results, options.runs)
    print(text)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
