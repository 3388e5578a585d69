# SPDX-License-Identifier: BSL-1.0
"""The tests of the Open POSIX test suite: finding them in its tree, and building each one.

A test is a C file with a main of its own, named after the interface or the scenario that it looks at. Built at -O0, because several
spin on plain variables.
"""
import dataclasses
import pathlib
import re
import subprocess

# What several tests include or are started by, and no tests themselves.
HELPERS = {"helper.c", "testfrmw.c", "threads_scenarii.c"}
SETS_THE_CLOCK = re.compile(r"\b(?:clock_settime|settimeofday|stime)\s*\(")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)

AREAS = (
    ("threads", r"pthread_|functional/threads/"),
    ("semaphores", r"sem_|functional/semaphores/"),
    ("signals", r"sig|kill|raise"),
    ("timers and clocks", r"timer_|clock|nanosleep|time|functional/timers/"),
    ("message queues", r"mq_|functional/mqueues/"),
    ("asynchronous I/O", r"aio_|lio_"),
    ("scheduling", r"sched_"),
    ("processes, memory and the rest", r""),
)


@dataclasses.dataclass(frozen=True)
class Test:
    name: str
    source: pathlib.Path
    binary: pathlib.Path
    excluded: str  # why it is not run; empty if it is

    @property
    def area(self):
        return next(area for area, names in AREAS if re.match(names, self.name))


def read_rules(path):
    """The lines `regex<tab>text` of a file, as pairs."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return [(re.compile(names), text) for names, text in (line.split("\t", 1) for line in lines)]


def text_for(name, rules):
    return next((text for names, text in rules if names.fullmatch(name)), "")


def find_tests(tree, binaries, excluded):
    tests = []
    for folder, pattern in (("conformance/interfaces", "[0-9]*.c"), ("functional", "*.c")):
        for source in sorted((tree / folder).rglob(pattern)):
            if source.name in HELPERS or source.stem.endswith("buildonly"):
                continue
            name = str(source.relative_to(tree).with_suffix("")).removeprefix("conformance/interfaces/")
            reason = text_for(name, excluded)
            if SETS_THE_CLOCK.search(COMMENT.sub(" ", source.read_text(errors="replace"))):
                reason = "sets the machine's clock"
            tests.append(Test(name, source, binaries / name.replace("/", "."), reason))
    return tests


def build(test, tree):
    """Builds it, unless that was done before. Whether there is something to run, now."""
    if test.binary.exists():
        return True
    test.binary.parent.mkdir(parents=True, exist_ok=True)
    unfinished = test.binary.with_name(test.binary.name + ".o")
    command = ["gcc", "-std=gnu99", "-O0", "-w", "-fcommon", "-D_GNU_SOURCE", "-D_POSIX_C_SOURCE=200112L", f"-I{tree}/include", f"-I{test.source.parent}",
               f"-I{tree}/functional/threads/include", str(test.source), "-o", str(unfinished), "-lpthread", "-lrt", "-lm"]  # fmt: skip
    forgotten = ["-include", "signal.h", "-include", "fcntl.h", "-include", "string.h"]
    # Some tests forgot a header, but the headers would get in the way of others.
    done = next((1 for extra in ([], forgotten) if subprocess.run(command + extra, capture_output=True).returncode == 0), None)
    if done:
        unfinished.rename(test.binary)
    return bool(done)
