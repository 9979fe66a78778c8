"""Best and second among the methods of a block, and whether the best is significantly better.

The test is paired: over users, on the arrays that every run logs, averaged over the seeds both methods
have; and over seeds, on the means. Holm's correction is over all tests of one kind in a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.measure.marks import Mark, losses, marks
from results.names.headlines import GOLD
from results.runs.statistics import Paired, closer, holm, paired
from results.tables.measured import MeasuredTable, Place

Arrays = Callable[[str], Mapping[str, NDArray[Any]]]
"""Per-user arrays of a run, by run id."""
Floats = NDArray[np.float64]
LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """The best of a block against the second: the tests, with p values before and after correction."""

    best: Place
    second: Place
    users: Paired | None
    seeds: Paired | None
    p_users: float | None = None
    """Holm-adjusted p of the paired t test over users."""
    p_seeds: float | None = None


def rank(table: MeasuredTable, arrays: Arrays) -> tuple[MeasuredTable, list[Comparison]]:
    """The table with its marks, and the comparisons behind the marks of significance."""
    if not table.layout.ranked:
        return table, []
    given: dict[tuple[str, ...], Mark] = {}
    compared: list[Comparison] = []
    for index in range(len(table.layout.quantities)):
        for block in dict.fromkeys(row[index].entry.block for row in table.rows):
            places = [row[index] for row in table.rows if row[index].entry.block == block]
            compared += _mark(places, table.layout.references, given, arrays)
    compared = _corrected(compared)
    best = {comparison.best.key: comparison for comparison in compared}
    rows = tuple(tuple(_marked(place, given, best) for place in row) for row in table.rows)
    return MeasuredTable(table.layout, rows), compared


def compare(best: Place, second: Place, gold: Place | None, arrays: Arrays) -> Comparison:
    """Paired tests of the best against the second of a block."""
    needs_gold = best.quantity.goal == "gold"
    seeds = sorted(
        set(best.chosen)
        & set(second.chosen)
        & (set(gold.chosen) if gold and needs_gold else set(best.chosen))
    )
    if not seeds:
        return Comparison(best, second, None, None)
    places = [best, second, *([gold] if gold and needs_gold else [])]
    per_seed = [np.array([place.values[seed] for seed in seeds]) for place in places]
    per_user = _per_user(places, seeds, arrays)
    goal = best.quantity.goal
    over_users = paired(_favoured(goal, per_user)) if per_user else None
    return Comparison(best, second, over_users, paired(_favoured(goal, per_seed)))


def _favoured(goal: str, values: Sequence[Floats]) -> Floats:
    """Differences whose mean is positive where the first is better."""
    if goal == "gold":
        return closer(values[0], values[1], values[2])
    difference: Floats = values[0] - values[1]
    return difference if goal == "high" else -difference


def _mark(
    places: Sequence[Place], references: Sequence[str], given: dict[tuple[str, ...], Mark], arrays: Arrays
) -> list[Comparison]:
    gold = next((place for place in places if place.entry.method == GOLD), None)
    measured = {
        place.key: place.summary.mean
        for place in places
        if place.summary is not None and place.entry.method not in references
    }
    target = None if gold is None or gold.summary is None else gold.summary.mean
    ranking = losses(measured, places[0].quantity.goal, target)
    if len(ranking) < 2:  # nothing to be better than
        return []
    given |= marks(ranking)
    ranked = sorted((place for place in places if place.key in ranking), key=lambda p: ranking[p.key])
    return [compare(ranked[0], ranked[1], gold, arrays)]


def _corrected(compared: list[Comparison]) -> list[Comparison]:
    for kind in ("users", "seeds"):
        tested = [index for index, c in enumerate(compared) if getattr(c, kind) is not None]
        adjusted = holm([getattr(compared[index], kind).p_t for index in tested])
        for index, p in zip(tested, adjusted, strict=True):
            compared[index] = (
                replace(compared[index], p_users=p)
                if kind == "users"
                else replace(compared[index], p_seeds=p)
            )
    return compared


def _marked(
    place: Place, given: Mapping[tuple[str, ...], Mark], best: Mapping[tuple[str, ...], Comparison]
) -> Place:
    comparison = best.get(place.key)
    return replace(
        place,
        mark=given.get(place.key, ""),
        better_users=_better(comparison.users, comparison.p_users) if comparison else None,
        better_seeds=_better(comparison.seeds, comparison.p_seeds) if comparison else None,
    )


def _better(test: Paired | None, p: float | None) -> bool | None:
    return None if test is None or p is None else p < LEVEL and test.difference > 0


def _per_user(places: Sequence[Place], seeds: Sequence[int], arrays: Arrays) -> list[Floats] | None:
    """One array per place over the users that all have, averaged over seeds; None where not logged."""
    metric = places[0].quantity.metric
    users_name = f"{metric.partition('/')[0]}/users"
    found = [[arrays(place.chosen[seed].run_id) for seed in seeds] for place in places]
    flat = [one for row in found for one in row]
    if any(metric not in one or users_name not in one for one in flat):
        return None
    shared = flat[0][users_name]
    for one in flat[1:]:
        shared = np.intersect1d(shared, one[users_name])
    return [np.mean([_of_users(one, metric, users_name, shared) for one in row], axis=0) for row in found]


def _of_users(
    arrays: Mapping[str, NDArray[Any]], metric: str, users_name: str, shared: NDArray[Any]
) -> Floats:
    order = np.argsort(arrays[users_name])
    rows = order[np.searchsorted(arrays[users_name], shared, sorter=order)]
    return arrays[metric][rows].astype(np.float64)
