"""Tests against the reference that is named in advance, corrected over a table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.record.names import FORGET_RECALL, TEST_RECALL
from results.distance.significance import Comparison, against_reference, corrected, notes_on, sign_of
from results.names.headlines import Goal
from results.runs.frame import CellRun
from results.runs.groups import Group, grouped
from results.runs.statistics import holm
from tests.results.made import cell

FORGET = {"retrain": 0.10, "reset": 0.02, "tru": 0.095, "mmrecun": 0.20}
TEST = {"retrain": 0.30, "reset": 0.29, "tru": 0.25, "mmrecun": 0.35}


def setting(requests: int, seeds: int, noise: float = 0.002) -> dict[str, Group]:
    random = np.random.default_rng(0)
    runs = []
    for method in FORGET:
        for request in range(requests):
            for seed in range(seeds):
                made = cell(method, seed, params={"regime.seed": str(request)})
                shift = 0.05 * request
                metrics = {
                    FORGET_RECALL: FORGET[method] + shift + noise * float(random.normal()),
                    TEST_RECALL: TEST[method] + shift + noise * float(random.normal()),
                }
                runs.append(CellRun(**{**vars(made), "metrics": metrics}))
    return {group.method: group for group in grouped(runs, {})}


def compared(found: dict[str, Group], method: str, goal: Goal) -> Comparison | None:
    metric = FORGET_RECALL if goal == "gold" else TEST_RECALL
    return against_reference(found[method], found["retrain"], found["reset"], metric, goal)


def significant(found: dict[str, Group], goal: Goal) -> dict[tuple[str, ...], Comparison]:
    every = {(m,): compared(found, m, goal) for m in ("reset", "tru", "mmrecun")}
    return corrected({key: test for key, test in every.items() if test is not None})


def test_closeness_is_against_reset_over_requests() -> None:
    found = significant(setting(requests=4, seeds=2), "gold")
    assert set(found) == {("tru",), ("mmrecun",)}
    tru, other = found["tru",], found["mmrecun",]
    assert (tru.reference, tru.advantage.over[0]) == ("reset", "requests")
    assert tru.advantage.value == pytest.approx(0.08 - 0.005, abs=0.005)
    assert (sign_of(tru), sign_of(other)) == ("†", ""), "what is further off than reset has no sign"
    assert other.advantage.value < 0


def test_utility_is_against_gold_and_has_a_direction() -> None:
    found = significant(setting(requests=4, seeds=2), "high")
    assert {key[0]: sign_of(test) for key, test in found.items()} == {
        "reset": "↓",
        "tru": "↓",
        "mmrecun": "↑",
    }
    assert all(test.reference == "retrain" for test in found.values())


def test_with_one_request_a_test_is_said_to_be_conditional() -> None:
    found = significant(setting(requests=1, seeds=4), "gold")
    assert sign_of(found["tru",]) == "(†)"
    lines = notes_on(list(found.values()))
    assert lines[0].startswith("† closer to gold than reset: p < 0.05, hierarchical bootstrap over seeds")
    assert "for it alone" in lines[1]
    assert not any("brackets" in line for line in notes_on(list(significant(setting(4, 2), "gold").values())))


def test_single_models_are_not_tested() -> None:
    assert significant(setting(requests=1, seeds=1), "gold") == {}
    assert notes_on([]) == []


def test_without_the_reference_or_gold_there_is_no_test() -> None:
    found = setting(2, 2)
    assert against_reference(found["tru"], found["retrain"], None, FORGET_RECALL, "gold") is None
    assert against_reference(found["tru"], None, found["reset"], FORGET_RECALL, "gold") is None
    assert compared(found, "reset", "gold") is None


def test_the_reference_is_compared_on_the_cells_that_both_have() -> None:
    found = setting(requests=3, seeds=2)
    own = tuple(run for run in found["tru"].runs if run.request == 0)
    fewer = {**found, "tru": replace(found["tru"], runs=own)}
    test = compared(fewer, "tru", "gold")
    assert test is not None
    assert "requests" not in test.advantage.over


def test_p_values_are_adjusted_over_all_tests_of_a_kind() -> None:
    found = setting(requests=3, seeds=2, noise=0.02)
    closeness = {(m, "f"): compared(found, m, "gold") for m in ("tru", "mmrecun")}
    utility = {(m, "t"): compared(found, m, "high") for m in ("tru", "mmrecun")}
    every = {key: test for key, test in {**closeness, **utility}.items() if test is not None}
    adjusted = corrected(every)
    for kind in (closeness, utility):
        raw = [every[key].advantage.p for key in kind]
        assert [adjusted[key].p for key in kind] == pytest.approx(holm([p for p in raw if p is not None]))


def test_noise_is_not_significant() -> None:
    assert sign_of(significant(setting(requests=2, seeds=2, noise=0.2), "gold").get(("tru",))) == ""
