#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Asks Weft's C++ library and its rivals the same questions, turn by turn, and writes what came out beside what was hoped for.

  bench/library.py [--build build/release] [--runs 5] [--only QUESTION ...]
  bench/library.py --check        every program, every question, with tiny counts: are the lines well formed?

Everything is in build/bench/library.json and, as a table, in docs/benchmarks-library.md; README.md gets the lines that have a goal,
between its markers. A rival that is not installed has an empty column, and a line that says so; what was not measured is empty.
"""
import argparse
import dataclasses
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
from collections.abc import Callable

sys.dont_write_bytecode = True
import run  # noqa: E402: the other table's tool, beside this one

MARKERS = ("<!-- library-benchmarks:begin -->", "<!-- library-benchmarks:end -->")
MILLION_NEEDS_KIB = 16 << 20  # a million of the biggest, with room for the rest of the machine


@dataclasses.dataclass(frozen=True)
class Rival:
    key: str
    title: str
    program: tuple[str, ...]  # the first part is its name in the build directory
    missing: str = ""         # what to say if it is not there
    pinned: bool = False      # it has no carriers of its own: the kernel must be told


RIVALS = (
    Rival("fiber", "Weft, fibers", ("weft", "fiber"), "the library is not built"),
    Rival("thread", "Weft, threads", ("weft", "thread"), "the library is not built"),
    Rival("std", "`std::thread`", ("std",), pinned=True),
    Rival("boost", "Boost.Fiber", ("boost",), "not built: `scripts/install-deps.sh bench` installs Boost.Fiber"),
    Rival("go", "Go", ("go",), "not built: `scripts/install-deps.sh bench` installs Go, 1.22 or newer"),
)


@dataclasses.dataclass(frozen=True)
class Goal:
    rival: str  # whose
    text: str
    met: Callable[[dict[str, float]], bool]  # of the medians, by rival


def at_most(rival, limit, unit):
    return Goal(rival, f"≤ {limit:g} {unit}", lambda medians: medians[rival] <= limit)


def less_than_go(rival):
    return Goal(rival, "less than Go", lambda medians: medians[rival] < medians["go"])


def both(limit, unit):
    return at_most("fiber", limit, unit), at_most("thread", limit, unit)


@dataclasses.dataclass(frozen=True)
class Figure:
    """One line of the table: a figure that an answer has, and what is asked of it."""

    question: str
    carriers: int
    title: str
    goals: tuple[Goal, ...] = ()
    key: str = ""  # if it is not the question

    @property
    def place(self):
        return place(self.question, self.carriers, self.key or self.question)


def place(question, carriers, key):
    return f"{question}/{carriers}/{key}"


FIGURES = (
    Figure("switch", 1, "switch by yield", (at_most("fiber", 10, "ns"), at_most("thread", 30, "ns"))),
    Figure("spawn_join", 1, "start and join, one after another", (at_most("fiber", 100, "ns"), at_most("thread", 250, "ns"))),
    Figure("spawn_many", 1, "start 100,000, then join them, the second time: each", both(500, "ns")),
    Figure("spawn_many", 2, "the same on two carriers"),
    Figure("mutex", 1, "lock and unlock a free mutex", both(5, "ns")),
    Figure("contended", 2, "1,000 on two carriers lock one mutex: a lock", (at_most("fiber", 12, "ns"),)),
    Figure("channel_one", 1, "round trip through channels without room", (at_most("fiber", 80, "ns"),)),
    Figure("channel_two", 2, "the same on two carriers, free to share one", (at_most("fiber", 150, "ns"),)),
    Figure("channel_apart", 2, "the same, pinned apart", (at_most("fiber", 800, "ns"),)),
    Figure("crowd", 2, "10,000 send to 10,000 through one channel of 16 places, two carriers: an item", both(80, "ns")),
    Figure("skynet", 1, "skynet: a tree with a million leaves", (less_than_go("fiber"),)),
    Figure("skynet", 2, "the same on two carriers", (less_than_go("fiber"),)),
    Figure("parked", 1, "100,000 parked: memory and page tables of each", (at_most("fiber", 4.5, "KiB"),)),
    Figure("parked", 1, "100,000 parked: starting one of them", key="parked_create"),
    Figure("parked_million", 1, "a million parked: memory and page tables of each", (at_most("fiber", 4.5, "KiB"),)),
    Figure("parked_million", 1, "a million parked: starting one of them", key="parked_million_create"),
    Figure("sleepers", 2, "100,000 sleep 1 to 100 ms again and again on two carriers: CPU for a sleep", (less_than_go("fiber"), less_than_go("thread")), "sleepers_each"),
    Figure("sleepers", 2, "the same: CPU within 3 s"),
    Figure("sleepers", 2, "the same: late, on average", key="sleepers_late"),
)


def argv(rival, build, *arguments):
    return [str(build / "bench" / "library" / rival.program[0]), *rival.program[1:], *arguments]


def built(rival, build):
    return pathlib.Path(argv(rival, build)[0]).exists()


def environment(carriers):
    n = str(carriers)
    return {**os.environ, "WEFT_OPTIONS": f"parallelism={n}", "GOMAXPROCS": n, "BENCH_CARRIERS": n}


def ask(rival, build, question, carriers, divisor=1):
    pinned = ["taskset", "-c", "0" if carriers == 1 else "0,1"] if rival.pinned else []
    return run.run_once([*pinned, *argv(rival, build, question, str(divisor))], environment(carriers))


def version(rival, build):
    return subprocess.run(argv(rival, build, "version"), capture_output=True, text=True, check=True).stdout.strip()


def measure(jobs, rivals, runs, build):
    """{question/carriers/key: {"unit": u, "values": {rival: [values]}}} and the failures as {(question, carriers, rival): line}."""
    results, failures = {}, {}
    for turn in range(runs):
        for question, carriers in jobs:
            for rival in rivals:
                run.progress(f"library: run {turn + 1} of {runs}: {question}, carriers {carriers}: {rival.key}")
                figures, failure = ask(rival, build, question, carriers)
                if failure:
                    failures[question, carriers, rival.key] = f"{question}, carriers {carriers} ({rival.title}), run {turn + 1}: {failure}"
                for key, (value, unit) in (figures or {}).items():
                    result = results.setdefault(place(question, carriers, key), {"unit": unit, "values": {}})
                    result["values"].setdefault(rival.key, []).append(value)
    run.progress("")
    return results, failures


def number(value):
    return "0" if value == 0 else run.number(value)


def cell(figure, result, rival, failures):
    values = result["values"].get(rival.key)
    if (figure.question, figure.carriers, rival.key) in failures:
        return "failed"
    if not values:
        return ""
    return f"{number(statistics.median(values))} {result['unit']} ({number(min(values))}–{number(max(values))})"


def verdict(goal, medians):
    try:
        return "yes" if goal.met(medians) else "**no**"
    except KeyError:
        return ""  # one of the two was not measured


WHOSE = {"fiber": "fibers", "thread": "threads"}


def goal_cells(figure, medians):
    """The goals, and whether they are met: one for all, or one for each."""
    texts = {goal.text for goal in figure.goals}
    goal_text = texts.pop() if len(texts) == 1 else ", ".join(f"{WHOSE[goal.rival]} {goal.text}" for goal in figure.goals)
    verdicts = [(WHOSE[goal.rival], verdict(goal, medians)) for goal in figure.goals]
    if len({word for _, word in verdicts}) == 1:
        return goal_text, verdicts[0][1]
    return goal_text, ", ".join(f"{who} {word}" for who, word in verdicts if word)


def row(figure, results, failures):
    result = results.get(figure.place, {"unit": "", "values": {}})
    medians = {key: statistics.median(values) for key, values in result["values"].items()}
    cells = [figure.title, *(cell(figure, result, rival, failures) for rival in RIVALS), *goal_cells(figure, medians)]
    return "| " + " | ".join(cells) + " |"


def rows(figures, results, failures, versions):
    titles = ["what", *(f"{versions.get(rival.key, rival.title)}" for rival in RIVALS), "goal", "met"]
    return ["| " + " | ".join(titles) + " |", "|---" * len(titles) + "|", *(row(figure, results, failures) for figure in figures)]


def introduction(runs):
    return [
        f"Medians of {runs} runs, in brackets the least and the most. On {run.machine()}.",
        "One carrier, where nothing else is said: `parallelism=1`, `GOMAXPROCS=1`, one CPU for `std::thread`.",
    ]


def notes(build, left_out):
    yield "- `std::thread` where others are 100,000: 20,000, which is about what a system has room for; without the kernel's own memory for them. Where it could not at all, its column is empty."
    yield "- Boost.Fiber: round robin and pooled stacks on one carrier, work stealing and stacks from malloc on two; stacks of 64 KiB, as Weft's fibers have."
    yield "- Fibers, Boost.Fiber and `std::thread` join where goroutines have a `sync.WaitGroup` or, in skynet, channels."
    yield from (f"- {rival.title}: {rival.missing}." for rival in RIVALS if not built(rival, build))
    yield from left_out


def table(results, failures, runs, build, versions, left_out):
    return "\n".join([
        "# Benchmarks of the library",
        "",
        "Written by `make bench` (`bench/library.py`): the programs of `bench/library/`, each asked the same, turn by turn.",
        *introduction(runs),
        "",
        *rows(FIGURES, results, failures, versions),
        "",
        *notes(build, left_out),
        *(f"- Failed: {failure}" for failure in failures.values()),
        "",
    ])


def memory_available_kib():
    found = re.search(r"MemAvailable:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return int(found[1]) if found else 0


def check(build):
    """Every program that is built, every question, with tiny counts."""
    mistakes, asked = [], 0
    for question in dict.fromkeys(figure.question for figure in FIGURES):
        keys = {figure.key or figure.question for figure in FIGURES if figure.question == question}
        for rival in RIVALS:
            if not built(rival, build):
                continue
            for carriers in (1, 2):
                asked += 1
                figures, failure = ask(rival, build, question, carriers, divisor=1000)
                if failure is None and figures and figures.keys() != keys:
                    failure = f"printed {sorted(figures)} instead of {sorted(keys)}"
                if failure:
                    mistakes.append(f"{question}, carriers {carriers} ({rival.title}): {failure}")
    for mistake in mistakes:
        print(mistake)
    print(f"{asked} answers, {len(mistakes)} wrong")
    return 1 if mistakes or not asked else 0


def main():
    questions = tuple(dict.fromkeys(figure.question for figure in FIGURES))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=run.ROOT / "build" / "release")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", nargs="+", metavar="QUESTION", choices=questions, help="and leave the tables alone")
    parser.add_argument("--check", action="store_true", help="every question with tiny counts, nothing is written")
    options = parser.parse_args()
    build = options.build.resolve()
    if options.check:
        return check(build)

    rivals = [rival for rival in RIVALS if built(rival, build)]
    versions = {rival.key: version(rival, build) for rival in rivals if rival.key in ("boost", "go")}
    jobs = [job for job in dict.fromkeys((figure.question, figure.carriers) for figure in FIGURES) if not options.only or job[0] in options.only]
    left_out = []
    if ("parked_million", 1) in jobs and memory_available_kib() < MILLION_NEEDS_KIB:
        jobs.remove(("parked_million", 1))
        left_out.append("- A million were not tried: less than 16 GiB of memory are free.")
    results, failures = measure(jobs, rivals, options.runs, build)
    text = table(results, failures, options.runs, build, versions, left_out)
    output = run.ROOT / "build" / "bench"
    output.mkdir(parents=True, exist_ok=True)
    report = {"machine": run.machine(), "runs": options.runs, "versions": versions, "results": results, "failures": list(failures.values())}
    (output / "library.json").write_text(json.dumps(report, indent=1))
    if not options.only:
        (run.ROOT / "docs" / "benchmarks-library.md").write_text(text)
        with_goal = [figure for figure in FIGURES if figure.goals]
        run.put_between(MARKERS, [*introduction(options.runs), "", *rows(with_goal, results, failures, versions)])
    print(text)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
