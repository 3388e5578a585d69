# SPDX-License-Identifier: BSL-1.0
"""Writes what came out as Markdown: the verdicts counted, the areas, every difference with its reason."""
import collections

from judge import NATIVE, counted

MARKERS = ("<!-- conformance:begin -->", "<!-- conformance:end -->")
ORDER = ("PASS", "FAIL", "UNRESOLVED", "UNSUPPORTED", "UNTESTED", "HANG")


def table(head, rows):
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines] + [""]


def left_aligned(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines] + [""]


def share(same, all_of_them):
    # Rounded down, so that 100 % means all.
    return f"{int(1000 * same / all_of_them) / 10} %" if all_of_them else "–"


def verdict_rows(verdicts, sides):
    counts = {side: collections.Counter(verdicts[side].values()) for side in sides}
    seen = {verdict for count in counts.values() for verdict in count}
    ordered = [verdict for verdict in ORDER if verdict in seen] + sorted(seen - set(ORDER))
    return [[verdict, *[counts[side][verdict] for side in sides]] for verdict in ordered]


def area_rows(tests, confirmed, models):
    areas = collections.Counter(test.area for test in tests)
    different = collections.Counter((test.area, model) for test in tests for model in models if (test.name, model) in confirmed)
    rows = [[area, number, *[number - different[area, model] for model in models]] for area, number in areas.items()]
    total = len(tests)
    same = [total - sum(1 for _, where in confirmed if where == model) for model in models]
    return rows + [["all", total, *same], ["share", "", *[share(number, total) for number in same]]]


def difference_rows(found):
    by_test = collections.defaultdict(list)
    for each in found:
        by_test[each.test].append(each)
    for test, group in sorted(by_test.items()):
        seen = "; ".join(f"{each.model}: {counted(each.seen)}" for each in group)
        yield [f"`{test}`", counted(group[0].native), seen, group[0].reason or "**unexplained**"]


def lines_of(tests, unbuilt, verdicts, found, models, machine):
    """`verdicts` is {side: {test: verdict}}, `found` the differences, confirmed or not."""
    run = [test for test in tests if test.name in verdicts[NATIVE]]
    confirmed = [each for each in found if each.confirmed]
    passing = [each for each in found if not each.confirmed]
    lines = [f"On {machine}. {len(run)} tests were run.", "", "## Verdicts", ""]
    lines += table(["verdict", "natively", *[f"`{model}`" for model in models]], verdict_rows(verdicts, [NATIVE, *models]))
    lines += ["## The same verdict as natively", ""]
    lines += table(["area", "tests", *[f"`{model}`" for model in models]], area_rows(run, {(each.test, each.model) for each in confirmed}, models))
    lines += ["## Differences", ""]
    if confirmed:
        lines += left_aligned(["test", "natively", "under the model", "reason"], difference_rows(confirmed))
    else:
        lines += ["None.", ""]
    if passing:
        lines += ["## Seen once, and not again in repeated runs", ""]
        lines += left_aligned(["test", "natively", "under the model"], [row[:3] for row in difference_rows(passing)])
    lines += ["## Not run", ""]
    reasons = collections.defaultdict(list)
    for test in tests:
        if test.excluded or test.name in unbuilt:
            reasons[test.excluded or "does not build against this libc, natively either"].append(test.name)
    lines += [f"- {reason}: {', '.join(f'`{name}`' for name in names)}" for reason, names in sorted(reasons.items())]
    return [*lines, ""]


def put_into(page, lines):
    """Replaces what stands between the page's two markers."""
    before, begin, rest = page.read_text().partition(MARKERS[0])
    _, end, after = rest.partition(MARKERS[1])
    if not end:
        raise SystemExit(f"conformance: {page} has lost its markers {MARKERS[0]} and {MARKERS[1]}")
    page.write_text("\n".join([before + begin, *lines, end + after]))
