# SPDX-License-Identifier: BSL-1.0
"""The driver must see what it is there to see: each kind of end, what a test leaves behind, and which differences to believe."""
import os
import pathlib
import re
import tempfile
import time
import unittest

import execute
import judge
import report
import suite


class ExecuteTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folder = pathlib.Path(directory.name)

    def run_shell(self, script, limit=20):
        return execute.execute(["sh", "-c", script], self.folder / "log", limit)

    def test_the_suites_statuses_have_names(self):
        self.assertEqual([self.run_shell(f"exit {status}").verdict for status in (0, 1, 2, 4, 5)], ["PASS", "FAIL", "UNRESOLVED", "UNSUPPORTED", "UNTESTED"])

    def test_another_status_is_told(self):
        self.assertEqual(self.run_shell("exit 77").verdict, "STATUS-77")

    def test_a_crash_has_its_signals_name(self):
        self.assertEqual(self.run_shell("kill -SEGV $$").verdict, "SIGSEGV")
        self.assertTrue(execute.is_crash_or_hang("SIGSEGV"))

    def test_a_hang_is_ended_and_named(self):
        start = time.monotonic()
        self.assertEqual(self.run_shell("exec sleep 1000", limit=0.3).verdict, "HANG")
        self.assertLess(time.monotonic() - start, 20)

    def test_what_is_left_behind_is_killed_even_in_a_session_of_its_own(self):
        note = self.folder / "left"
        self.assertEqual(self.run_shell(f"setsid sh -c 'echo $$ >{note}; exec sleep 1000' & while [ ! -s {note} ]; do sleep 0.02; done").verdict, "PASS")
        left = pathlib.Path("/proc") / note.read_text().strip() / "stat"
        self.assertTrue(not left.exists() or left.read_text().rsplit(")", 1)[1].split()[0] == "Z")

    def test_what_is_printed_is_kept(self):
        self.run_shell("echo said; echo more >&2")
        self.assertEqual((self.folder / "log").read_text(), "said\nmore\n")

    def test_a_test_has_a_folder_of_its_own(self):
        self.run_shell("touch here; pwd")
        self.assertFalse(os.path.exists((self.folder / "log").read_text().strip()))


def difference(native, seen, reason=""):
    return judge.Difference("t", "m:n", native, seen, reason)


class JudgeTest(unittest.TestCase):
    def test_only_what_differs_at_first_is_suspected(self):
        verdicts = {judge.NATIVE: {"a": ["PASS"], "b": ["PASS"]}, "m:n": {"a": ["PASS"], "b": ["FAIL"]}}
        self.assertEqual(judge.suspects(verdicts, ["m:n"]), [("b", "m:n")])

    def test_what_repeats_is_believed(self):
        self.assertTrue(difference(["PASS"] * 4, ["FAIL", "PASS", "PASS", "FAIL"]).confirmed)

    def test_what_does_not_repeat_is_not(self):
        self.assertFalse(difference(["PASS"] * 4, ["FAIL", "PASS", "PASS", "PASS"]).confirmed)

    def test_what_native_threads_also_say_is_no_difference(self):
        self.assertFalse(difference(["PASS", "FAIL", "PASS", "PASS"], ["FAIL"] * 4).confirmed)

    def test_a_reason_excuses_a_verdict_but_no_crash_and_no_hang(self):
        self.assertTrue(difference(["PASS"] * 4, ["FAIL"] * 4).alarming)
        self.assertFalse(difference(["PASS"] * 4, ["FAIL"] * 4, "because").alarming)
        self.assertTrue(difference(["PASS"] * 4, ["HANG"] * 4, "because").alarming)
        self.assertTrue(difference(["PASS"] * 4, ["SIGSEGV"] * 4, "because").alarming)
        self.assertFalse(difference(["HANG"] * 4, ["FAIL"] * 4, "because").alarming)

    def test_an_unconfirmed_difference_counts_as_the_native_verdict(self):
        verdicts = {judge.NATIVE: {"a": ["PASS"] * 4, "b": ["PASS"] * 4}, "m:n": {"a": ["FAIL", "PASS", "PASS", "PASS"], "b": ["FAIL"] * 4}}
        found = judge.differences(verdicts, [("a", "m:n"), ("b", "m:n")], lambda test: "")
        self.assertEqual(judge.settled(verdicts, found)["m:n"], {"a": "PASS", "b": "FAIL"})


class ReportTest(unittest.TestCase):
    def setUp(self):
        self.tests = [suite.Test(name, pathlib.Path(), pathlib.Path(), reason) for name, reason in (("sem_post/1-1", ""), ("sem_wait/1-1", ""), ("mq_open/1-1", "why"))]

    def lines(self, found):
        verdicts = {judge.NATIVE: {"sem_post/1-1": "PASS", "sem_wait/1-1": "PASS"}, "m:n": {"sem_post/1-1": "PASS", "sem_wait/1-1": "FAIL"}}
        return report.lines_of(self.tests, set(), verdicts, found, ["m:n"], "here")

    def test_counts_and_share(self):
        lines = self.lines([judge.Difference("sem_wait/1-1", "m:n", ["PASS"] * 4, ["FAIL"] * 4)])
        self.assertIn("| semaphores | 2 | 1 |", lines)
        self.assertIn("| share |  | 50.0 % |", lines)
        self.assertIn("| `sem_wait/1-1` | PASS | m:n: FAIL | **unexplained** |", lines)
        self.assertIn("- why: `mq_open/1-1`", lines)

    def test_the_share_is_100_only_if_all_are_the_same(self):
        self.assertEqual(report.share(1999, 2000), "99.9 %")

    def test_the_page_keeps_what_stands_outside_the_markers(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "page.md"
            page.write_text(f"before\n{report.MARKERS[0]}\nold\n{report.MARKERS[1]}\nafter\n")
            report.put_into(page, ["new"])
            self.assertEqual(page.read_text(), f"before\n{report.MARKERS[0]}\nnew\n{report.MARKERS[1]}\nafter\n")


class SuiteTest(unittest.TestCase):
    def test_tests_are_found_and_those_that_set_the_clock_are_not_run(self):
        with tempfile.TemporaryDirectory() as folder:
            tree = pathlib.Path(folder)
            interfaces = tree / "conformance" / "interfaces"
            for path, text in (("f/1-1.c", "int main(){}"), ("f/2-1.c", "clock_settime(1)"), ("f/3-1.c", "/* clock_settime() */"), ("f/testfrmw.c", ""), ("f/4-buildonly.c", "")):
                (interfaces / path).parent.mkdir(parents=True, exist_ok=True)
                (interfaces / path).write_text(text)
            found = suite.find_tests(tree, tree / "out", [(re.compile("f/3-.*"), "told")])
            self.assertEqual([(test.name, test.excluded) for test in found], [("f/1-1", ""), ("f/2-1", "sets the machine's clock"), ("f/3-1", "told")])

    def test_every_rule_has_a_regex_and_a_text(self):
        here = pathlib.Path(__file__).resolve().parent
        for name in ("reasons.tsv", "excluded.tsv"):
            for _, text in suite.read_rules(here / name):
                self.assertTrue(text.strip())


if __name__ == "__main__":
    unittest.main()
