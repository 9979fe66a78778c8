"""Gaps to gold of scalar metrics, in their own measure and in units of gold's spread over training seeds.

Gap: the mean over requests r and seeds s of [metric of m(r, s) - mean over s' of the metric of g(r, s')].
Unit: the standard deviation of gold over training seeds within a request, pooled over requests, of at least
``FEWEST_GOLDS`` golds in all. With fewer it is not known: a spread of three values says hardly anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from results.distance.bootstrap import Block, Estimate, bare, estimate, user_means
from results.runs.at import At, Key, shared
from results.runs.groups import Group
from results.runs.statistics import in_requests, pooled

FEWEST_GOLDS = 5
Floats = NDArray[np.float64]
Arrays = Callable[[str], Mapping[str, NDArray[Any]]]
"""Per-user arrays of a run, by run id."""


def no_arrays(run_id: str) -> Mapping[str, NDArray[Any]]:
    """No per-user values are at hand."""
    return {}


@dataclass(frozen=True)
class Unit:
    """Gold's spread over training seeds; ``value`` is None where it is not known, and ``why`` says so."""

    value: float | None
    golds: int
    why: str = ""


@dataclass(frozen=True)
class Gap:
    """A gap to gold with its interval, and the unit it may be given in."""

    estimate: Estimate
    unit: Unit

    @property
    def value(self) -> float:
        """The gap in the metric's own measure, with its sign."""
        return self.estimate.value

    @property
    def units(self) -> float | None:
        """Its size in units; None where the unit is not known. Without any spread a gap is infinite."""
        if self.unit.value is None:
            return None
        if self.unit.value == 0.0:
            return 0.0 if self.value == 0.0 else float("inf")
        return abs(self.value) / self.unit.value


def unit_of(golds: Mapping[At, float]) -> Unit:
    """The unit from the values of all golds of a setting."""
    if len(golds) < FEWEST_GOLDS:
        return Unit(None, len(golds), f"{len(golds)} of {FEWEST_GOLDS} golds")
    spread = pooled(in_requests(golds))
    why = "" if spread is not None else "no request has golds of two training seeds"
    return Unit(spread, len(golds), why)


def gaps_by_at(group: Group, gold: Group | None, metric: str) -> dict[At, float]:
    """Each value minus the mean of the golds of its request; a request without golds is left out."""
    if gold is None:
        return {}
    golds: dict[int, list[float]] = {}
    for at, value in gold.values(metric).items():
        golds.setdefault(at.request, []).append(value)
    values = group.values(metric)
    return {
        at: value - float(np.mean(golds[at.request])) for at, value in values.items() if at.request in golds
    }


def mean_gaps(found: Mapping[Key, Mapping[At, float]]) -> dict[Key, float]:
    """Means over the requests and seeds that all have; without those that share none."""
    kept, ats = shared(found)
    return {key: float(np.mean([found[key][at] for at in ats])) for key in kept}


def gap(
    group: Group,
    gold: Group | None,
    metric: str,
    arrays: Arrays = no_arrays,
    with_interval: bool = True,
) -> Gap | None:
    """The gap of a row; None where nothing is measured or no request has a gold model.

    Args:
        gold: the golds it is held against (``results.runs.groups.gold_for``).
        arrays: reads per-user values; with them the bootstrap draws users as well.
        with_interval: False saves the time of the bootstrap.
    """
    if gold is None:
        return None
    if not with_interval:
        values = list(gaps_by_at(group, gold, metric).values())
        return Gap(bare(float(np.mean(values))), unit_of(gold.values(metric))) if values else None
    blocks = blocks_of(group, gold, metric, sorted(group.values(metric)), arrays)
    return Gap(estimate(blocks), unit_of(gold.values(metric))) if blocks else None


def blocks_of(
    group: Group, gold: Group, metric: str, ats: Sequence[At], arrays: Arrays = no_arrays
) -> list[Block]:
    """What the bootstrap draws from: differences to gold by request, over ``ats`` of the row."""
    golds = gold.values(metric)
    found = []
    for request in sorted({at.request for at in ats}):
        own = [at for at in ats if at.request == request]
        theirs = [at for at in golds if at.request == request]
        if not theirs:
            continue
        models = [(group, at) for at in own] + [(gold, at) for at in theirs]
        values, users = _by_user(models, metric, arrays)
        means = user_means(values, request) if users > 1 else values.T
        pairs = means[:, : len(own), None] - means[:, None, len(own) :]
        found.append(Block(pairs, None, users))
    return found


def _by_user(models: Sequence[tuple[Group, At]], metric: str, arrays: Arrays) -> tuple[Floats, int]:
    """Values [models, U] of the users that all models have; of the means alone [models, 1]."""
    runs = [group.chosen(metric)[at] for group, at in models]
    read = [arrays(run.run_id) for run in runs]
    users = f"{metric.partition('/')[0]}/users"
    if any(metric not in one or users not in one for one in read):
        return np.array([[run.metrics[metric]] for run in runs]), 1
    shared = read[0][users]
    for one in read[1:]:
        shared = np.intersect1d(shared, one[users])
    return np.stack([_of_users(one, metric, users, shared) for one in read]), len(shared)


def _of_users(arrays: Mapping[str, NDArray[Any]], metric: str, users: str, shared: NDArray[Any]) -> Floats:
    order = np.argsort(arrays[users])
    rows = order[np.searchsorted(arrays[users], shared, sorter=order)]
    found: Floats = arrays[metric][rows].astype(np.float64)
    return found
