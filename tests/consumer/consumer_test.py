#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Other people's projects build with Weft and run: by find_package, by pkg-config, and with Weft as a subdirectory.

Weft is installed into one folder and moved to another before it is used, so nothing in it may name the first.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SAYS = "4 threads gave 2002000 to 4 fibers\n"
# What tests, tools and benchmarks want must not be asked for where only the library is.
NOT_NEEDED = ["benchmark", "CLI11", "fmt", "GTest", "nlohmann_json", "OpenMP", "Python3"]


class Failure(Exception):
    pass


def run(*command, env=None, cwd=None):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, env=env, cwd=cwd, timeout=300)
    if done.returncode != 0:
        raise Failure(f"{' '.join(str(c) for c in command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def expect(condition, text):
    if not condition:
        raise Failure(text)


def environment(**more):
    """Ours without what would let the library be found by accident."""
    ours = ("CMAKE_PREFIX_PATH", "DESTDIR", "LD_LIBRARY_PATH", "MAKEFLAGS", "PKG_CONFIG_PATH", "WEFT_OPTIONS")
    return {key: value for key, value in os.environ.items() if key not in ours} | more


def installed(build, folder):
    """A moved installation."""
    first, second = folder / "first", folder / "second/prefix"
    run("cmake", "--install", build, "--prefix", first, env=environment())
    second.parent.mkdir()
    shutil.move(first, second)
    for text in [*second.rglob("*.cmake"), *second.rglob("*.pc")]:
        for place in (first, ROOT, build):
            expect(str(place) not in text.read_text(encoding="utf-8"), f"{text} names {place}")
    return second


def check_programs(folder, library):
    """They run, and use the library that they should: the one in `library`, or none."""
    for kind in ("shared", "static"):
        program = folder / f"with_{kind}"
        for options in ("model=m:n", "model=n:1"):
            said = run(program, env=environment(WEFT_OPTIONS=options))
            expect(said == SAYS, f"{program} under {options} said {said!r}")
        uses = [line for line in run("ldd", program).splitlines() if "libweft" in line]
        if kind == "static":
            expect(not uses, f"{program} uses {uses}")
        else:
            expect(len(uses) == 1 and "libweft.so.0 => " in uses[0], f"{program} uses {uses}")
            found = pathlib.Path(uses[0].split(" => ")[1].rsplit(" (", 1)[0]).resolve()
            expect(found.is_relative_to(library.resolve()), f"{program} uses {found}, not one in {library}")


def configure_and_build(project, folder, compiler, *definitions):
    run("cmake", "-S", HERE / project, "-B", folder, "-G", "Ninja", f"-DCMAKE_CXX_COMPILER={compiler}", *definitions, env=environment())
    run("cmake", "--build", folder, "-j", "2", env=environment())


def find_package(given, folder):
    prefix = installed(given.build, folder)
    configure_and_build("find_package", folder / "build", given.cxx, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror")
    check_programs(folder / "build", prefix / "lib")


def pkg_config(given, folder):
    prefix = installed(given.build, folder)
    run("make", "-f", HERE / "pkg_config/Makefile", f"CXX={given.cxx}", cwd=folder, env=environment(PKG_CONFIG_PATH=str(prefix / "lib/pkgconfig")))
    check_programs(folder, prefix / "lib")


def add_subdirectory(given, folder):
    build, prefix = folder / "build", folder / "prefix"
    configure_and_build("add_subdirectory", build, given.cxx, f"-DWEFT_SOURCE={ROOT}", f"-DCMAKE_C_COMPILER={given.cc}",
                        "-DCMAKE_BUILD_TYPE=Debug", *(f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=ON" for name in NOT_NEEDED))
    check_programs(build, build)
    made = sorted(p.name for p in build.rglob("*") if p.is_file() and "CMakeFiles" not in p.parts and (p.suffix == ".a" or os.access(p, os.X_OK)))
    expect(all(re.fullmatch(r"libweft\.(a|so[.\d]*)|with_shared|with_static", name) for name in made), f"more was built: {made}")
    expect("Total Tests: 0" in run("ctest", "-N", cwd=build), "Weft's tests became the consumer's")
    run("cmake", "--install", build, "--prefix", prefix)
    files = sorted(str(p.relative_to(prefix)) for p in prefix.rglob("*") if p.is_file())
    expect(files == ["bin/with_static"], f"more than the consumer's program was installed: {files}")


def in_new_folder(check):
    """Runs check(folder); the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            check(pathlib.Path(folder))
        except Failure as why:
            print(why, file=sys.stderr)
            return 1
    return 0


CASES = {case.__name__: case for case in (find_package, pkg_config, add_subdirectory)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--build", type=pathlib.Path, required=True, help="Weft's build directory")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--cxx", default="c++")
    given = parser.parse_args()
    return in_new_folder(lambda folder: CASES[given.case](given, folder))


if __name__ == "__main__":
    sys.exit(main())
