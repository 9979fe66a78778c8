"""List distances: how far a model's top-20 lists are from those of gold models of other training seeds.

A method starts from the original, which shares its initial weights with gold of the same seed: that gold is
left out, or shared initialisation would be taken for forgetting. For a request r and a training seed s

    distance = mean over s' != s of d(m(r, s), g(r, s')), with d = 1 - overlap@20 or 1 - RBO
    floor    = mean over pairs s != s' of d(g(r, s), g(r, s'))
    excess   = distance - floor

Everything is formed from the lists that runs hold; a gold model that is recorded later adds to it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.measure.lists import FORGOTTEN, OTHER, TOUCHED, likeness
from results.distance.bootstrap import Block, Estimate, estimate, user_means
from results.names.headlines import LIST_EXCESS
from results.runs.at import At
from results.runs.frame import CellRun
from results.runs.groups import Group, by_setting, gold_for

MEASURES = ("overlap", "rbo")
USERS = {"stay": (OTHER, TOUCHED), "touched": (TOUCHED,), "forgotten": (FORGOTTEN,)}
"""Whose lists: users who stay, those of them with a forgotten pair, and users who are forgotten."""
PREFIX = {
    "stay": "list_distance",
    "touched": "list_distance_touched_users",
    "forgotten": "list_distance_forgotten_users",
}
PARTS = ("distance", "floor", "excess")

Floats = NDArray[np.float64]
Read = Callable[[str], Mapping[str, NDArray[Any]]]
"""The lists of a run by its id: ``users``, ``items`` and ``group``; empty where it has none."""


def metric_name(part: str, measure: str = "overlap", users: str = "stay") -> str:
    """The name of a distance among the metrics of a row, e.g. ``list_distance/excess_overlap_at_20``."""
    return f"{PREFIX[users]}/{part}_{measure}_at_20"


assert metric_name("excess") == LIST_EXCESS


@dataclass(frozen=True)
class Pairs:
    """Distances of a row's models to gold's, in one request.

    ``own`` is [S, G, U, 2], ``golds`` [G, G, U, 2], with the measures last; a model and itself, or gold
    of its own seed, is NaN. ``group`` is [U].
    """

    request: int
    seeds: tuple[int, ...]
    own: Floats
    golds: Floats
    group: NDArray[np.integer]

    def among(self, users: str) -> Pairs | None:
        """The part of some users; None where the request has none of them."""
        kept = np.isin(self.group, USERS[users])
        if not kept.any():
            return None
        return replace(self, own=self.own[:, :, kept], golds=self.golds[:, :, kept], group=self.group[kept])

    def block(self, measure: str, with_floor: bool = True) -> Block:
        """What the bootstrap draws from."""
        number, count = MEASURES.index(measure), len(self.group)
        both = np.concatenate([self.own, self.golds])[..., number]
        rows, golds = both.shape[:2]
        means = user_means(both.reshape(rows * golds, count), self.request).reshape(-1, rows, golds)
        seeds = len(self.seeds)
        return Block(means[:, :seeds], means[:, seeds:] if with_floor else None, count)


@dataclass
class ListDistances:
    """Distances between the runs of a store. Lists are read once, and golds compared once."""

    read: Read
    _lists: dict[str, Mapping[str, NDArray[Any]]] = field(default_factory=dict)
    _golds: dict[tuple[str, ...], Floats] = field(default_factory=dict)

    def pairs(self, group: Group, gold: Group | None, ats: Collection[At] | None = None) -> list[Pairs]:
        """By request, the distances of a row; requests without a gold of another seed are left out.

        Args:
            ats: requests and seeds that count; None for all.
        """
        if gold is None:
            return []
        found = [self._pairs(group, gold, request, ats) for request in group.requests]
        return [one for one in found if one is not None]

    def values(self, group: Group, gold: Group | None) -> dict[At, dict[str, float]]:
        """By request and seed, the distances of a row under the names of ``metric_name``."""
        found: dict[At, dict[str, float]] = {}
        for every in self.pairs(group, gold):
            for users in USERS:
                pairs = every.among(users)
                if pairs is not None:
                    for seed, values in zip(pairs.seeds, _values(pairs, users), strict=True):
                        found.setdefault(At(pairs.request, seed), {}).update(values)
        return found

    def estimates(
        self,
        group: Group,
        gold: Group | None,
        users: str = "stay",
        measure: str = "overlap",
        ats: Collection[At] | None = None,
    ) -> tuple[Estimate, Estimate | None] | None:
        """Distance and excess of a row with intervals; the excess is None without two golds of a request."""
        found = [pairs.among(users) for pairs in self.pairs(group, gold, ats)]
        kept = [pairs for pairs in found if pairs is not None]
        if not kept:
            return None
        blocks = [pairs.block(measure) for pairs in kept]
        floored = [block for block in blocks if block.floor is not None and block.floor.shape[1] > 1]
        plain = [Block(block.pairs, None, block.users) for block in blocks]
        return estimate(plain), estimate(floored) if floored else None

    def missing(self, group: Group, gold: Group | None) -> str:
        """Why a row has no excess; "" where it has one."""
        if not any(self._lists_of(run) for run in group.last_runs()):
            return "its runs hold no lists"
        if gold is None:
            return "no gold model is recorded: method=retrain"
        if not any(self._lists_of(run) for run in gold.last_runs()):
            return "the runs of gold hold no lists"
        if not self.pairs(group, gold):
            return "gold of another training seed is not recorded: method=retrain seed=0,1"
        if all(pairs.golds.shape[0] < 2 for pairs in self.pairs(group, gold)):
            return "there is one gold model only, and so no floor: method=retrain seed=0,1"
        return ""

    def _pairs(self, group: Group, gold: Group, request: int, ats: Collection[At] | None) -> Pairs | None:
        own = self._models(group, request)
        own = {seed: run for seed, run in own.items() if ats is None or run.at in ats}
        theirs = self._models(gold, request)
        if not any(first != second for first in own for second in theirs):
            return None
        users = self._shared([*own.values(), *theirs.values()])
        if not len(users):
            return None
        pairs = np.stack(
            [[self._apart(a, b, x, y, users) for y, b in theirs.items()] for x, a in own.items()]
        )
        first = next(iter(theirs.values()))
        lists = self._lists_of(first)
        return Pairs(
            request,
            tuple(own),
            pairs,
            self._among_golds(theirs, users),
            lists["group"][np.searchsorted(lists["users"], users)],
        )

    def _models(self, group: Group, request: int) -> dict[int, CellRun]:
        """By seed, the run of a request that counts, of those that hold lists."""
        runs = {run.seed: run for run in group.runs if run.request == request and self._lists_of(run)}
        return dict(sorted(runs.items()))

    def _among_golds(self, golds: Mapping[int, CellRun], users: NDArray[Any]) -> Floats:
        key = (*(run.run_id for run in golds.values()), str(len(users)), str(users[:1]), str(users[-1:]))
        if key not in self._golds:
            self._golds[key] = np.stack(
                [[self._apart(a, b, x, y, users) for y, b in golds.items()] for x, a in golds.items()]
            )
        return self._golds[key]

    def _apart(self, own: CellRun, gold: CellRun, seed: int, other: int, users: NDArray[Any]) -> Floats:
        """Distances [U, 2]; NaN for the gold of the model's own seed."""
        if seed == other:
            return np.full((len(users), len(MEASURES)), np.nan)
        return 1 - np.stack(likeness(self._items(own, users), self._items(gold, users)), axis=1)

    def _items(self, run: CellRun, users: NDArray[Any]) -> NDArray[np.integer]:
        lists = self._lists_of(run)
        found: NDArray[np.integer] = lists["items"][np.searchsorted(lists["users"], users)]
        return found

    def _shared(self, runs: Sequence[CellRun]) -> NDArray[Any]:
        shared = self._lists_of(runs[0])["users"]
        for run in runs[1:]:
            users = self._lists_of(run)["users"]
            shared = users if np.array_equal(users, shared) else np.intersect1d(shared, users)
        return shared

    def _lists_of(self, run: CellRun) -> Mapping[str, NDArray[Any]]:
        if run.run_id not in self._lists:
            self._lists[run.run_id] = self.read(run.run_id)
        return self._lists[run.run_id]


