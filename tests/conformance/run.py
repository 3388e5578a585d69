#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Runs the Open POSIX test suite natively and under every model, and compares test by test.

  tests/conformance/run.py [--subset REGEX] [--models m:n n:1 1:1] [--jobs N] [--repeat 3]

The suite is fetched on demand (fetch.sh) and kept in build/conformance, with the tests built from it and with what each test printed:
logs/SIDE/TEST.N. The result goes into docs/conformance.md, between its markers, unless only a part was run. Exit status: 0 if no
model crashes or hangs where native threads do not, and every other difference has its reason in reasons.tsv; 1 otherwise.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import platform
import re
import subprocess
import sys

import execute
import judge
import report
import suite
from judge import NATIVE

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FOLDER = ROOT / "build" / "conformance"
MODELS = ("m:n", "n:1", "1:1")
# A test that has not ended natively after this long never will: the longest takes less than a minute.
NATIVE_LIMIT = 90


def progress(text):
    print(f"conformance: {text}", file=sys.stderr, flush=True)


def machine():
    cpu = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return f"{cpu.group(1) if cpu else platform.machine()}, {os.cpu_count()} CPUs, Linux {platform.release()}, {' '.join(platform.libc_ver())}"


def check_engaged(weft, model):
    """A silent fall back to another model would make all verdicts those of native threads."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    stats = FOLDER / "stats"
    stats.unlink(missing_ok=True)
    threads = "import threading; threading.Thread(target=print).start()"
    subprocess.run([weft, "run", f"--model={model}", "--", sys.executable, "-c", threads], env=os.environ | {"WEFT_OPTIONS": f"stats-file={stats}"}, check=True, stdout=subprocess.DEVNULL)
    ran = json.loads(stats.read_text())["model"]
    if ran != model:
        raise SystemExit(f"conformance: {model} was asked for, and {ran} ran")


class Runs:
    """All runs so far: the verdicts {side: {test: [verdict, ...]}}, and how long each test took natively."""

    def __init__(self, weft, jobs):
        self.weft = weft
        self.jobs = jobs
        self.verdicts = collections.defaultdict(lambda: collections.defaultdict(list))
        self.native_seconds = {}

    def limit(self, test, side):
        if side == NATIVE:
            return NATIVE_LIMIT
        if judge.most_common(self.verdicts[NATIVE][test.name]) == "HANG":
            return 20
        return 20 + 2 * self.native_seconds[test.name]

    def run(self, test, side):
        command = [str(test.binary)] if side == NATIVE else [str(self.weft), "run", f"--model={side}", "--", str(test.binary)]
        log = FOLDER / "logs" / side / f"{test.binary.name}.{len(self.verdicts[side][test.name])}"
        return execute.execute(command, log, self.limit(test, side))

    def run_all(self, tests, side):
        """Each test once; the long ones first, and no test beside itself, since many use a name that is the same in each run."""
        ordered = sorted(tests, key=lambda test: -self.native_seconds.get(test.name, 0))
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            for test, outcome in zip(ordered, pool.map(lambda test: self.run(test, side), ordered)):
                self.verdicts[side][test.name].append(outcome.verdict)
                if side == NATIVE:
                    self.native_seconds[test.name] = max(outcome.seconds, self.native_seconds.get(test.name, 0))

    def save(self):
        (FOLDER / "verdicts.json").write_text(json.dumps(self.verdicts, indent=1))


def build_all(tests, tree):
    """The names of those that do not build."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return {test.name for test, done in zip(tests, pool.map(lambda test: suite.build(test, tree), tests)) if not done}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release", help="where weft and its library are")
    parser.add_argument("--subset", type=re.compile, help="only tests in whose name this regex is found; docs/ is left alone")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, help="docs/ is left alone if it is not all")
    parser.add_argument("--jobs", type=int, default=4 * os.cpu_count(), help="tests at once; most of them wait most of the time")
    parser.add_argument("--repeat", type=int, default=3, help="runs on each side by which a difference is confirmed")
    options = parser.parse_args()
    models = [model for model in MODELS if model in options.models]

    execute.prepare_this_process()
    progress("fetching the suite")
    subprocess.run([HERE / "fetch.sh", FOLDER], check=True)
    tree = FOLDER / "posixtestsuite"
    tests = suite.find_tests(tree, FOLDER / "tests", suite.read_rules(HERE / "excluded.tsv"))
    if options.subset:
        tests = [test for test in tests if options.subset.search(test.name)]
    wanted = [test for test in tests if not test.excluded]
    progress(f"building {len(wanted)} tests")
    unbuilt = build_all(wanted, tree)
    wanted = [test for test in wanted if test.name not in unbuilt]

    weft = options.build.resolve() / "weft"
    for model in models:
        check_engaged(weft, model)
    runs = Runs(weft, options.jobs)
    for side in [NATIVE, *models]:
        progress(f"running {len(wanted)} tests: {side}")
        runs.run_all(wanted, side)
        runs.save()
    pairs = judge.suspects(runs.verdicts, models)
    # With fewer at once: the load itself makes some of them differ.
    runs.jobs = max(1, options.jobs // 2)
    for side in [NATIVE, *models]:
        for turn in range(options.repeat):
            again = {test for test, model in pairs if side == NATIVE or (side == model and not judge.confirmed(runs.verdicts, test, model))}
            if again:
                progress(f"repeating {len(again)} that differ: {side}, {turn + 1} of {options.repeat}")
                runs.run_all([test for test in wanted if test.name in again], side)

    reasons = suite.read_rules(HERE / "reasons.tsv")
    found = judge.differences(runs.verdicts, pairs, lambda test: suite.text_for(test, reasons))
    lines = report.lines_of(tests, unbuilt, judge.settled(runs.verdicts, found), found, models, machine())
    runs.save()
    print("\n".join(lines))
    if not options.subset and models == list(MODELS):
        report.put_into(ROOT / "docs" / "conformance.md", lines)
    alarming = [each for each in found if each.alarming]
    for each in alarming:
        progress(f"{each.test} under {each.model}: {judge.counted(each.seen)}, natively {judge.counted(each.native)}")
    return 1 if alarming else 0


sys.exit(main())
