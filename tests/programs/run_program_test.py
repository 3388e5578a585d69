#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Runs one real program natively and under every model, and compares: run_program_test.py --weft W --bin DIR NAME.

--native runs it natively twice: shows that the test itself is sound, without Weft.
"""
import argparse
import pathlib
import sys
import tempfile

import servers
from cases import CASES, run_case
from harness import Failure


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weft", required=True, type=pathlib.Path, help="the tool")
    parser.add_argument("--bin", required=True, type=lambda text: pathlib.Path(text).resolve(), help="where the test programs lie")
    parser.add_argument("--native", action="store_true", help="natively only")
    parser.add_argument("name", choices=sorted([*CASES, *servers.SERVERS]))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="weft-programs-") as directory:
        workdir, weft = pathlib.Path(directory), options.weft.resolve()
        try:
            if options.name in servers.SERVERS:
                right = servers.run_server_case(options.name, weft, workdir, options.native)
            else:
                right = all(list(run_case(options.name, CASES[options.name], weft, options.bin, workdir, options.native)))
        except Failure as failure:
            print(f"{options.name}: FAILED: {failure}")
            right = False
    return 0 if right else 1


sys.exit(main())
