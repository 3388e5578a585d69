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
import statistics
import subprocess
import sys
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parent.parent
ONE_CPU = ("taskset", "-c", "0")
ONE_CARRIER = ("--parallelism=1",)
TWO_CARRIERS = ("--parallelism=2",)
MARKERS = ("<!-- benchmarks:begin -->", "<!-- benchmarks:end -->")


@dataclasses.dataclass(frozen=True)
class Program:
    name: str
    weft_options: tuple[str, ...] = TWO_CARRIERS
    native_prefix: tuple[str, ...] = ()
    native_arguments: tuple[str, ...] = ()
    weft_arguments: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Figure:
    """One line of the table: a figure that a program prints, and what is asked of it."""

    program: str
    key: str
    title: str
    goal: str = ""
    met: Callable[[float, float], bool] | None = None  # of native and Weft


PROGRAMS = (
    Program("yield", ONE_CARRIER, ONE_CPU),
    Program("create_join", ONE_CARRIER, ONE_CPU),
    Program("ping_pong", ONE_CARRIER, ONE_CPU),
    Program("mutex", ONE_CARRIER, ONE_CPU),
    Program("parked", native_arguments=("20000",), weft_arguments=("100000",)),
    Program("cpu_bound"),
    Program("sleeper"),
    Program("blocked"),
    Program("idle"),
    Program("queue"),
)

FIGURES = (
    Figure("yield", "switch", "switch by `sched_yield`, one carrier", "≤ 40 ns, 40 times faster", lambda n, w: w <= 40 and n >= 40 * w),
    Figure("create_join", "create_join", "create and join", "≤ 400 ns, 60 times faster", lambda n, w: w <= 400 and n >= 60 * w),
    Figure("ping_pong", "ping_pong_condition", "ping-pong by mutex and condition variable, one carrier, round trip", "≤ 150 ns", lambda n, w: w <= 150),
    Figure("ping_pong", "ping_pong_semaphore", "ping-pong by semaphores, one carrier, round trip"),
    Figure("mutex", "mutex", "lock and unlock a free mutex"),
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
    Figure("idle", "idle_cpu", "CPU used by 10,000 parked threads", "≤ 0.1 %", lambda n, w: w <= 0.1),
)


def command(program, side, build):
    binary = str(build / "bench" / program.name)
    if side == "native":
        return [*program.native_prefix, binary, *program.native_arguments]
    return [str(build / "weft"), "run", "--model=m:n", *program.weft_options, "--", binary, *program.weft_arguments]


def run_once(argv):
    """What it printed, as {key: (value, unit)}; or in words why there is nothing."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return None, "no end after 300 s"
    if "runs in model 1:1" in done.stderr:
        return None, done.stderr.strip()
    if done.returncode != 0:
        return None, f"status {done.returncode}: {done.stderr.strip()[-200:]}"
    return {key: (float(value), unit) for key, value, unit in (line.split() for line in done.stdout.splitlines())}, None


def progress(text):
    if sys.stderr.isatty():
        print("\r\033[K" + text, end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)


def measure(programs, runs, build):
    """{key: {"unit": u, "native": [values], "weft": [values]}} and the failures as lines."""
    results, failures = {}, []
    for turn in range(runs):
        for program in programs:
            for side in ("native", "weft"):
                progress(f"bench: run {turn + 1} of {runs}: {program.name} ({side})")
                figures, failure = run_once(command(program, side, build))
                if failure:
                    failures.append(f"{program.name} ({side}), run {turn + 1}: {failure}")
                for key, (value, unit) in (figures or {}).items():
                    results.setdefault(key, {"unit": unit, "native": [], "weft": []})[side].append(value)
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
        *(row(figure, results[figure.key]) for figure in figures if figure.key in results),
    ]


def table(results, failures, runs):
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench` (`bench/run.py`): plain pthread programs, natively and under `weft run`, turn by turn;",
        f"medians of {runs} runs, in brackets the least and the most. On {machine()}.",
        "Native threads of the lines that say “one carrier” are pinned to one CPU.",
        "",
        *rows(FIGURES, results),
        "",
    ]
    return "\n".join(lines + [f"- Failed: {failure}" for failure in failures] + [""] * bool(failures))


def put_into_readme(results, runs, readme=ROOT / "README.md"):
    """Replaces what stands between the two markers, if they are there, by the lines that have a goal."""
    before, begin, rest = readme.read_text().partition(MARKERS[0])
    _, end, after = rest.partition(MARKERS[1])
    if not end:
        return
    lines = [f"Medians of {runs} runs, in brackets the least and the most. On {machine()}.", "", *rows([each for each in FIGURES if each.goal], results)]
    readme.write_text("\n".join([before + begin, *lines, end + after]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[program.name for program in PROGRAMS], help="and leave the table in docs/ alone")
    options = parser.parse_args()
    programs = [program for program in PROGRAMS if not options.only or program.name in options.only]
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


sys.exit(main())
