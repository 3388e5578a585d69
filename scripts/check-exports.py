#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Checks what a library shows to the program it is loaded into. Of the preload library:

  E1  Its exported dynamic symbols are exactly the global names of the version script src/posix/exports.map.
  E2  It needs nothing but libc.so.6 and the dynamic loader. libgcc_s, libstdc++ and libunwind would shadow or duplicate
      the program's own (a second _Unwind_* breaks pthread_exit and exceptions).

Of the C++ library (--api):

  E3  Whatever it exports is in namespace weft and not in weft::engine: nothing of the engine, and no inline function of
      libstdc++, which would take the place of the program's own.
"""
import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# A mangled name in weft:: and not in weft::engine: of a function or object, or of what belongs to it or to a class (typeinfo, thunk, guard).
API = re.compile(r"_Z(?:T[VTISHW]|T[hv][n\d_]+_|G[VR])?N[rVK]*[RO]?4weft(?!6engine)")
NEEDED = re.compile(r"^(libc\.so\.6|ld-linux[-a-z0-9_]*\.so\.\d+)$")


def allowed(script):
    """Global names of a version script with their lines, and problems with the script itself."""
    names, problems, section = {}, [], "global"
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group(0).count("\n"), script.read_text(encoding="utf-8"), flags=re.S)
    for number, line in enumerate(text.splitlines(), 1):
        line = re.sub(r"(#|//).*", "", line)
        for token in re.findall(r"global\s*:|local\s*:|[{};]|[^\s{};]+", line):
            if token.rstrip(":").strip() in ("global", "local") and token.endswith(":"):
                section = token.rstrip(":").strip()
            elif token == "{":
                section = "global"
            elif token == "}":
                section = "outside"
            elif token == ";" or section != "global":
                continue
            elif re.fullmatch(r"[A-Za-z_.$][\w.$]*", token):
                names[token] = number
            else:
                problems.append((number, f"{token}: a pattern says nothing exact; list the names"))
    # The name of a version node stands before its brace, outside or at the very start; it is no symbol.
    for node in re.findall(r"([\w.]+)\s*\{", text):
        names.pop(node, None)
    return names, problems


def readelf(*arguments):
    return subprocess.run(["readelf", "-W", *arguments], check=True, capture_output=True, text=True).stdout


def exported(library):
    names = set()
    for line in readelf("--dyn-syms", str(library)).splitlines():
        fields = line.split()
        if len(fields) < 8 or not fields[0].endswith(":") or fields[4] not in ("GLOBAL", "WEAK", "UNIQUE"):
            continue
        # UND: wanted, not given. ABS objects without a size are the names of version nodes.
        if fields[6] == "UND" or (fields[6] == "ABS" and fields[2] == "0"):
            continue
        names.add(fields[7].split("@")[0])
    return names


def check_api(library):
    if not library.is_file():
        return [f"{library}:0: no such library; build it first"]
    given = exported(library)
    if not given:
        return [f"{library}:0: exports nothing"]
    wrong = sorted(name for name in given if name != "weft_library" and not API.match(name))
    names = subprocess.run(["c++filt", *wrong], check=True, capture_output=True, text=True).stdout.splitlines() if wrong else []
    return [f"{library}:0: exports {name}, which is not in weft::, or is the engine's" for name in names]


def check(library, script):
    if not library.is_file():
        return [f"{library}:0: no such library; build it first"]
    names, problems = allowed(script)
    messages = [f"{script}:{number}: {text}" for number, text in problems]
    given = exported(library)
    for name in sorted(given - names.keys()):
        messages.append(f"{library}:0: exports {name}, which {script.name} does not list")
    for name in sorted(names.keys() - given, key=names.get):
        messages.append(f"{script}:{names[name]}: {name} is listed but not exported by {library.name}")
    for needed in re.findall(r"\(NEEDED\).*\[(.*?)\]", readelf("-d", str(library))):
        if not NEEDED.match(needed):
            messages.append(f"{library}:0: needs {needed}; it may need libc and the loader only")
    return messages


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", nargs="?", type=pathlib.Path, default=ROOT / "build/release/lib/libweft-preload.so")
    parser.add_argument("--map", type=pathlib.Path, default=ROOT / "src/posix/exports.map", help="the version script")
    parser.add_argument("--api", action="store_true", help="it is the C++ library")
    given = parser.parse_args()
    messages = check_api(given.library) if given.api else check(given.library, given.map)
    print("\n".join(messages), end="\n" if messages else "")
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main())
