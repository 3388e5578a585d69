#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Compiles every ```cpp block of the given pages: those with a main as programs, which are run, too; all others together, each as the body
of a function of its own, behind whatever it includes or declares at the top."""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HEAD = "#include <weft/weft.hpp>\n#include <cstdio>\n#include <map>\n#include <memory>\n#include <string>\n#include <vector>\nusing namespace std::chrono_literals;\n"


def blocks(page):
    for match in re.finditer(r"^```cpp\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        line = page.read_text()[: match.start()].count("\n") + 2
        yield f"{page.name}:{line}", match[1]


def as_function(number, where, code):
    includes = "".join(re.findall(r"^#include .*\n", code, re.MULTILINE))
    body = re.sub(r"^#include .*\n", "", code, flags=re.MULTILINE)
    return f'{includes}#line 1 "{where}"\nnamespace snippet_{number} {{ [[maybe_unused]] void run() {{\n{body}\n}} }}\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="+", type=pathlib.Path)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--include", required=True)
    parser.add_argument("--library", type=pathlib.Path, required=True)
    options = parser.parse_args()
    command = [options.compiler, "-std=c++20", "-O1", "-Wall", "-Wextra", "-Wno-unused", "-Werror", f"-I{options.include}", "-pthread"]
    link = [str(options.library), f"-Wl,-rpath,{options.library.parent}"]
    programs, functions = [], []
    for page in options.pages:
        for where, code in blocks(page):
            (programs if re.search(r"\bint main\(", code) else functions).append((where, code))
    if not programs or not functions:
        return print("no code found") or 1
    mistakes = 0
    with tempfile.TemporaryDirectory() as folder:
        def build(name, text, *more):
            source = pathlib.Path(folder) / f"{name}.cpp"
            source.write_text(text)
            return subprocess.run([*command, str(source), *more]).returncode == 0
        whole = HEAD + "".join(as_function(i, where, code) for i, (where, code) in enumerate(functions))
        mistakes += not build("functions", whole, "-c", "-o", os.devnull)
        for i, (where, code) in enumerate(programs):
            program = pathlib.Path(folder) / f"program{i}"
            if not build(f"program{i}", f'#line 1 "{where}"\n{code}', *link, "-o", str(program)):
                mistakes += 1
                continue
            done = subprocess.run([program], timeout=120)
            if done.returncode != 0:
                print(f"{where}: status {done.returncode}")
                mistakes += 1
    print(f"{len(programs)} programs, {len(functions)} other snippets, {mistakes} mistakes")
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
