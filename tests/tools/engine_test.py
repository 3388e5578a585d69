# SPDX-License-Identifier: BSL-1.0
"""The tool with the engine itself beside it: what it promises about a run must be true of real programs."""
import json
import os
import re
import unittest

from support import TOOL, ToolTest

THREADS = """
import threading
total = 0
lock = threading.Lock()
def work():
    global total
    for _ in range(100):
        with lock:
            total += 1
threads = [threading.Thread(target=work) for _ in range(50)]
for each in threads: each.start()
for each in threads: each.join()
print(total)
"""


class WithEngine(ToolTest):
    def setUp(self):
        super().setUp()
        self.tool = TOOL  # in place, where it finds the real library

    def test_every_model_gives_the_right_answer_and_reports_itself(self):
        for model in ("m:n", "n:1", "1:1"):
            with self.subTest(model=model):
                result = self.weft("run", f"--model={model}", "--stats", "/usr/bin/python3", "-c", THREADS)
                self.assertEqual((result.returncode, result.stdout), (0, "5000\n"), result.stderr)
                self.assertRegex(result.stderr, rf"^weft: stats: model={re.escape(model)} parallelism=\d+ threads=\d+ "
                                                r"most_alive=\d+ switches=\d+ preemptions=\d+ rescues=\d+ carriers=\d+ io=\w+\n$")

    def test_exit_status_and_input_pass_through(self):
        program = "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.exit(7)"
        for model in ("m:n", "n:1", "1:1"):
            result = self.weft("run", f"--model={model}", "/usr/bin/python3", "-c", program, input="abc\n")
            self.assertEqual((result.returncode, result.stdout, result.stderr), (7, "ABC\n", ""))

    def test_unknown_glibc_falls_back_in_one_line(self):
        result = self.weft("run", "/usr/bin/python3", "-c", THREADS, env={"WEFT_OPTIONS": "glibc=unknown"})
        self.assertEqual((result.returncode, result.stdout), (0, "5000\n"))
        self.assertRegex(result.stderr, r"^weft: \S+ runs in model 1:1: .+\n$")

    def test_the_library_itself_refuses_a_bad_setting(self):
        library = os.path.join(os.path.dirname(TOOL), "lib", "libweft-preload.so")
        result = self.weft("-c", "exit 0", tool="/bin/sh", env={"LD_PRELOAD": library, "WEFT_OPTIONS": "model=4:2"})
        self.assertEqual(result.returncode, 2)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)

    def test_compare_counts_real_threads(self):
        result = self.weft("compare", "--json", "--runs=1", "/usr/bin/python3", "-c", THREADS)
        self.assertEqual(result.returncode, 0, result.stderr)
        for each in json.loads(result.stdout)["models"]:
            self.assertEqual(each["ran_as"], each["model"])
            self.assertGreaterEqual(each["runs"][0]["threads_created"], 50)

    def test_doctor_and_modes_find_the_engine(self):
        result = self.weft("doctor", "--json")
        self.assertEqual(result.returncode, 0, result.stdout)
        rows = {each["name"]: each for each in json.loads(self.weft("modes", "--json").stdout)["transitions"]}
        for name in ("user_thread_create", "user_thread_yield"):
            self.assertIsNotNone(rows[name]["ns"], rows[name])


if __name__ == "__main__":
    unittest.main()
