"""Runs of one method with the same options in one setting, seed by seed: what pages and figures start from.

Of several finished runs of a seed, the latest that has a metric counts for it, as on the leaderboard.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from results.names.headlines import GOLD
from results.runs.frame import CellRun, latest
from results.runs.statistics import Summary, summary
from unlearning import REFERENCE_METHODS

SETTING = ("dataset", "backbone", "regime")


@dataclass(frozen=True)
class Group:
    """One row of a leaderboard: a setting, a method, the options that set it apart ("" for the defaults).

    ``runs`` are its finished runs, oldest first; at least one.
    """

    setting: tuple[str, ...]
    method: str
    options: str
    runs: tuple[CellRun, ...]

    @property
    def seeds(self) -> list[int]:
        """Its training seeds, sorted."""
        return sorted({run.seed for run in self.runs})

    @property
    def name(self) -> str:
        """The method with its options."""
        return f"{self.method} {self.options}".strip()

    @property
    def is_gold(self) -> bool:
        """Whether this is the gold model."""
        return self.method == GOLD

    @property
    def is_reference(self) -> bool:
        """Whether this is a reference system and no method."""
        return self.method in REFERENCE_METHODS

    def chosen(self, metric: str) -> dict[int, CellRun]:
        """By seed, the latest run that has the metric."""
        having = {run.seed: run for run in self.runs if metric in run.metrics}
        return {seed: having[seed] for seed in sorted(having)}

    def values(self, metric: str) -> dict[int, float]:
        """By seed, the value of the metric; values that are not finite are left out."""
        found = {seed: run.metrics[metric] for seed, run in self.chosen(metric).items()}
        return {seed: value for seed, value in found.items() if math.isfinite(value)}

    def summary(self, metric: str) -> Summary | None:
        """Mean and deviation over seeds; None where no seed has a finite value."""
        found = list(self.values(metric).values())
        return summary(found) if found else None

    def last_runs(self) -> list[CellRun]:
        """The latest run of every seed."""
        by_seed = {run.seed: run for run in self.runs}
        return [by_seed[seed] for seed in self.seeds]


def grouped(runs: Iterable[CellRun], variants: Mapping[str, str]) -> list[Group]:
    """Groups sorted by setting, method and options; ``variants`` as ``results.runs.settings`` gives them."""
    found: dict[tuple[str, ...], list[CellRun]] = {}
    for run in sorted(latest(runs), key=lambda run: (run.ended, run.run_id)):
        key = (*(run.labels[label] for label in SETTING), run.labels["method"], variants.get(run.run_id, ""))
        found.setdefault(key, []).append(run)
    return [Group(key[:3], key[3], key[4], tuple(own)) for key, own in sorted(found.items())]


def by_setting(groups: Iterable[Group]) -> dict[tuple[str, ...], list[Group]]:
    """Groups by setting, in their order."""
    found: dict[tuple[str, ...], list[Group]] = {}
    for group in groups:
        found.setdefault(group.setting, []).append(group)
    return found


def gold_of(groups: Iterable[Group]) -> Group | None:
    """The gold model with default options among the groups of one setting, else any gold."""
    golds = [group for group in groups if group.is_gold]
    return next((group for group in golds if not group.options), golds[0] if golds else None)
