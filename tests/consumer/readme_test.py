#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""What README.md says about the C++ library is done: its program is built by its command line and by its lines for CMake, and says what
the README says it does."""
import argparse
import pathlib
import re
import sys

from consumer_test import ROOT, environment, expect, in_new_folder, installed, run

CMAKE = "cmake_minimum_required(VERSION 3.25)\nproject(hello LANGUAGES CXX)\nadd_executable(hello hello.cpp)\n"


def section(title):
    found = re.search(rf"(?ms)^## {re.escape(title)}\n(.*?)(?=^## )", (ROOT / "README.md").read_text(encoding="utf-8"))
    expect(found is not None, f"README.md has no section {title}")
    return found[1]


def block(text, language):
    found = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)
    expect(len(found) == 1, f"README.md: one block of {language} is expected there, not {len(found)}")
    return found[0]


def check(build, compiler, folder):
    text = section("The C++ library")
    prefix = installed(build, folder)
    (folder / "hello.cpp").write_text(block(text, "cpp"), encoding="utf-8")
    (folder / "CMakeLists.txt").write_text(CMAKE + block(text, "cmake"), encoding="utf-8")

    compile_line, run_line, says = re.search(r"(?m)^    \$ (g\+\+ .*)\n    \$ (.*)\n((?:    [^$\n].*\n)+)", text).groups()
    says = re.sub(r"(?m)^    ", "", says)
    run("sh", "-c", compile_line.replace("g++", compiler, 1), cwd=folder, env=environment(PKG_CONFIG_PATH=str(prefix / "lib/pkgconfig")))
    run("cmake", "-S", folder, "-B", folder / "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_CXX_COMPILER={compiler}", env=environment())
    run("cmake", "--build", folder / "build", env=environment())

    for model in ("m:n", "n:1"):
        options = {"WEFT_OPTIONS": f"model={model}"}
        by_pkg_config = run("sh", "-c", run_line, cwd=folder, env=environment(LD_LIBRARY_PATH=str(prefix / "lib"), **options))
        by_cmake = run(folder / "build/hello", env=environment(**options))
        for said in (by_pkg_config, by_cmake):
            expect(said == says, f"README.md promises {says!r}; under {model} the program said {said!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="Weft's build directory")
    parser.add_argument("--cxx", default="c++")
    given = parser.parse_args()
    return in_new_folder(lambda folder: check(given.build, given.cxx, folder))


if __name__ == "__main__":
    sys.exit(main())
