"""Gaps, units and closeness against values worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from bench.record.names import FORGET_RECALL, MIA_BALANCED_ACCURACY, TEST_RECALL
from results.distance.closeness import CAP, scores, unscored
from results.distance.gaps import gap, unit_of
from results.names.headlines import LIST_EXCESS
from results.runs.at import At
from results.runs.frame import CellRun
from results.runs.groups import Group, gold_for, grouped
from tests.results.made import cell


def run(method: str, request: int, seed: int, value: float, metric: str = TEST_RECALL) -> CellRun:
    made = cell(method, seed, params={"regime.seed": str(request)})
    return CellRun(**{**vars(made), "metrics": {metric: value}})


def rows(*runs: CellRun) -> dict[str, Group]:
    return {group.method: group for group in grouped(runs, {})}


def test_a_gap_is_to_the_mean_gold_of_its_request() -> None:
    found = rows(
        *(run("retrain", 0, seed, 0.1 * seed) for seed in (0, 1, 2)),  # mean .1
        *(run("retrain", 1, seed, 0.5) for seed in (0, 1)),
        run("tru", 0, 0, 0.3),
        run("tru", 1, 0, 0.4),
        run("tru", 1, 1, 0.4),
    )
    made = gap(found["tru"], found["retrain"], TEST_RECALL)
    assert made is not None
    assert made.value == pytest.approx(((0.3 - 0.1) + (0.4 - 0.5) * 2) / 3)
    assert made.unit.golds == 5
    # squares within requests: .01 + 0 + .01 + 0 + 0, with 2 + 1 degrees of freedom
    assert made.unit.value == pytest.approx(np.sqrt(0.02 / 3))
    assert made.units == pytest.approx(abs(made.value) / made.unit.value)
    short = gap(found["tru"], found["retrain"], TEST_RECALL, with_interval=False)
    assert short is not None
    assert (short.value, short.estimate.interval) == (pytest.approx(made.value), None)


def test_a_request_without_gold_does_not_count() -> None:
    found = rows(run("retrain", 0, 0, 0.5), run("tru", 0, 0, 0.6), run("tru", 1, 0, 9.0))
    made = gap(found["tru"], found["retrain"], TEST_RECALL)
    assert made is not None
    assert made.value == pytest.approx(0.1)
    alone = rows(run("tru", 1, 0, 9.0), run("retrain", 0, 0, 0.5))
    assert gap(alone["tru"], alone["retrain"], TEST_RECALL) is None
    assert gap(alone["tru"], None, TEST_RECALL) is None


@pytest.mark.parametrize(
    ("golds", "why"),
    [
        ([(0, s, 0.1 * s) for s in range(3)], "3 of 5 golds"),
        ([(r, 0, 0.1) for r in range(5)], "no request has golds of two training seeds"),
    ],
)
def test_a_unit_is_never_from_few_golds(golds: list[tuple[int, int, float]], why: str) -> None:
    found = unit_of({At(request, seed): value for request, seed, value in golds})
    assert (found.value, found.why) == (None, why)


def test_a_unit_of_nothing_makes_a_gap_infinite() -> None:
    golds = [run("retrain", 0, seed, 0.5) for seed in range(5)]
    found = rows(*golds, run("tru", 0, 0, 0.6), run("reset", 0, 0, 0.5))
    assert gap(found["tru"], found["retrain"], TEST_RECALL).units == float("inf")  # type: ignore[union-attr]
    assert gap(found["reset"], found["retrain"], TEST_RECALL).units == 0.0  # type: ignore[union-attr]


def test_users_are_joined_by_id_and_drawn_with_the_seeds() -> None:
    random = np.random.default_rng(0)
    found = rows(*(run(m, 0, s, 0.5) for m in ("retrain", "tru") for s in (0, 1)))
    users = {r.run_id: random.permutation(20) for group in found.values() for r in group.runs}

    def arrays(run_id: str) -> Mapping[str, Any]:
        own = users[run_id]
        base = 0.02 * own + (0.1 if "tru" in run_id else 0.0)
        return {"test/users": own, TEST_RECALL: base.astype(np.float32)}

    made = gap(found["tru"], found["retrain"], TEST_RECALL, arrays)
    assert made is not None
    assert made.estimate.over == ("seeds", "gold's seeds", "users")
    assert made.value == pytest.approx(0.1)
    assert made.estimate.interval == pytest.approx((0.1, 0.1), abs=1e-6), "every user has the same gap"


METRICS = (TEST_RECALL, FORGET_RECALL, MIA_BALANCED_ACCURACY, LIST_EXCESS)


def whole(method: str, seed: int, *values: float | None) -> CellRun:
    made = cell(method, seed)
    metrics = {m: v for m, v in zip(METRICS, values, strict=True) if v is not None}
    return CellRun(**{**vars(made), "metrics": metrics})


GOLDS = [whole("retrain", s, *[0.5 + 0.1 * (s - 2)] * 4) for s in range(5)]
SIGMA = float(np.std([0.1 * (s - 2) for s in range(5)], ddof=1))


def score(name: str, *runs: CellRun) -> dict[str, float | None]:
    found = rows(*GOLDS, *runs)
    return dict(scores({name: found[name]}, list(found.values()))[name].parts)


def test_closeness_is_the_mean_of_capped_gaps_in_units() -> None:
    runs = [whole("tru", 0, 0.5 + SIGMA, 0.5 - 3 * SIGMA, 0.5, 0.5 + 99 * SIGMA)]
    parts = score("tru", *runs)
    assert list(parts.values()) == pytest.approx([1.0, 3.0, 0.0, CAP])
    found = rows(*GOLDS, *runs)
    value = scores({"tru": found["tru"]}, list(found.values()))["tru"].value
    assert value == pytest.approx((1 + 3 + 0 + CAP) / 4)


def test_a_method_that_lacks_a_part_has_no_score() -> None:
    found = rows(*GOLDS, whole("tru", 0, 0.5, 0.5, None, 0.5))
    assert scores({"tru": found["tru"]}, list(found.values()))["tru"].value is None


def test_a_part_without_a_unit_is_left_out_for_all_and_named() -> None:
    golds = [whole("retrain", s, 0.5 + 0.1 * s, 0.5 + 0.1 * s, None, 0.1 * s) for s in range(5)]
    found = rows(*golds, whole("tru", 0, 0.7, 0.7, 0.9, 0.2))
    made = scores({"tru": found["tru"]}, list(found.values()))["tru"]
    assert set(made.parts) == {"test recall", "forget recall", "list excess"}
    assert made.value == pytest.approx(0, abs=1e-9)
    assert unscored(gold_for(found["tru"], list(found.values()))) == {"membership": "0 of 5 golds"}
    assert set(unscored(None).values()) == {"no gold is recorded"}


def test_scores_are_over_what_the_methods_share() -> None:
    tru = [whole("tru", s, *[0.5 + s * SIGMA] * 4) for s in (0, 1)]
    found = rows(*GOLDS, *tru, whole("mmrecun", 1, *[0.5] * 4))
    both = scores({name: found[name] for name in ("tru", "mmrecun")}, list(found.values()))
    assert both["tru"].value == pytest.approx(1.0), "of seed 1 alone"
    assert scores({"tru": found["tru"]}, list(found.values()))["tru"].value == pytest.approx(0.5)
