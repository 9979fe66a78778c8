"""What the paper prints about its own method at user level, as claims that a trial can be held against."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from bench.record.names import FORGET_RECALL, TEST_RECALL, VALID_RECALL
from bench.tune.record import UNLEARN_SECONDS
from results.published.numbers import published
from tests.programs.tru_readings.readings import PARTS

Metrics = Mapping[str, float]
Role = Literal["full", "gate", "scaling", "isolation", "all"]
"""Of a trial in a reading: ``full``, or the part that is left out (``all``: what MMRecUn is)."""
ORIGINAL_VALID, GOLD_SECONDS = "original/valid_recall_at_20", "time/gold_train_seconds"
IMAGE_TABLE = "image.feature_tables.image"
SHIFT, GOLD_SHIFT = "shift/", "gold/shift/"

FORGET_TOLERANCE, KEPT_TOLERANCE, SHIFT_TOLERANCE = 0.01, 0.02, 0.1
"""How near counts as reproduced, ours: forget recall and share of utility absolute, shift relative."""
SPEED_CLAIM = 50.0
"""TRU, Figure 7: more than 50 times faster than full retraining."""
CAP = 10.0
"""A claim that is missed by more tolerances than this weighs no more in the search."""


@dataclass(frozen=True)
class Claim:
    """One printed number: of which trial of a reading, which figure, how near counts."""

    group: str
    """Claims of one group are one table's or figure's about one method."""
    title: str
    role: Role
    printed: float
    tolerance: float
    value: Callable[[Metrics], float | None]
    at_least: bool = False

    def distance(self, trial: Metrics | None) -> float | None:
        """In tolerances; ``CAP`` where it diverged or was not run, None where it has no such figure."""
        if trial is None or FORGET_RECALL not in trial:
            return CAP
        ours = self.value(trial)
        if ours is None:
            return None
        if self.at_least:
            return max(0.0, math.log2(self.printed / max(ours, 1e-12)))
        return abs(ours - self.printed) / self.tolerance

    def holds(self, trial: Metrics | None) -> bool:
        """Whether the trial reproduces it."""
        distance = self.distance(trial)
        return distance is not None and distance <= (0.0 if self.at_least else 1.0)


def forget(trial: Metrics) -> float | None:
    """Forget recall@20."""
    return trial.get(FORGET_RECALL)


def kept(trial: Metrics) -> float | None:
    """Utility as a share of the original's, on validation pairs: the trials hold no test pair."""
    return trial[VALID_RECALL] / trial[ORIGINAL_VALID] if VALID_RECALL in trial else None


def moved(trial: Metrics) -> float | None:
    """Shift of the trained image table as a share of gold's; None on a backbone without one."""
    gold = trial.get(GOLD_SHIFT + IMAGE_TABLE)
    return trial[SHIFT + IMAGE_TABLE] / gold if gold else None


def speed_up(trial: Metrics) -> float | None:
    """Gold's training seconds over the method's, on the same device and threads."""
    gold = trial.get(GOLD_SECONDS)  # absent where gold was trained on another machine
    return None if gold is None else gold / max(trial[UNLEARN_SECONDS], 1e-9)


def claims(backbone: str, dataset: str) -> list[Claim]:
    """What the paper prints for a backbone and a data set, users forgotten; empty where it prints nothing."""
    found = [*_table_1(backbone, dataset), *_table_4(backbone, dataset)]
    return [*found, *_figures()] if found else []


def _table_1(backbone: str, dataset: str) -> list[Claim]:
    table = published("tru-table-1")
    numbers = {
        (method, metric): table.find(
            {"backbone": backbone, "dataset": dataset, "regime": "user", "method": method}, metric
        )
        for method in ("original", "mmrecun", "tru")
        for metric in (FORGET_RECALL, TEST_RECALL)
    }
    values = {place: number.value for place, number in numbers.items() if number is not None}
    if len(values) < len(numbers):
        return []
    found = []
    roles: tuple[tuple[str, str, Role], ...] = (("tru", "TRU", "full"), ("mmrecun", "MMRecUn", "all"))
    for method, name, role in roles:
        share = values[method, TEST_RECALL] / values["original", TEST_RECALL]
        recall = values[method, FORGET_RECALL]
        group = f"Table 1, {name}"
        found += [
            Claim(group, "forget recall@20", role, recall, FORGET_TOLERANCE, forget),
            Claim(group, "utility over the original's", role, share, KEPT_TOLERANCE, kept),
        ]
    return found


def _table_4(backbone: str, dataset: str) -> list[Claim]:
    found = []
    roles: tuple[Role, ...] = ("full", *PARTS)
    for role in roles:
        variant = "tru" if role == "full" else f"tru_without_{role}"
        row = {"backbone": backbone, "dataset": dataset, "method": variant}
        number = published("tru-table-4").find(row, FORGET_RECALL)
        if number is not None:
            title = "forget recall@20, " + ("full" if role == "full" else f"without {role}")
            found.append(Claim("Table 4", title, role, number.value, FORGET_TOLERANCE, forget))
    return found


def _figures() -> list[Claim]:
    numbers = {n.labels["method"]: n.value for n in published("tru-figure-5").numbers()}
    roles: tuple[tuple[str, str, Role], ...] = (("tru", "TRU", "full"), ("mmrecun", "MMRecUn", "all"))
    found = []
    for method, name, role in roles:
        share = numbers[method] / numbers["retrain"]
        title = f"{name}: shift of the image table over gold's"
        found.append(Claim("Figure 5", title, role, share, SHIFT_TOLERANCE * share, moved))
    title = "times faster than retraining, at least"
    return [*found, Claim("Figure 7", title, "full", SPEED_CLAIM, 1.0, speed_up, at_least=True)]


def misfit(wanted: list[Claim], trials: Mapping[Role, Metrics]) -> float:
    """How far a reading is from all claims together, in tolerances; claims without a figure count nothing."""
    distances = [claim.distance(trials.get(claim.role)) for claim in wanted]
    return sum(min(distance, CAP) for distance in distances if distance is not None)
