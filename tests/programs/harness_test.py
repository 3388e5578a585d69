# SPDX-License-Identifier: BSL-1.0
"""The harness must see what it is there to see. A stand-in for `weft` plants one fault at a time."""
import contextlib
import io
import pathlib
import tempfile
import unittest

import harness
from harness import Failure, Variant, check_engaged, check_same, run

# Runs the program after `--`; the model it is asked for picks the fault.
STAND_IN = """#!/bin/sh
model=${2#--model=}
shift 3
says=${WEFT_OPTIONS#stats-file=}
case $model in
  right) echo '{"model":"right"}' > "$says"; exec "$@" ;;
  other-model) echo '{"model":"1:1"}' > "$says"; exec "$@" ;;
  silent) exec "$@" ;;
  status) "$@"; exit 9 ;;
  output) "$@"; echo more ;;
  hangs) "$@"; exec sleep 1000 ;;
esac
"""


class HarnessTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.workdir = pathlib.Path(directory.name)
        self.weft = self.workdir / "weft"
        self.weft.write_text(STAND_IN)
        self.weft.chmod(0o755)

    def run_under(self, model, limit_s=60):
        return run(self.weft, Variant(model), ["/bin/echo", "hello"], self.workdir, limit_s)

    def test_a_right_run_passes(self):
        result = self.run_under("right")
        self.assertEqual((result.status, result.stdout), (0, b"hello\n"))
        check_engaged(Variant("right"), result)

    def test_native_runs_without_weft(self):
        self.assertEqual(run(None, harness.NATIVE, ["/bin/echo", "hello"], self.workdir).stdout, b"hello\n")

    def test_another_model_than_asked_for_is_seen(self):
        with self.assertRaisesRegex(Failure, "ran as 1:1"):
            check_engaged(Variant("other-model"), self.run_under("other-model"))

    def test_a_library_that_was_never_loaded_is_seen(self):
        with self.assertRaisesRegex(Failure, "no line in the stats file"):
            check_engaged(Variant("silent"), self.run_under("silent"))

    def test_status_and_output_differ(self):
        with self.assertRaisesRegex(Failure, "status is 9, not 0"):
            check_same("status", 0, self.run_under("status").status)
        with self.assertRaisesRegex(Failure, r"(?s)stdout differs.*\+more"):
            check_same("stdout", b"hello\n", self.run_under("output").stdout)
        with self.assertRaisesRegex(Failure, r"-11 \(SIGSEGV\)"):
            check_same("status", 0, -11)

    def test_a_hang_is_described_and_ended(self):
        with self.assertRaisesRegex(Failure, r"(?s)no end after 1 s.*sleep: S \(sleeping\).*--- stdout\nhello"):
            self.run_under("hangs", limit_s=1)

    def test_a_failure_of_one_variant_fails_the_test(self):
        def body(variant):
            if variant.model == "bad":
                raise Failure("planted")

        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            self.assertTrue(harness.run_variants("name", [Variant("good")], body))
            self.assertFalse(harness.run_variants("name", [Variant("good"), Variant("bad"), Variant("good")], body))


unittest.main()
