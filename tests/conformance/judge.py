# SPDX-License-Identifier: BSL-1.0
"""Compares what a test said natively with what it said under a model.

Many of the suite's tests measure time or race on purpose, and say different things from run to run on a busy machine even natively.
So a difference is believed only if repeated runs under the model again say something that no native run said.
"""
import collections
import dataclasses

from execute import is_crash_or_hang

NATIVE = "native"


def repeated(native, seen):
    """Whether a run after the first said what no native run says."""
    return any(verdict not in native for verdict in seen[1:])


@dataclasses.dataclass(frozen=True)
class Difference:
    test: str
    model: str
    native: list  # all verdicts, the first run's first
    seen: list  # the same, under the model
    reason: str = ""

    @property
    def confirmed(self):
        return repeated(self.native, self.seen)

    @property
    def alarming(self):
        """What must not happen: a crash or hang, or something that nobody has explained."""
        foreign = [verdict for verdict in self.seen if verdict not in self.native]
        return self.confirmed and (not self.reason or any(is_crash_or_hang(verdict) for verdict in foreign))


def most_common(verdicts):
    return collections.Counter(verdicts).most_common(1)[0][0]


def counted(verdicts):
    """`PASS`, or `PASS 3, HANG 1` where the runs differ."""
    counts = collections.Counter(verdicts).most_common()
    return counts[0][0] if len(counts) == 1 else ", ".join(f"{verdict} {count}" for verdict, count in counts)


def suspects(verdicts, models):
    """The pairs (test, model) whose first runs differ. `verdicts` is {side: {test: [verdict, ...]}}."""
    return [(test, model) for model in models for test, seen in verdicts[model].items() if seen[0] != verdicts[NATIVE][test][0]]


def confirmed(verdicts, test, model):
    return repeated(verdicts[NATIVE][test], verdicts[model][test])


def differences(verdicts, pairs, reason_for):
    return [Difference(test, model, verdicts[NATIVE][test], verdicts[model][test], reason_for(test)) for test, model in pairs]


def settled(verdicts, found):
    """{side: {test: verdict}}: one verdict each; what did not prove to be a difference counts as the native one."""
    confirmed = {(each.test, each.model) for each in found if each.confirmed}
    native = {test: most_common(seen) for test, seen in verdicts[NATIVE].items()}
    result = {NATIVE: native}
    for model in verdicts.keys() - {NATIVE}:
        result[model] = {test: most_common(seen) if (test, model) in confirmed else native[test] for test, seen in verdicts[model].items()}
    return result
