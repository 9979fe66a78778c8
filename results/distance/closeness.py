"""The closeness score of a method in a setting: how many of gold's own spreads it is away from gold.

C = mean of |gap| / sigma_gold over test recall, forget recall, membership attack and list excess, each capped
at ``CAP``. The smaller the better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.record.names import FORGET_RECALL, MIA_BALANCED_ACCURACY, TEST_RECALL
from results.distance.gaps import gaps_by_at, mean_gaps, unit_of
from results.names.headlines import LIST_EXCESS
from results.runs.at import Key
from results.runs.groups import Group, gold_for

CAP = 10.0
PARTS = {
    "test recall": TEST_RECALL,
    "forget recall": FORGET_RECALL,
    "membership": MIA_BALANCED_ACCURACY,
    "list excess": LIST_EXCESS,
}


@dataclass(frozen=True)
class Closeness:
    """The score; ``parts`` has each part in units and capped, None where the method lacks it."""

    parts: Mapping[str, float | None]

    @property
    def value(self) -> float | None:
        """Mean of the parts; None where one is missing or none is known."""
        known = [value for value in self.parts.values() if value is not None]
        return sum(known) / len(known) if known and len(known) == len(self.parts) else None


def scores(named: Mapping[Key, Group], setting: Sequence[Group]) -> dict[Key, Closeness]:
    """The scores of methods of one setting, over the requests and seeds that they share.

    A score is made of the parts whose unit is known for gold; the others are named by ``unscored``.

    Args:
        named: the methods by name.
        setting: all rows of the setting, gold among them.
    """
    golds = {name: gold_for(group, setting) for name, group in named.items()}
    found: dict[Key, dict[str, float | None]] = {name: {} for name in named}
    for part, metric in PARTS.items():
        values = {name: gaps_by_at(group, golds[name], metric) for name, group in named.items()}
        means = mean_gaps(values)
        for name, gold in golds.items():
            unit = unit_of(gold.values(metric)).value if gold is not None else None
            if unit is not None:
                found[name][part] = _capped(means[name], unit) if name in means else None
    return {name: Closeness(parts) for name, parts in found.items()}


def unscored(gold: Group | None) -> dict[str, str]:
    """The parts without a unit, and why."""
    if gold is None:
        return dict.fromkeys(PARTS, "no gold is recorded")
    units = {name: unit_of(gold.values(metric)) for name, metric in PARTS.items()}
    return {name: unit.why for name, unit in units.items() if unit.value is None}


def _capped(gap: float, unit: float) -> float:
    if unit == 0.0:
        return 0.0 if gap == 0.0 else CAP
    return min(CAP, abs(gap) / unit)
