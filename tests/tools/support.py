# SPDX-License-Identifier: BSL-1.0
"""What the tool's tests share: the tool itself, copies of it beside a library of the test's choice, odd programs.

The environment gives WEFT_TOOL (the built tool) and WEFT_STANDIN (the stand-in library).
"""
import os
import shutil
import struct
import subprocess
import tempfile
import unittest

TOOL = os.environ["WEFT_TOOL"]
STANDIN = os.environ.get("WEFT_STANDIN", "")
HANG_LIMIT = 120  # seconds; reached only when something hangs
PT_INTERP, PT_NULL = 3, 0
EI_CLASS, E_MACHINE, E_PHOFF, E_PHNUM, PROGRAM_HEADER_SIZE = 4, 18, 32, 56, 56


def clean_environment(**more):
    kept = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "WEFT_OPTIONS") and not k.startswith("STANDIN_")}
    kept.update(more)
    return kept


class ToolTest(unittest.TestCase):
    """Each test has a directory of its own, with a copy of the tool and the stand-in library."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="weft-tool-test-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.tool = self.path("build/weft")
        self.library = self.path("build/lib/libweft-preload.so")
        os.makedirs(os.path.dirname(self.library))
        shutil.copy2(TOOL, self.tool)
        if STANDIN:
            shutil.copy2(STANDIN, self.library)

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text, mode=0o755):
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def weft(self, *words, tool=None, env=None, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        if "input" in options:
            del options["stdin"]
        return subprocess.run([tool or self.tool, *words], env=clean_environment(**(env or {})), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=HANG_LIMIT, check=False, **options)

    def assert_refused(self, result, status, *fragments):
        """One line on standard error that holds the fragments, nothing on standard output."""
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(result.stdout, "")
        lines = result.stderr.splitlines()
        self.assertEqual(len(lines), 1, result.stderr)
        self.assertTrue(lines[0].startswith("weft"), lines[0])
        for fragment in fragments:
            self.assertIn(fragment, lines[0])

    # Odd programs, made from /bin/true so that no cross compiler is needed.

    def changed_true(self, name, change):
        with open("/bin/true", "rb") as file:
            image = bytearray(file.read())
        change(image)
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(image)
        os.chmod(path, 0o755)
        return path

    def static_program(self):
        def drop_loader(image):
            offset, count = struct.unpack_from("<Q", image, E_PHOFF)[0], struct.unpack_from("<H", image, E_PHNUM)[0]
            for at in range(offset, offset + count * PROGRAM_HEADER_SIZE, PROGRAM_HEADER_SIZE):
                if struct.unpack_from("<I", image, at)[0] == PT_INTERP:
                    struct.pack_into("<I", image, at, PT_NULL)
        return self.changed_true("static", drop_loader)

    def foreign_program(self, machine):
        return self.changed_true("foreign", lambda image: struct.pack_into("<H", image, E_MACHINE, machine))

    def damaged_program(self):
        return self.changed_true("damaged", lambda image: image.__delitem__(slice(40, None)))
