"""List distances against what the definition gives, from runs alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.measure.lists import likeness
from results.distance.lists import ListDistances, metric_name, with_list_distances
from results.names.headlines import LIST_EXCESS
from results.runs.at import At
from results.runs.frame import CellRun
from results.runs.groups import Group, grouped
from tests.results.made import cell
from tests.results.store import model_lists

NOISE = {"original": 0.2, "retrain": 0.2, "tru": 0.6}
Lists = dict[str, dict[str, np.ndarray]]


def lists_of(request: int, method: str, seed: int, name: str = "") -> dict[str, np.ndarray]:
    found = model_lists(request, name or f"{method} {seed}", NOISE[method])
    return {key: tensor.numpy() for key, tensor in found.items()}


def setting(
    requests: tuple[int, ...] = (0,), golds: tuple[int, ...] = (0, 1, 2)
) -> tuple[list[Group], Lists]:
    """Rows of gold, original and a method, and the lists of each run."""
    runs: list[CellRun] = []
    lists: Lists = {}
    for request in requests:
        for method in NOISE:
            for seed in golds if method == "retrain" else (0, 1):
                run = cell(method, seed, params={"regime.seed": str(request)})
                runs.append(replace(run, metrics={k: v for k, v in run.metrics.items() if k != LIST_EXCESS}))
                lists[run.run_id] = lists_of(request, method, seed)
    return grouped(runs, {}), lists


def by_method(groups: list[Group]) -> dict[str, Group]:
    return {group.method: group for group in groups}


def apart(one: Mapping[str, Any], other: Mapping[str, Any], keep: np.ndarray, measure: int = 0) -> float:
    """Mean distance of two models' lists over some users, from the definition."""
    return float(1 - likeness(one["items"][keep], other["items"][keep])[measure].mean())


@pytest.mark.parametrize(("users", "groups"), [("stay", (0, 1)), ("touched", (1,)), ("forgotten", (2,))])
@pytest.mark.parametrize(("measure", "number"), [("overlap", 0), ("rbo", 1)])
def test_distance_floor_and_excess_are_those_of_the_definition(
    users: str, groups: tuple[int, ...], measure: str, number: int
) -> None:
    rows, lists = setting()
    found = by_method(with_list_distances(rows, ListDistances(lists.__getitem__)))
    golds = [lists_of(0, "retrain", seed) for seed in (0, 1, 2)]
    keep = np.isin(golds[0]["group"], groups)
    own = lists_of(0, "tru", 1)
    distance = np.mean([apart(own, golds[other], keep, number) for other in (0, 2)])
    pairs = [(0, 1), (0, 2), (1, 2)]
    floor = np.mean([apart(golds[a], golds[b], keep, number) for a, b in pairs])
    values = [found["tru"].values(metric_name(part, measure, users))[At(0, 1)] for part in PARTS]
    assert values == pytest.approx([distance, floor, distance - floor])


PARTS = ("distance", "floor", "excess")


def test_gold_of_the_same_seed_is_left_out() -> None:
    rows, lists = setting()
    original = next(run for run in by_method(rows)["original"].runs if run.seed == 0)
    lists[original.run_id] = lists_of(0, "retrain", 0)  # as near to its own gold as can be
    found = by_method(with_list_distances(rows, ListDistances(lists.__getitem__)))
    gold = found["retrain"].values(metric_name("distance"))[At(0, 0)]
    assert gold > 0.2
    assert found["original"].values(metric_name("distance"))[At(0, 0)] == pytest.approx(gold)


def test_gold_has_no_excess_and_a_method_that_is_far_off_has() -> None:
    rows, lists = setting(requests=(0, 1), golds=(0, 1, 2, 3))
    distances = ListDistances(lists.__getitem__)
    found = by_method(with_list_distances(rows, distances))
    assert np.mean(list(found["retrain"].values(LIST_EXCESS).values())) == pytest.approx(0, abs=1e-12)
    gold, original, tru = (
        distances.estimates(found[method], found["retrain"]) for method in ("retrain", "original", "tru")
    )
    for one in (gold, original, tru):
        assert one is not None
        assert one[1] is not None
        assert one[1].over == ("requests", "seeds", "gold's seeds", "users")
    assert gold[1].interval[0] < 0 < gold[1].interval[1]  # type: ignore[index, union-attr]
    assert original[1].interval[0] < 0 < original[1].interval[1]  # type: ignore[index, union-attr]
    assert tru[1].interval[0] > 0.1  # type: ignore[index, union-attr]
    assert tru[1].value == pytest.approx(np.mean(list(found["tru"].values(LIST_EXCESS).values())))  # type: ignore[index, union-attr]


