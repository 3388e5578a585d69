#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Checks that every thread function that libc exports is replaced (src/posix/exports.map) or listed, with its reason, in
docs/thread-symbols.md; and that none is both, or listed although this libc does not have it."""
import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FUNCTION = re.compile(r"(pthread|thrd|mtx|cnd|tss|sem)_\w+|call_once")


def exported(library):
    lines = subprocess.run(["readelf", "-W", "--dyn-syms", str(library)], check=True, capture_output=True, text=True).stdout.splitlines()
    rows = [line.split() for line in lines]
    names = {row[7].split("@")[0] for row in rows if len(row) >= 8 and row[3] == "FUNC" and row[6] != "UND"}
    return {name for name in names if FUNCTION.fullmatch(name)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--libc", default=next(iter(sorted(pathlib.Path("/lib").glob("*-linux-gnu/libc.so.6"))), None))
    parser.add_argument("--map", type=pathlib.Path, default=ROOT / "src/posix/exports.map")
    parser.add_argument("--page", type=pathlib.Path, default=ROOT / "docs/thread-symbols.md")
    given = parser.parse_args()
    of_libc = exported(given.libc)
    replaced = set(re.findall(r"^\s*(\w+);", given.map.read_text(), re.M))
    listed = {name for name in re.findall(r"`(\w+)`", given.page.read_text().partition("## Left to libc")[2]) if FUNCTION.fullmatch(name)}
    messages = [f"{given.page}:0: {name} is neither replaced nor listed" for name in sorted(of_libc - replaced - listed)]
    messages += [f"{given.page}:0: {name} is listed, and replaced" for name in sorted(listed & replaced)]
    messages += [f"{given.page}:0: {name} is listed, but libc has no such function" for name in sorted(listed - of_libc)]
    print("\n".join(messages), end="\n" if messages else "")
    return 1 if messages else 0


sys.exit(main())
