#!/usr/bin/env python3
# SPDX-License-Identifier: BSL-1.0
"""Checks the comments at memory orders in src/.

Strong orders (acquire, release, acq_rel, seq_cst, consume; also `.load()` without an order, which is seq_cst)
  S1  carry a label [word-N]: in a comment on one of the lines of the same statement, or in the comment block that stands
      directly above the statement. `} while (...)` and `else if (...)` are statements of their own.
  S2  A label stands in at least two places (comment blocks, or comments at the end of a line): an order has a partner.
  S3  One of them tells the story: more than 60 characters besides labels.
Relaxed orders
  R1  carry a comment with `relaxed:` and a reason. It covers
      - the statement that it stands in or directly above;
      - if it stands on lines of its own above a run of adjacent lines: the run, until the next blank line, the next line of comment or
        the end of the enclosing block;
      - if it stands on lines of its own above a function, class or loop (whatever opens a brace): all of it.
"""
import argparse
import collections
import pathlib
import re
import sys

SUFFIXES = {".hpp", ".h", ".cpp", ".cc", ".c"}
STRONG = re.compile(r"\bmemory_order(?:::|_)(?:acquire|release|acq_rel|seq_cst|consume)\b|\.load\(\)")
RELAXED = re.compile(r"\bmemory_order(?:::|_)relaxed\b")
LABEL = re.compile(r"\[([a-z][a-z0-9_]*(?:-[a-z][a-z0-9_]*)*-\d+)\]")
REASON = re.compile(r"relaxed:\s*\S.{3,}")
STORY = 60
# Names an order without using it.
NAMING = re.compile(r"^\s*using\s")

Line = collections.namedtuple("Line", "code comment")


def split(text):
    """Separates code from comments line by line; literals become empty ones."""
    lines, code, comment, state, i = [], [], [], "code", 0
    while i < len(text):
        c, two = text[i], text[i : i + 2]
        if c == "\n":
            lines.append(Line("".join(code).rstrip(), "".join(comment).strip()))
            code, comment = [], []
            state = "block" if state == "block" else "code"
        elif state == "code" and two in ("//", "/*"):
            state = "line" if two == "//" else "block"
            i += 1
        elif state == "block" and two == "*/":
            state = "code"
            i += 1
        elif state == "code" and c == "R" and two == 'R"':
            stop = text.index("(", i)
            end = text.find(")" + text[i + 2 : stop] + '"', stop)
            lines += [Line("", "")] * text.count("\n", i, end)
            i = end + stop - i - 1
        elif state == "code" and c in "\"'" and not (c == "'" and i and text[i - 1].isalnum()):
            code.append(c + c)
            i += 1
            while i < len(text) and text[i] not in (c, "\n"):
                i += 2 if text[i] == "\\" else 1
        elif state == "code":
            code.append(c)
        else:
            comment.append(c)
        i += 1
    lines.append(Line("".join(code).rstrip(), "".join(comment).strip()))
    return lines


class File:
    def __init__(self, path, name):
        self.name = name
        self.lines = split(path.read_text(encoding="utf-8", errors="replace"))
        self.open_braces = []  # number of open braces before each line
        depth = 0
        for line in self.lines:
            self.open_braces.append(depth)
            depth += line.code.count("{") - line.code.count("}")
        self.open_braces.append(depth)

    def is_comment(self, i):
        return 0 <= i < len(self.lines) and not self.lines[i].code.strip() and bool(self.lines[i].comment)

    def has_code(self, i):
        return 0 <= i < len(self.lines) and bool(self.lines[i].code.strip())

    def ends_statement(self, i):
        code = self.lines[i].code.strip()
        return code.endswith((";", "{", "}", ":")) or code.startswith("#")

    def statement(self, i):
        """First and last line of the statement around line i."""
        first = last = i
        while self.has_code(first - 1) and not self.ends_statement(first - 1):
            first -= 1
        while not self.ends_statement(last) and self.has_code(last + 1):
            last += 1
        return first, last

    def block_above(self, i):
        """Lines of the comment block that ends directly above line i."""
        first = i
        while self.is_comment(first - 1):
            first -= 1
        return range(first, i)

    def text(self, numbers):
        return " ".join(self.lines[n].comment for n in numbers)

    def near(self, i):
        """Comments at a statement: on its lines and directly above."""
        first, last = self.statement(i)
        return self.text(self.block_above(first)) + " " + self.text(range(first, last + 1))

    def run_above(self, i):
        """The comment block above the run of adjacent lines that line i is in."""
        depth = self.open_braces[i] - (1 if self.lines[i].code.strip().startswith("}") else 0)
        first, _ = self.statement(i)
        while self.has_code(first - 1) and self.open_braces[first - 1] >= depth and self.open_braces[first] >= depth:
            first -= 1
        return self.text(self.block_above(first))

    def openers(self, i):
        """Comment blocks above everything that opened a brace around line i."""
        wanted = self.open_braces[i]
        for n in range(i, -1, -1):
            if self.open_braces[n] < wanted:
                wanted = self.open_braces[n]
                first, _ = self.statement(n)
                yield self.text(self.block_above(first))

    def explained(self, i):
        candidates = [self.near(i), self.run_above(i), *self.openers(i)]
        return any(REASON.search(text) for text in candidates)

    def comments(self):
        """Every comment block and every comment at the end of a line, as (first line, text)."""
        i = 0
        while i < len(self.lines):
            if self.is_comment(i):
                first = i
                while self.is_comment(i):
                    i += 1
                yield first, self.text(range(first, i))
            else:
                if self.lines[i].comment:
                    yield i, self.lines[i].comment
                i += 1


def check(root):
    messages = []
    places = collections.defaultdict(list)
    for path in sorted(p for p in (root / "src").rglob("*") if p.suffix in SUFFIXES):
        file = File(path, path.relative_to(root))
        for i, line in enumerate(file.lines):
            if NAMING.match(line.code):
                continue
            if STRONG.search(line.code) and not LABEL.search(file.near(i)):
                messages.append((file.name, i, f"{STRONG.search(line.code).group(0)} without a label [word-N]"))
            if RELAXED.search(line.code) and not file.explained(i):
                messages.append((file.name, i, "relaxed order without a comment `relaxed: why`"))
        for i, text in file.comments():
            for label in sorted(set(LABEL.findall(text))):
                places[label].append((file.name, i, len(LABEL.sub("", text).strip())))
    for label, ends in places.items():
        name, i, _ = ends[0]
        if len(ends) < 2:
            messages.append((name, i, f"label [{label}] stands in one place only: where is its partner?"))
        if max(length for _, _, length in ends) <= STORY:
            messages.append((name, i, f"label [{label}]: none of its {len(ends)} places tells the story (more than {STORY} characters)"))
    return [f"{name}:{i + 1}: {text}" for name, i, text in sorted(messages)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent, help="the project's folder")
    messages = check(parser.parse_args().root)
    print("\n".join(messages), end="\n" if messages else "")
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main())
