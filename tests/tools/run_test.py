# SPDX-License-Identifier: BSL-1.0
"""`weft` without a command, and `weft run`: every wrong input is one line and a status; what runs is the program's own."""
import os
import shutil
import signal
import subprocess
import unittest

from support import HANG_LIMIT, ToolTest, clean_environment


class Help(ToolTest):
    def test_alone_prints_help_and_fails_as_usage(self):
        result = self.weft()
        self.assertEqual(result.returncode, 2)
        self.assertIn("Usage: weft COMMAND", result.stderr)

    def test_help_and_version(self):
        for word in ("--help", "-h", "help"):
            result = self.weft(word)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            for command in ("run", "compare", "doctor", "modes"):
                self.assertIn(f"  {command} ", result.stdout)
            self.assertNotIn("measure-threads", result.stdout)
        result = self.weft("--version")
        self.assertRegex(result.stdout, r"^weft \d+\.\d+\.\d+\n$")

    def test_each_command_explains_itself(self):
        for command in ("run", "compare", "doctor", "modes"):
            for words in ((command, "--help"), (command, "-h")):
                result = self.weft(*words)
                self.assertEqual((result.returncode, result.stderr), (0, ""))
                self.assertIn(f"Usage: weft {command}", result.stdout)

    def test_unknown_command_or_option(self):
        self.assert_refused(self.weft("rum"), 2, 'unknown command "rum"', "weft --help")
        self.assert_refused(self.weft("--frob"), 2, 'unknown option "--frob"')


class WrongOptions(ToolTest):
    def refuse(self, words, *fragments, **more):
        self.assert_refused(self.weft("run", *words, "true", **more), 2, *fragments)

    def test_unknown_option_names_the_likely_one(self):
        self.refuse(["--modle=m:n"], "--modle", "did you mean --model?")
        self.refuse(["--frobnicate"], "--frobnicate", "--help")
        self.refuse(["-z"], "-z")

    def test_values(self):
        for option, values in {"--model": ["2:1", "M:N", "", "mn"],
                               "--parallelism": ["0", "1000000000", "-1", "two", "1.5", "1025", "99999999999999999999"],
                               "--stack-size": ["1", "16383", "0", "-4096", "64KB", "K", "99999999999G"],
                               "--slice": ["0", "10001", "fast", "-5"]}.items():
            for value in values:
                with self.subTest(option=option, value=value):
                    self.refuse([f"{option}={value}"], option)
                    if value:
                        self.refuse([option, value], option)

    def test_contradiction(self):
        self.refuse(["--model=n:1", "--parallelism=2"], "model=n:1", "parallelism=2")
        self.refuse(["--model=n:1"], "parallelism=2", env={"WEFT_OPTIONS": "parallelism=2"})

    def test_a_value_cannot_smuggle_in_another_key(self):
        self.refuse(["--model=m:n,stats=1"], "comma")

    def test_missing_value_and_missing_program(self):
        self.assert_refused(self.weft("run", "--model"), 2, "--model needs a value")
        self.assert_refused(self.weft("run"), 2, "no program given")
        self.assert_refused(self.weft("run", "--stats", "--"), 2, "no program given")

    def test_environment(self):
        for text in ("modle=m:n", "model", "model=3:1", "parallelism=0", "stack-size=1", "fsgsbase=maybe", "carriers=1"):
            with self.subTest(text=text):
                self.refuse([], "WEFT_OPTIONS", env={"WEFT_OPTIONS": text})


class UnusablePrograms(ToolTest):
    def refuse(self, program, status, *fragments, **more):
        for command in ("run", "compare"):
            self.assert_refused(self.weft(command, "--", program, **more), status, program, *fragments)

    def test_missing(self):
        self.refuse("no-such-program", 127, "command not found")
        self.refuse(self.path("nowhere"), 127, "no such file")
        self.refuse(self.write("file", "") + "/below", 127, "no such file")
        self.refuse("", 127, "command not found")

    def test_not_executable(self):
        self.refuse(self.directory, 126, "directory")
        self.refuse(self.write("plain", "#!/bin/sh\n", 0o644), 126, "not executable")
        self.refuse(self.write("text", "hello\n"), 126, "neither an ELF program nor a script")
        self.refuse(self.write("empty", ""), 126, "neither an ELF program nor a script")

    def test_not_executable_in_path_counts_only_when_no_other_follows(self):
        os.mkdir(self.path("bin"))
        self.write("bin/true", "", 0o644)
        only_here = {"PATH": self.path("bin")}
        result = self.weft("run", "true", env=only_here)
        self.assert_refused(result, 126, "not executable")
        result = self.weft("run", "true", env={"PATH": self.path("bin") + ":/bin"})
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_static_foreign_damaged(self):
        self.refuse(self.static_program(), 126, "statically linked")
        self.refuse(self.foreign_program(183), 126, "64-bit Arm")
        self.refuse(self.foreign_program(3), 126, "weft runs 64-bit x86 programs only")
        self.refuse(self.damaged_program(), 126, "damaged")

    def test_privileged(self):
        for bit, word in ((0o4755, "setuid"), (0o2755, "setgid")):
            program = self.changed_true(word, lambda image: None)
            os.chmod(program, bit)
            self.refuse(program, 126, word, "copy")

    def test_file_capabilities(self):
        program = self.changed_true("capable", lambda image: None)
        net_raw = bytes.fromhex("0100000200200000000000000000000000000000")
        try:
            os.setxattr(program, "security.capability", net_raw)
        except OSError:  # only root may set them; a user then sees the program without any
            self.assertEqual(self.weft("run", program).returncode, 0)
            return
        self.refuse(program, 126, "file capabilities")

    def test_scripts(self):
        self.refuse(self.write("lost", "#!/no/such/interpreter\n"), 127, "/no/such/interpreter")
        self.refuse(self.write("nameless", "#!  \n"), 126, "names no interpreter")
        static = self.static_program()
        result = self.weft("run", self.write("over-static", f"#!{static}\n"))
        self.assert_refused(result, 126, static, "statically linked")
        loop = self.path("loop")
        result = self.weft("run", self.write("loop", f"#!{loop}\n"))
        self.assert_refused(result, 126, "too many scripts")

    def test_missing_library(self):
        os.unlink(self.library)
        for command in ("run", "compare"):
            self.assert_refused(self.weft(command, "true"), 1, "libweft-preload.so", "make")


