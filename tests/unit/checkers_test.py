#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""The checkers in scripts/ are checked: each planted violation must be reported at its line, and clean input must pass."""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"


def run(script, *arguments):
    done = subprocess.run([sys.executable, str(SCRIPTS / script), *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


class Tree(unittest.TestCase):
    def setUp(self):
        keeper = tempfile.TemporaryDirectory()
        self.addCleanup(keeper.cleanup)
        self.root = pathlib.Path(keeper.name)

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def passes(self, *command):
        self.assertEqual(run(*command), (0, ""))

    def fails(self, expected, *command):
        status, output = run(*command)
        self.assertEqual(status, 1, output)
        self.assertIn(expected, output)


class Floors(Tree):
    def setUp(self):
        super().setUp()
        for header in ("base/a.hpp", "arch/a.hpp", "os/a.hpp", "core/a.hpp", "core/snapshot.hpp", "sync/a.hpp", "io/a.hpp", "observe/a.hpp"):
            self.write(f"src/{header}", "#pragma once\n")
        self.command = ("check-floors.py", "--root", self.root)

    def test_downwards_passes(self):
        self.write("src/sync/b.cpp", '#include "sync/a.hpp"\n#include <vector>\n#include "core/a.hpp"\n#include "base/a.hpp"\n')
        self.write("src/observe/b.cpp", '#include "os/a.hpp"\n#include "core/snapshot.hpp"\n#include "observe/a.hpp"\n')
        self.write("src/base/b.hpp", '#include "explored_atomic.hpp"\n')
        self.write("tests/t.cpp", '#include "sync/a.hpp"\n#include "helper.hpp"\n')
        self.passes(*self.command)

    def test_upwards(self):
        self.write("src/base/b.hpp", '\n#include "core/a.hpp"\n')
        self.fails("src/base/b.hpp:2: base/ is on floor 0 and includes upwards", *self.command)

    def test_neighbours(self):
        self.write("src/sync/b.hpp", '#include "io/a.hpp"\n')
        self.fails("src/sync/b.hpp:1: sync/ and io/ are neighbours", *self.command)
        (self.root / "src/sync/b.hpp").unlink()
        self.write("src/os/b.hpp", '#include "arch/a.hpp"\n')
        self.fails("src/os/b.hpp:1: os/ and arch/ are neighbours", *self.command)

    def test_tower(self):
        self.write("src/observe/b.cpp", '#include "core/a.hpp"\n')
        self.fails("src/observe/b.cpp:1: observe/ reads only", *self.command)
        (self.root / "src/observe/b.cpp").unlink()
        self.write("src/sync/b.cpp", '#include "observe/a.hpp"\n')
        self.fails("src/sync/b.cpp:1: nothing in src/ includes observe/", *self.command)

    def test_names(self):
        self.write("src/core/b.cpp", '#include "a.hpp"\n')
        self.fails('src/core/b.cpp:1: "a.hpp" must be written', *self.command)
        self.write("src/core/b.cpp", "#include <base/a.hpp>\n")
        self.fails("src/core/b.cpp:1: <base/a.hpp> is ours", *self.command)
        self.write("src/core/b.cpp", '#include "base/gone.hpp"\n')
        self.fails('src/core/b.cpp:1: "base/gone.hpp" does not exist', *self.command)
        self.write("src/attic/b.cpp", "")
        self.fails("src/attic/b.cpp:1: attic/ is not a floor", *self.command)


class Orders(Tree):
    STORY = "// [door-1] We open the door before we ring, and the guest looks at the door after the bell: one sees the other.\n"
    PARTNER = "int b() { return x.load(memory_order::acquire); }  // [door-1]\n"

    def setUp(self):
        super().setUp()
        self.command = ("check-orders.py", "--root", self.root)

    def test_labelled_orders_pass(self):
        self.write("src/core/a.cpp", "void a() {\n" + self.STORY + "  x.store(1,\n    memory_order::release);\n}\n" + self.PARTNER)
        self.passes(*self.command)

    def test_orders_in_text_are_none(self):
        self.write("src/core/a.cpp", '// memory_order::release\n/* memory_order::acquire */ const char* s = "memory_order::relaxed";\nusing std::memory_order_acquire;\n')
        self.passes(*self.command)

    def test_missing_label(self):
        self.write("src/core/a.cpp", "void a() {\n" + self.STORY + "  x.store(1, memory_order::release);\n  y.store(2, memory_order_seq_cst);\n}\n" + self.PARTNER)
        self.fails("src/core/a.cpp:4: memory_order_seq_cst without a label", *self.command)

    def test_default_order(self):
        self.write("src/core/a.cpp", "int a() { return x.load(); }\n")
        self.fails("src/core/a.cpp:1: .load() without a label", *self.command)

    def test_lonely_label(self):
        self.write("src/core/a.cpp", self.STORY + "int a() { return x.load(memory_order::acquire); }\n")
        self.fails("src/core/a.cpp:1: label [door-1] stands in one place only", *self.command)

    def test_label_without_a_story(self):
        self.write("src/core/a.cpp", "int a() { return x.load(memory_order::acquire); }  // [door-1] short\n" + self.PARTNER)
        self.fails("src/core/a.cpp:1: label [door-1]: none of its 2 places tells the story", *self.command)

    def test_relaxed(self):
        self.write("src/core/a.cpp", "int a() {\n  return x.load(memory_order::relaxed);\n}\n")
        self.fails("src/core/a.cpp:2: relaxed order without a comment", *self.command)
        self.write("src/core/a.cpp", "int a() {\n  return x.load(memory_order::relaxed);  // relaxed:\n}\n")
        self.fails("src/core/a.cpp:2: relaxed order without a comment", *self.command)
        self.write("src/core/a.cpp", "int a() {\n  return x.load(memory_order::relaxed);  // relaxed: a hint\n}\n")
        self.passes(*self.command)

    def test_one_reason_for_a_run(self):
        run_of_three = "  // relaxed: one thread\n  x.store(1, memory_order::relaxed);\n  y.store(1, memory_order::relaxed);\n"
        self.write("src/core/a.cpp", "void a() {\n" + run_of_three + "}\n")
        self.passes(*self.command)
        self.write("src/core/a.cpp", "void a() {\n" + run_of_three + "\n  z.store(1, memory_order::relaxed);\n}\n")
        self.fails("src/core/a.cpp:6: relaxed order without a comment", *self.command)

    def test_one_reason_for_a_function(self):
        function = "// relaxed: counters, read by nobody in a hurry\nvoid a() {\n  x.store(1, memory_order::relaxed);\n\n  if (p) {\n    y.store(1, memory_order::relaxed);\n  }\n}\n"
        self.write("src/core/a.cpp", function)
        self.passes(*self.command)
        self.write("src/core/a.cpp", function + "void b() { x.store(1, memory_order::relaxed); }\n")
        self.fails("src/core/a.cpp:9: relaxed order without a comment", *self.command)


class Exports(Tree):
    def setUp(self):
        super().setUp()
        self.map = self.write("exports.map", "/* what we\n   replace */\n{\n  global:\n    given; # why\n    second;\n  local: *;\n};\n")

    def library(self, source, *flags):
        path = self.root / "lib.so"
        code = self.write("lib.c", source)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", path, code, *flags], check=True)
        return path

    def test_exact_list_passes(self):
        lib = self.library("int given(void) { return 1; } int second; static int hidden; int *p(void) __attribute__((visibility(\"hidden\"))); int *p(void) { return &hidden; }")
        self.passes("check-exports.py", lib, "--map", self.map)

    def test_versioned_symbols_pass(self):
        versions = self.write("versions.map", "V_1 {\n  global: given;\n  local: *;\n};\nV_2 { global: second; } V_1;\n")
        lib = self.library("int given(void) { return 1; } int second; int third;", f"-Wl,--version-script={versions}")
        self.passes("check-exports.py", lib, "--map", versions)

    def test_one_too_many(self):
        lib = self.library("int given; int second; int extra;")
        self.fails("exports extra, which exports.map does not list", "check-exports.py", lib, "--map", self.map)

    def test_one_missing(self):
        lib = self.library("int given;")
        self.fails("exports.map:6: second is listed but not exported", "check-exports.py", lib, "--map", self.map)

    def test_pattern(self):
        self.write("exports.map", "{ global: given; pthread_*; local: *; };\n")
        self.fails("exports.map:1: pthread_*: a pattern", "check-exports.py", self.library("int given;"), "--map", self.map)

    def test_forbidden_library(self):
        lib = self.library("int given; int second;", "-Wl,--no-as-needed", "-lgcc_s")
        self.fails("needs libgcc_s.so.1", "check-exports.py", lib, "--map", self.map)

    def test_no_library(self):
        self.fails("no such library", "check-exports.py", self.root / "gone.so", "--map", self.map)


class LibraryExports(Tree):
    def library(self, source):
        path = self.root / "lib.so"
        code = self.write("lib.cpp", source)
        subprocess.run(["c++", "-shared", "-fPIC", "-o", path, code], check=True)
        return path

    def test_api_passes(self):
        lib = self.library("namespace weft { int f(int) { return 1; } template <class T> void g(T) {} template void g(int);"
                           " namespace detail { struct s { virtual ~s(); int x; operator bool() const; }; s::~s() {} s::operator bool() const { return x; } int s::*h() { return &s::x; } } }")
        self.passes("check-exports.py", "--api", lib)

    def test_engine(self):
        lib = self.library("namespace weft { void f() {} namespace engine { template <class T> T g(T t) { return t; } template int g(int); } }")
        self.fails("exports int weft::engine::g<int>(int), which", "check-exports.py", "--api", lib)

    def test_engines_type(self):
        lib = self.library("namespace weft::engine { struct s { virtual ~s(); }; s::~s() {} }")
        self.fails("exports vtable for weft::engine::s, which", "check-exports.py", "--api", lib)

    def test_inline_function_of_somebody_else(self):
        lib = self.library("namespace weft { void f() {} } namespace std { struct s { void g() {} }; void use(s& x) { x.g(); } }")
        self.fails("exports std::s::g(), which", "check-exports.py", "--api", lib)

    def test_c_name(self):
        self.fails("exports weft_x, which", "check-exports.py", "--api", self.library('extern "C" void weft_x() {}'))

    def test_nothing(self):
        self.fails("exports nothing", "check-exports.py", "--api", self.library("static int x;"))


@unittest.skipUnless(shutil.which("doxygen"), "no doxygen here")
class Reference(Tree):
    """What docs/Doxyfile.in and docs/doxygen.sed make an error."""
    def header(self, declarations, detail=""):
        docs = SCRIPTS.parent / "docs"
        for name in ("doxygen.sed", "reference.md"):
            self.write(f"docs/{name}", (docs / name).read_text(encoding="utf-8"))
        self.write("include/weft/detail/strand.hpp", "// SPDX\n#pragma once\n")
        self.write("include/weft/x.hpp", "// SPDX-License-Identifier: BSL-1.0\n// What <x> has.\n#pragma once\n/// All of it.\nnamespace weft {\n"
                   f"namespace detail {{\n{detail}\n}}  // namespace detail\n{declarations}\n}}  // namespace weft\n")
        settings = (docs / "Doxyfile.in").read_text(encoding="utf-8").replace("@PROJECT_SOURCE_DIR@", str(self.root)).replace("@PROJECT_BINARY_DIR@", str(self.root))
        done = subprocess.run(["doxygen", self.write("Doxyfile", settings)], capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    def test_documented_passes(self):
        self.assertEqual((0, ""), self.header("/// It waits.\nclass c {\n public:\n  /// std::optional<T> is no tag.\n  void f();\n private:\n  void g();\n};", "class hidden {\n public:\n  void f();\n};"))

    def test_member_without_a_comment(self):
        status, text = self.header("/// It waits.\nclass c {\n public:\n  void f();\n};")
        self.assertNotEqual(0, status)
        self.assertIn("x.hpp:12: error: Member f() (function) of class weft::c is not documented", text)

    def test_function_without_a_comment(self):
        status, text = self.header("void f();")
        self.assertNotEqual(0, status)
        self.assertIn("Member f() (function) of namespace weft is not documented", text)


class ThreadSymbols(Tree):
    def setUp(self):
        super().setUp()
        code = self.write("libc.c", "void pthread_a(void) {} void sem_b(void) {} void call_once(void) {} void other(void) {}")
        library = self.root / "libc.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-fno-builtin", "-o", library, code], check=True)
        self.command = ("check-thread-symbols.py", "--libc", library, "--map", self.write("exports.map", "{\n  global:\n    pthread_a;\n    other;\n};\n"), "--page")

    def test_all_there_passes(self):
        self.passes(*self.command, self.write("page.md", "`nothing`\n## Left to libc\n`sem_b` `call_once`\n"))

    def test_one_missing(self):
        self.fails("sem_b is neither replaced nor listed", *self.command, self.write("page.md", "## Left to libc\n`call_once`\n"))

    def test_one_twice(self):
        self.fails("pthread_a is listed, and replaced", *self.command, self.write("page.md", "## Left to libc\n`sem_b` `call_once` `pthread_a`\n"))

    def test_one_too_many(self):
        self.fails("tss_c is listed, but libc", *self.command, self.write("page.md", "## Left to libc\n`sem_b` `call_once` `tss_c`\n"))


if __name__ == "__main__":
    unittest.main()
