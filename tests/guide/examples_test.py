#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Runs every example for the C++ library and looks at what it says; and none is longer than 60 lines."""
import argparse
import os
import pathlib
import re
import socket
import subprocess
import sys
import unittest

MOST_LINES = 60
SOURCES = PROGRAMS = None


def run(name, *arguments, **environment):
    return subprocess.run([PROGRAMS / name, *arguments], capture_output=True, text=True, timeout=120, env={**os.environ, **environment})


class Examples(unittest.TestCase):
    def says(self, pattern, name, *arguments, status=0, stream="stdout", **environment):
        done = run(name, *arguments, **environment)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertRegex(getattr(done, stream), pattern)
        return done

    def test_length(self):
        for source in SOURCES.glob("*.cpp"):
            self.assertLessEqual(len(source.read_text().splitlines()), MOST_LINES, source)
            self.assertTrue((PROGRAMS / source.stem).exists(), f"{source} is not built")
        self.assertGreaterEqual(len(list(SOURCES.glob("*.cpp"))), 10)

    def test_hello(self):
        self.says("add up to 49995000\n", "hello")

    def test_stages(self):
        self.says(r"^333283335000\n$", "stages")

    def test_crawler(self):
        self.says("page 1234: no such page\n5000 pages\n", "crawler")

    def test_philosophers(self):
        self.says("all have eaten\n", "philosophers", "polite")
        self.says('deadlock: a cycle of 5 threads.*\n.*"philosopher [0-4]" waits for mutex', "philosophers", status=2, stream="stderr")

    def test_seeded_race(self):
        said = self.says(r"failed with seed \d+;", "seeded_race", status=1, stream="stderr").stderr
        seed = re.search(r"seed (\d+);", said)[1]
        for _ in range(3):
            self.says("overdrawn", "seeded_race", status=1, WEFT_SEED=seed)

    def test_skynet(self):
        self.says(r"^49995000, in \d+ ms\n$", "skynet", "10000")
        self.says("usage", "skynet", "7", status=2, stream="stderr")

    def test_ticker_is_the_same_every_time(self):
        first = self.says(r"tick: \d+ messages\n", "ticker")
        self.assertRegex(first.stdout, r"message 40\n")
        self.assertTrue(first.stdout.endswith("end\n"))
        self.assertEqual(run("ticker").stdout, first.stdout)

    def test_priorities(self):
        self.says("100 alarms", "priorities")

    def test_port_scan_finds_a_listener(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            first, last = max(1, port - 300), min(65535, port + 300)
            self.says(rf"(?m)^{port}$", "port_scan", "127.0.0.1", str(first), str(last))
        self.says("usage", "port_scan", "nowhere", status=2, stream="stderr")

    def test_chat_server(self):
        with subprocess.Popen([PROGRAMS / "chat_server"], stdout=subprocess.PIPE, text=True) as server:
            try:
                port = int(re.search(r"\d+", server.stdout.readline())[0])
                people = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(3)]
                # Whoever is heard by the two others is in the room, and so are they: until then, again.
                for person in people:
                    person.settimeout(0.2)
                heard = set()
                while heard != {1, 2}:
                    people[0].sendall(b"hello\n")
                    for i in (1, 2):
                        try:
                            self.assertTrue(people[i].recv(100).startswith(b"hello"))
                            heard.add(i)
                        except TimeoutError:
                            pass
                for person in people:
                    person.close()
            finally:
                server.kill()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=pathlib.Path, required=True)
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    options, rest = parser.parse_known_args()
    SOURCES, PROGRAMS = options.sources, options.programs
    unittest.main(argv=[sys.argv[0], *rest])