def test_gold_of_another_seed_is_within_its_interval_of_no_excess() -> None:
    rows, lists = setting(golds=(0, 1, 2, 3, 4))
    gold = by_method(rows)["retrain"]
    one = replace(gold, method="another gold", runs=tuple(run for run in gold.runs if run.seed > 2))
    others = replace(gold, runs=tuple(run for run in gold.runs if run.seed <= 2))
    found = ListDistances(lists.__getitem__).estimates(one, others)
    assert found is not None
    assert found[1] is not None
    assert found[1].interval is not None
    assert found[1].value != 0
    assert found[1].interval[0] < 0 < found[1].interval[1]


def test_a_later_gold_adds_to_the_distance() -> None:
    rows, lists = setting(golds=(0, 1))
    two = by_method(with_list_distances(rows, ListDistances(lists.__getitem__)))["tru"]
    rows, lists = setting(golds=(0, 1, 5 - 1))
    three = by_method(with_list_distances(rows, ListDistances(lists.__getitem__)))["tru"]
    assert two.values(metric_name("distance"))[At(0, 0)] != three.values(metric_name("distance"))[At(0, 0)]


@pytest.mark.parametrize(
    ("golds", "lacks", "why"),
    [
        ((0, 1), ("tru",), "its runs hold no lists"),
        ((), (), "no gold model is recorded"),
        ((0, 1), ("retrain",), "the runs of gold hold no lists"),
        ((3,), (), "one gold model only"),
    ],
)
def test_what_is_missing_is_said(golds: tuple[int, ...], lacks: tuple[str, ...], why: str) -> None:
    rows, lists = setting(golds=golds)
    read = {run_id: own for run_id, own in lists.items() if not any(name in run_id for name in lacks)}
    distances = ListDistances(lambda run_id: read.get(run_id, {}))
    found = by_method(rows)
    assert why in distances.missing(found["tru"], found.get("retrain"))
    after = by_method(with_list_distances(rows, distances))
    assert after["tru"].summary(LIST_EXCESS) is None


def test_without_a_gold_of_another_seed_there_is_no_distance() -> None:
    rows, lists = setting(golds=(0,))
    only = [replace(group, runs=tuple(run for run in group.runs if run.seed == 0)) for group in rows]
    distances = ListDistances(lists.__getitem__)
    found = by_method(only)
    assert "gold of another training seed" in distances.missing(found["tru"], found["retrain"])
    assert distances.estimates(found["tru"], found["retrain"]) is None


def test_lists_of_other_samples_are_compared_on_the_users_that_all_have() -> None:
    rows, lists = setting()
    run = next(run for run in by_method(rows)["tru"].runs if run.seed == 0)
    whole = lists[run.run_id]
    lists[run.run_id] = {key: array[10:] for key, array in whole.items()}
    found = by_method(with_list_distances(rows, ListDistances(lists.__getitem__)))
    golds = [lists_of(0, "retrain", seed) for seed in (1, 2)]
    keep = (np.arange(len(whole["users"])) >= 10) & (whole["group"] < 2)
    expected = np.mean([apart(whole, gold, keep) for gold in golds])
    assert found["tru"].values(metric_name("distance"))[At(0, 0)] == pytest.approx(expected)


def test_the_lists_of_a_run_are_read_once() -> None:
    rows, lists = setting()
    read: list[str] = []

    def reading(run_id: str) -> Mapping[str, Any]:
        read.append(run_id)
        return lists[run_id]

    with_list_distances(rows, ListDistances(reading))
    assert sorted(read) == sorted(lists)
