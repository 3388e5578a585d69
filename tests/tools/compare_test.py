# SPDX-License-Identifier: BSL-1.0
"""`weft compare`: the table, the JSON, failures, interruption; the engine's counts come from the stand-in library."""
import errno
import json
import os
import pty
import select
import signal
import subprocess
import unittest

from support import HANG_LIMIT, ToolTest, clean_environment

ROWS = ["wall time", "user time", "system time", "kernel switches, voluntary", "kernel switches, involuntary",
        "user-level switches", "rescues", "kernel threads at peak", "threads created", "peak memory"]
ALWAYS = {"wall_seconds", "user_seconds", "system_seconds", "voluntary_switches", "involuntary_switches",
          "peak_memory_kib"}
ENGINE = {"user_level_switches", "rescues", "kernel_threads_most", "threads_created"}


class Compare(ToolTest):
    def compare(self, *words, **more):
        env = {"TMPDIR": self.path(""), **more.pop("env", {})}
        return self.weft("compare", *words, env=env, **more)

    def test_table_and_sentence(self):
        result = self.compare("--runs=3", "--", "true")
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = result.stdout.splitlines()
        self.assertIn("median (min–max) of 3", lines[0])
        self.assertEqual(lines[0].split()[-3:], ["m:n", "n:1", "1:1"])
        for row, line in zip(ROWS, lines[2:]):
            self.assertTrue(line.startswith(row), line)
        self.assertEqual(lines[2 + ROWS.index("user-level switches")].split()[-3:], ["12,345", "12,345", "0"])
        self.assertEqual(lines[2 + ROWS.index("kernel threads at peak")].split()[-3:], ["5", "5", "101"])
        self.assertRegex(lines[-1], r"suits this program.*\.$")

    def test_runs_are_interleaved_and_announced(self):
        result = self.compare("--runs=2", "--models=1:1,m:n", "true")
        self.assertEqual(result.stderr.splitlines(), [f"weft compare: run {i} of 4 ({model})" for i, model in
                                                      enumerate(["1:1", "m:n", "1:1", "m:n"], start=1)])

    def test_progress_rewrites_one_line_on_a_terminal_and_leaves_it_clear(self):
        master, slave = pty.openpty()
        subprocess.run([self.tool, "compare", "--runs=1", "true"], stderr=slave, stdout=subprocess.DEVNULL,
                       env=clean_environment(), timeout=HANG_LIMIT, check=True)
        os.close(slave)
        shown = b""
        try:
            while piece := os.read(master, 4096):
                shown += piece
        except OSError as end:  # how a terminal says that nobody writes any more
            self.assertEqual(end.errno, errno.EIO)
        os.close(master)
        self.assertIn(b"\r\033[Kweft compare: run 3 of 3 (1:1)", shown)
        self.assertTrue(shown.endswith(b"\r\033[K"))
        self.assertNotIn(b"\n", shown)

    def test_json_has_every_run(self):
        result = self.compare("--json", "--runs=4", "--models=n:1,1:1", "--", "sh", "-c",
                              "echo noise; /bin/echo noise >&2")
        data = json.loads(result.stdout)
        self.assertEqual((data["program"][0], data["runs"]), ("sh", 4))
        self.assertEqual([each["model"] for each in data["models"]], ["n:1", "1:1"])
        for each in data["models"]:
            self.assertEqual(each["ran_as"], each["model"])
            self.assertEqual(len(each["runs"]), 4)
            for name in ALWAYS | ENGINE:
                samples = [run[name] for run in each["runs"]]
                summary = each["summary"][name]
                self.assertEqual((summary["min"], summary["max"]), (min(samples), max(samples)))
                self.assertLessEqual(summary["min"], summary["median"])
                self.assertLessEqual(summary["median"], summary["max"])
        self.assertIn(data["suits"], ["n:1", "1:1"])
        self.assertTrue(data["why"].endswith("."))

    def test_counts_of_several_processes_add_up_and_peaks_do_not(self):
        data = json.loads(self.compare("--json", "--runs=1", "--models=m:n", "sh", "-c",
                                       "/bin/true; /bin/true; exit 0").stdout)
        run = data["models"][0]["runs"][0]
        self.assertEqual(run["kernel_threads_most"], 5)
        self.assertEqual(run["threads_created"] % 101, 0)
        self.assertGreater(run["threads_created"], 101)

    def test_model_and_settings_reach_the_program(self):
        log = self.path("log")
        result = self.compare("--runs=1", "--parallelism=3", "sh", "-c", f'echo "$WEFT_OPTIONS" >> {log}',
                              env={"WEFT_OPTIONS": "guard=none,model=n:1"})
        self.assertEqual(result.returncode, 0, result.stderr)
        with open(log, encoding="utf-8") as file:
            lines = [dict(item.split("=", 1) for item in line.strip().split(",")) for line in file]
        self.assertEqual([line["model"] for line in lines], ["m:n", "n:1", "1:1"])
        self.assertEqual([line["guard"] for line in lines], ["none"] * 3)
        self.assertEqual([line.get("parallelism") for line in lines], ["3", None, "3"])  # n:1 has no choice

    def test_input_is_empty_and_no_file_is_left(self):
        temporary = self.path("tmp")
        os.mkdir(temporary)
        result = self.compare("--runs=1", "sh", "-c", "test -z \"$(cat)\"", env={"TMPDIR": temporary}, input="x\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(os.listdir(temporary), [])

    def test_the_program_gets_our_signal_mask_not_the_watchers(self):
        result = self.compare("--runs=1", "grep", "-q", "SigBlk:.0*$", "/proc/self/status")
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_failing_run_shows_its_last_words(self):
        result = self.compare("sh", "-c", "seq 100 >&2; echo no disk >&2; exit 3")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        lines = result.stderr.splitlines()
        self.assertIn("weft compare: run 1 under m:n failed: exit status 3", lines)
        self.assertIn("no disk", lines)
        self.assertIn("100", lines)
        self.assertNotIn("50", lines)
        result = self.compare("sh", "-c", "kill -SEGV $$")
        self.assertEqual(result.returncode, 1)
        self.assertIn("killed by SIGSEGV", result.stderr)

    def test_failure_under_a_later_model_names_it(self):
        result = self.compare("--models=m:n,1:1", "sh", "-c", "case $WEFT_OPTIONS in *model=1:1*) exit 9;; esac")
        self.assertEqual(result.returncode, 1)
        self.assertIn("run 1 under 1:1 failed: exit status 9", result.stderr)

    def test_interruption_stops_the_program(self):
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            fifo = self.path(f"fifo{status}")
            os.mkfifo(fifo)
            with subprocess.Popen([self.tool, "compare", "sh", "-c", f"echo $$ > {fifo}; exec sleep 1000"],
                                  env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                with open(fifo, encoding="utf-8") as file:
                    program = int(file.read())
                process.send_signal(number)
                out, _ = process.communicate(timeout=HANG_LIMIT)
            self.assertEqual((process.returncode, out), (status, b""))
            with self.assertRaises(ProcessLookupError):
                os.kill(program, 0)

    def test_what_a_run_leaves_behind_is_killed(self):
        # The shell itself opens the fifo, so that there has been a writer however early the kill comes.
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(reader, True)
        result = self.compare("--runs=1", "--models=m:n", "sh", "-c", f"exec 3> {fifo}; sleep 1000 & exit 0")
        self.assertEqual(result.returncode, 0, result.stderr)
        ended, _, _ = select.select([reader], [], [], HANG_LIMIT)
        self.assertTrue(ended, "sleep still runs")
        self.assertEqual(os.read(reader, 1), b"")  # end of file: the last writer, sleep, is gone
        os.close(reader)

    def test_fallback_and_silence_are_said(self):
        result = self.compare("--runs=1", "true", env={"STANDIN_MODEL": "1:1"})
        self.assertIn("m:n ran as 1:1 here; `weft doctor` says why.", result.stdout)
        self.assertIn("Every model ran as 1:1 here", result.stdout.splitlines()[-1])
        result = self.compare("--runs=1", "--models=m:n,1:1", "true", env={"STANDIN_SILENT": "1"})
        self.assertEqual(result.returncode, 0)
        self.assertEqual(result.stdout.count("not known"), len(ENGINE) * 2 + 2)

    def test_wrong_options(self):
        for words, fragment in ((["--runs=0"], "--runs=0"), (["--runs=1001"], "1000"), (["--runs=many"], "--runs=many"),
                                (["--models=m:n,2:1"], '"2:1"'), (["--models="], "--models"), (["--models=,"], '""'),
                                (["--models=m:n,m:n"], "twice"), (["--model=m:n"], "did you mean --models?"),
                                (["--parallelism=0"], "--parallelism=0"), (["--stack-size=1"], "--stack-size=1")):
            with self.subTest(words=words):
                self.assert_refused(self.compare(*words, "true"), 2, fragment)
        self.assert_refused(self.compare("--runs=1"), 2, "no program given")


if __name__ == "__main__":
    unittest.main()