def with_list_distances(groups: Iterable[Group], distances: ListDistances) -> list[Group]:
    """The rows with their list distances among the metrics of their runs."""
    found = []
    for setting in by_setting(groups).values():
        for group in setting:
            values = distances.values(group, gold_for(group, setting))
            last = {run.run_id for run in group.last_runs()}
            runs = tuple(
                replace(run, metrics={**run.metrics, **values.get(run.at, {})}) if run.run_id in last else run
                for run in group.runs
            )
            found.append(replace(group, runs=runs))
    return found


def _values(pairs: Pairs, users: str) -> list[dict[str, float]]:
    """By seed, distance, floor and excess; without a floor the distance alone."""
    found = []
    floors = [_mean(pairs.golds[..., number]) for number in range(len(MEASURES))]
    for own in pairs.own:
        values: dict[str, float] = {}
        for measure, floor, one in zip(MEASURES, floors, np.moveaxis(own, -1, 0), strict=True):
            distance = _mean(one)
            parts = (distance, floor, distance - floor)
            values |= {metric_name(p, measure, users): v for p, v in zip(PARTS, parts, strict=True)}
        found.append({name: value for name, value in values.items() if np.isfinite(value)})
    return found


def _mean(pairs: Floats) -> float:
    """Mean over users and over the pairs that count; NaN where none does."""
    known = np.isfinite(pairs)
    return float(pairs[known].mean()) if known.any() else float("nan")
