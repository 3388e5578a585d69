# SPDX-License-Identifier: BSL-1.0
"""`weft doctor` and `weft modes`: the shape of what they print, and their answers when something is missing."""
import json
import os
import resource
import unittest

from support import ToolTest

LOOKED_AT = {"CPUs for this process", "FSGSBASE", "Linux", "guard-page advice", "io_uring",
             "membarrier, private expedited", "close_range", "own kernel time slice", "glibc", "glibc private symbols",
             "kernel.pid_max", "kernel.threads-max", "vm.max_map_count", "open files", "user processes",
             "default stack size", "address space", "cgroup pids.max", "cgroup CPU quota", "memory",
             "vm.overcommit_memory", "transparent huge pages", "preload library"}
TRANSITIONS = {"function_call", "vdso_call", "system_call", "page_fault", "user_switch_shared_tls",
               "user_switch_own_tls", "kernel_switch_same_cpu", "kernel_switch_across_cpus", "user_thread_yield",
               "user_thread_create", "kernel_thread_create", "process_create"}


class Doctor(ToolTest):
    def findings(self, **more):
        result = self.weft("doctor", "--json", **more)
        data = json.loads(result.stdout)
        self.assertEqual(result.returncode, 0 if data["user_level_threads"] else 1)
        self.assertEqual(result.stderr, "")
        for each in data["findings"]:
            self.assertIn(each["verdict"], ("good", "fallback", "low", "missing"))
            self.assertTrue(each["found"], each)
            self.assertEqual(each["advice"] == "", each["verdict"] == "good", each)
        return data["user_level_threads"], {each["what"]: each for each in data["findings"]}

    def test_healthy(self):
        works, found = self.findings()
        self.assertTrue(works)
        self.assertEqual(set(found), LOOKED_AT | {"user-level threads, tried"})
        self.assertEqual(found["preload library"]["found"], self.library)

    def test_table(self):
        result = self.weft("doctor")
        lines = result.stdout.splitlines()
        self.assertEqual(lines[0].split()[:3], ["what", "found", "verdict"])
        for what in LOOKED_AT:
            self.assertTrue(any(line.startswith(what + " ") for line in lines), what)
        self.assertEqual(lines[-1], "User-level threads work here (models m:n and n:1).")

    def test_without_library_only_kernel_threads_work(self):
        os.unlink(self.library)
        works, found = self.findings()
        self.assertFalse(works)
        self.assertEqual(found["preload library"]["verdict"], "missing")
        self.assertIn("Only model 1:1 works here", self.weft("doctor").stdout)

    def test_an_engine_that_falls_back_is_found_out(self):
        works, found = self.findings(env={"STANDIN_MODEL": "1:1"})
        self.assertFalse(works)
        self.assertEqual(found["user-level threads, tried"]["found"], "ran as 1:1")

    def test_a_library_that_does_not_load_is_found_out(self):
        with open(self.library, "wb") as file:
            file.write(b"not a library")
        works, found = self.findings()
        self.assertFalse(works)
        self.assertEqual(found["user-level threads, tried"]["found"], "the library did not load")

    def test_low_limits_are_named(self):
        def lower():
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512))
            resource.setrlimit(resource.RLIMIT_AS, (1 << 34, 1 << 34))
        _, found = self.findings(preexec_fn=lower)
        self.assertEqual(found["open files"]["verdict"], "low")
        self.assertEqual(found["open files"]["found"], "256, hard 512")
        self.assertEqual((found["address space"]["verdict"], found["address space"]["found"]), ("low", "16.0 GiB"))

    def test_settings_in_the_environment_do_not_change_the_answer(self):
        works, _ = self.findings(env={"WEFT_OPTIONS": "model=1:1"})
        self.assertTrue(works)

    def test_takes_no_words(self):
        self.assert_refused(self.weft("doctor", "now"), 2, '"now"')
        self.assert_refused(self.weft("doctor", "--jsn"), 2, "did you mean --json?")


class Modes(ToolTest):
    def rows(self, **more):
        result = self.weft("modes", "--json", **more)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        rows = {each["name"]: each for each in json.loads(result.stdout)["transitions"]}
        self.assertEqual(set(rows), TRANSITIONS)
        for each in rows.values():
            if each["ns"] is None:
                self.assertTrue(each["how"].startswith("not measured: "), each)
            else:
                self.assertGreater(each["ns"]["p10"], 0)
                self.assertLessEqual(each["ns"]["p10"], each["ns"]["median"])
                self.assertLessEqual(each["ns"]["median"], each["ns"]["p90"])
        return rows

    def test_rows(self):
        rows = self.rows()
        for name in ("function_call", "vdso_call", "system_call", "page_fault", "user_switch_shared_tls",
                     "kernel_switch_same_cpu", "kernel_thread_create", "process_create"):
            self.assertIsNotNone(rows[name]["ns"], rows[name])

    def test_table(self):
        lines = self.weft("modes").stdout.splitlines()
        self.assertEqual(lines[0].split()[:2], ["transition", "ns"])
        measured = [line for line in lines[2:] if "█" in line]
        self.assertGreaterEqual(len(measured), 8)
        widths = [line.count("█") for line in measured]
        self.assertEqual(widths, sorted(widths))

    def test_one_cpu_is_said_in_its_row(self):
        cpu = min(os.sched_getaffinity(0))
        row = self.rows(preexec_fn=lambda: os.sched_setaffinity(0, {cpu}))["kernel_switch_across_cpus"]
        self.assertEqual((row["ns"], row["how"]), (None, "not measured: only one CPU here"))

    def test_without_user_level_threads_their_rows_say_so(self):
        for env in ({"STANDIN_MODEL": "1:1"}, {"STANDIN_SILENT": "1"}):
            rows = self.rows(env=env)
            self.assertIsNone(rows["user_thread_create"]["ns"])
            self.assertIn("weft doctor", rows["user_thread_yield"]["how"])
        os.unlink(self.library)
        self.assertIn("no preload library", self.rows()["user_thread_create"]["how"])

    def test_takes_no_words(self):
        self.assert_refused(self.weft("modes", "fast"), 2, '"fast"')


if __name__ == "__main__":
    unittest.main()