class Running(ToolTest):
    def output_of(self, *words, **more):
        result = self.weft("run", *words, **more)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def test_exit_status_and_signals_are_the_programs_own(self):
        for status in (0, 1, 2, 42, 126, 127, 255):
            self.assertEqual(self.weft("run", "sh", "-c", f"exit {status}").returncode, status)
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGINT):
            self.assertEqual(self.weft("run", "sh", "-c", f"kill -{int(number)} $$").returncode, -number)

    def test_input_output_and_process_id_are_the_programs_own(self):
        self.assertEqual(self.output_of("cat", input="line one\nline two\n"), "line one\nline two\n")
        with subprocess.Popen([self.tool, "run", "sh", "-c", "echo $$"], stdout=subprocess.PIPE, text=True,
                              env=clean_environment()) as process:
            out, _ = process.communicate(timeout=HANG_LIMIT)
            self.assertEqual(int(out), process.pid)

    def test_options_of_the_program_are_not_eaten(self):
        for separator in ((), ("--",)):
            out = self.output_of("--model=n:1", *separator, "printf", "%s\\n", "--model=zzz", "--help", "--", "-x")
            self.assertEqual(out.split(), ["--model=zzz", "--help", "--", "-x"])
        self.assertEqual(self.output_of("--model", "n:1", "echo", "--stats"), "--stats\n")

    def test_settings_reach_the_program_and_what_it_starts(self):
        wrapper = self.write("wrapper", "#!/bin/sh\nexec sh -c 'echo \"$WEFT_OPTIONS\" \"$LD_PRELOAD\"'\n")
        out = self.output_of("--model=m:n", "--stack-size=64K", "--slice=5", "--parallelism", "3", wrapper)
        self.assertEqual(out, f"model=m:n,parallelism=3,slice=5,stack-size=64K {self.library}\n")

    def test_command_line_wins_over_environment_key_by_key(self):
        out = self.output_of("--model=1:1", "sh", "-c", "echo $WEFT_OPTIONS",
                             env={"WEFT_OPTIONS": "model=n:1,guard=mprotect,"})
        self.assertEqual(out, "guard=mprotect,model=1:1\n")

    def test_last_of_two_options_wins(self):
        self.assertEqual(self.output_of("--slice=5", "--slice=7", "sh", "-c", "echo $WEFT_OPTIONS"), "slice=7\n")

    def test_what_was_preloaded_before_stays_and_weft_does_not_double(self):
        copy = self.path("other.so")
        shutil.copy2(self.library, copy)
        out = self.output_of(self.tool, "run", "sh", "-c", "echo $LD_PRELOAD", env={"LD_PRELOAD": copy})
        self.assertEqual(out, f"{self.library}:{copy}\n")

    def test_stats_is_handed_over(self):
        result = self.weft("run", "--stats", "--model=n:1", "true")
        self.assertEqual((result.returncode, result.stderr), (0, "stand-in: model=n:1\n"))

    def test_scripts_and_their_arguments(self):
        script = self.write("script", "#!/usr/bin/env python3\nimport sys\nprint(sys.argv[1:])\n")
        self.assertEqual(self.output_of(script, "--help", "b"), "['--help', 'b']\n")
        outer = self.write("outer", f"#!{self.write('inner', '#!/bin/sh -e' + chr(10) + 'cat $1' + chr(10))}\nbody\n")
        self.assertIn("body", self.output_of(outer))

    def test_installed_layout(self):
        os.makedirs(self.path("prefix/bin"))
        tool = shutil.copy2(self.tool, self.path("prefix/bin/weft"))
        shutil.copytree(self.path("build/lib"), self.path("prefix/lib"))
        result = self.weft("run", "sh", "-c", "echo $LD_PRELOAD", tool=tool)
        self.assertEqual(result.stdout, self.path("prefix/lib/libweft-preload.so") + "\n")

    def test_a_path_that_cannot_be_preloaded_is_said(self):
        os.rename(self.path("build"), self.path("a b"))
        self.assert_refused(self.weft("run", "true", tool=self.path("a b/weft")), 1, "blank")


if __name__ == "__main__":
    unittest.main()
