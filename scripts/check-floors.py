#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Checks that includes go downwards only.

src/ is a house of floors. A file may include files of its own folder and of folders on lower floors, always written
"floor/file.hpp". Folders on the same floor do not know each other. observe/ is a side tower: it reads base/, os/ and
core/snapshot.hpp, and only programs include it. tools/ and inspector/ stand on top and may include everything.
include/ holds what C++ programs see: written "weft/file.hpp", for api/ and above, and it knows nothing of src/.
tests/, bench/ and examples/ are exempt: tests look into everything on purpose.
"""
import argparse
import pathlib
import re
import sys

FLOORS = [
    ["base"],
    ["arch", "os"],
    ["mem", "time"],
    ["core"],
    ["sync", "io", "rescue", "preempt"],
    ["api"],
    ["net"],
    ["posix", "asio", "senders"],
]
LEVEL = {folder: level for level, folders in enumerate(FLOORS) for folder in folders}
TOWER = "observe"
TOWER_READS = {"base", "os"}
TOWER_HEADERS = {"core/snapshot.hpp"}
PROGRAMS = ["tools", "inspector"]
# The schedule explorer's atomics, which take std::atomic's place when a test compiles with WEFT_EXPLORE.
OUTSIDERS = {("base", "explored_atomic.hpp")}

SUFFIXES = {".hpp", ".h", ".cpp", ".cc", ".c", ".S", ".inc", ".ipp"}
INCLUDE = re.compile(r'^\s*#\s*(?:include|import)\s*([<"])([^>"]+)[>"]')


def sources(folder):
    if folder.is_dir():
        yield from sorted(p for p in folder.rglob("*") if p.suffix in SUFFIXES and p.is_file())


def includes(path):
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        found = INCLUDE.match(line)
        if found:
            yield number, found.group(1) == '"', found.group(2)


def judge(own, quoted, target, src):
    """What is wrong with one include of a file in src/own, or None."""
    head = target.split("/")[0]
    known = head in LEVEL or head == TOWER
    if not quoted:
        return f'<{target}> is ours: write "{target}"' if known and (src / target).exists() else None
    if (own, target) in OUTSIDERS:
        return None
    if head == "weft":
        if own not in LEVEL or LEVEL[own] < LEVEL["api"]:
            return f'"{target}" is for api/ and above'
        return None if (src.parent / "include" / target).exists() else f'"{target}" does not exist'
    if "/" not in target or not known:
        return f'"{target}" must be written "floor/file.hpp", with a floor of src/'
    if head == own:
        return None if (src / target).exists() else f'"{target}" does not exist'
    if own == TOWER:
        if head in TOWER_READS or target in TOWER_HEADERS:
            return None
        return f'{TOWER}/ reads only {", ".join(sorted(TOWER_READS))} and {", ".join(sorted(TOWER_HEADERS))}, not "{target}"'
    if head == TOWER:
        return f'nothing in src/ includes {TOWER}/, but {own}/ includes "{target}"'
    if LEVEL[head] > LEVEL[own]:
        return f'{own}/ is on floor {LEVEL[own]} and includes upwards: "{target}" is on floor {LEVEL[head]}'
    if LEVEL[head] == LEVEL[own]:
        return f'{own}/ and {head}/ are neighbours on floor {LEVEL[own]} and must not know each other: "{target}"'
    return None if (src / target).exists() else f'"{target}" does not exist'


def check(root):
    src = root / "src"
    messages = []
    for path in sources(root / "include"):
        for number, quoted, target in includes(path):
            if quoted and not (root / "include" / target).exists():
                messages.append(f'{path.relative_to(root)}:{number}: "{target}" is not in include/')
    for path in sources(src):
        inside = path.relative_to(src)
        own = inside.parts[0] if len(inside.parts) > 1 else ""
        where = path.relative_to(root)
        if own not in LEVEL and own != TOWER:
            messages.append(f"{where}:1: {own or 'src'}/ is not a floor of the house")
            continue
        for number, quoted, target in includes(path):
            wrong = judge(own, quoted, target, src)
            if wrong:
                messages.append(f"{where}:{number}: {wrong}")
    for program in PROGRAMS:
        for path in sources(root / program):
            for number, quoted, target in includes(path):
                if quoted and target.startswith("../"):
                    messages.append(f'{path.relative_to(root)}:{number}: "{target}" must be written "floor/file.hpp"')
    return messages


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent, help="the project's folder")
    messages = check(parser.parse_args().root)
    print("\n".join(messages), end="\n" if messages else "")
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main())
