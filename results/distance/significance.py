"""Tests of a table: every method against one reference that is named in advance.

Closeness to gold is tested against ``reset``, the control that costs nothing: is |gap| smaller than that of
``reset``? Utility is tested against gold: does the metric differ from gold's? The unit of inference is the
request (``results.distance.bootstrap``). With one request a test is conditional on it and is labelled so; a
test over users alone, of single models, is no test of a method and is left out. Holm's correction is over the
methods of a table, per kind of test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bench.measure.marks import Goal
from results.distance.bootstrap import Estimate, estimate
from results.distance.gaps import Arrays, blocks_of, no_arrays
from results.runs.groups import Group
from results.runs.statistics import holm

CLOSENESS_REFERENCE, UTILITY_REFERENCE = "reset", "retrain"
LEVEL = 0.05

Kind = Literal["closeness", "utility"]


@dataclass(frozen=True)
class Comparison:
    """A comparison with the reference of its kind.

    Attributes:
        advantage: of closeness, how much nearer to gold than the reference; of utility, the difference to
            gold. Positive is better.
        p: Holm-adjusted over the table; None before that.
    """

    kind: Kind
    reference: str
    advantage: Estimate
    p: float | None = None

    @property
    def is_significant(self) -> bool:
        """Whether the adjusted p is below the level."""
        return self.p is not None and self.p < LEVEL


def against_reference(
    group: Group,
    gold: Group | None,
    reference: Group | None,
    metric: str,
    goal: Goal,
    arrays: Arrays = no_arrays,
) -> Comparison | None:
    """The test of one method on one metric; None where the reference or gold is missing, or with one model.

    Args:
        reference: the row of ``reset``.
    """
    if gold is None or (goal == "gold" and reference is None):
        return None
    if goal != "gold":
        blocks = blocks_of(group, gold, metric, sorted(group.values(metric)), arrays)
        found = estimate(blocks) if blocks else None
        sign = 1.0 if goal == "high" else -1.0
        advantage = found and found.of(sign * found.value, sign * found.draws)
        return _of(Comparison("utility", UTILITY_REFERENCE, advantage)) if advantage else None
    assert reference is not None
    if group.key == reference.key:
        return None
    ats = sorted(set(group.values(metric)) & set(reference.values(metric)))
    both = [blocks_of(one, gold, metric, ats, arrays) for one in (group, reference)]
    if not both[0]:
        return None
    return nearer(*(estimate(blocks) for blocks in both))


def nearer(own: Estimate, other: Estimate) -> Comparison | None:
    """Whether a gap is smaller than that of the reference, over the same requests and seeds."""
    value = abs(other.value) - abs(own.value)
    draws = np.abs(other.draws) - np.abs(own.draws)
    return _of(Comparison("closeness", CLOSENESS_REFERENCE, own.of(value, draws)))


def _of(test: Comparison) -> Comparison | None:
    """The test, where it is one of methods: over requests or at least over training seeds."""
    return test if {"requests", "seeds"} & set(test.advantage.over) else None


def corrected(tests: Mapping[tuple[str, ...], Comparison]) -> dict[tuple[str, ...], Comparison]:
    """The tests of one table with p values adjusted over all of a kind."""
    found: dict[tuple[str, ...], Comparison] = {}
    for kind in ("closeness", "utility"):
        keys = [key for key, test in tests.items() if test.kind == kind]
        raw = [tests[key].advantage.p for key in keys]
        known = [(key, p) for key, p in zip(keys, raw, strict=True) if p is not None]
        adjusted = holm([p for _, p in known])
        found |= {key: replace(tests[key], p=p) for (key, _), p in zip(known, adjusted, strict=True)}
    return found


def sign_of(test: Comparison | None) -> str:
    """The sign of a significant test, in brackets where it is conditional on one request; else ""."""
    if test is None or not test.is_significant:
        return ""
    if test.kind == "closeness":
        sign = "†" if test.advantage.value > 0 else ""
    else:
        sign = "↑" if test.advantage.value > 0 else "↓"
    return f"({sign})" if sign and test.advantage.is_conditional else sign


def notes_on(tests: Sequence[Comparison]) -> list[str]:
    """What the signs of a table mean, as far as it has tests."""
    if not tests:
        return []
    what = []
    if any(test.kind == "closeness" for test in tests):
        what.append(f"† closer to gold than {CLOSENESS_REFERENCE}")
    if any(test.kind == "utility" for test in tests):
        what.append("↑ better, ↓ worse than gold")
    levels = sorted({", ".join(test.advantage.over) for test in tests})
    lines = [
        f"{'; '.join(what)}: p < {LEVEL:g}, hierarchical bootstrap over {' or '.join(levels)}, after Holm's "
        f"correction over the {len(tests)} tests of the table."
    ]
    if any(test.advantage.is_conditional for test in tests):
        lines.append(
            "Signs in brackets: with one request a test holds for it alone, not for requests at large."
        )
    return lines
