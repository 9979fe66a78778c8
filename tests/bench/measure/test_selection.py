"""The selection rule, on figures made up for it."""

from __future__ import annotations

import dataclasses
from statistics import stdev

import pytest

from bench.config.schema import build
from bench.measure.selection import (
    DIVERGED_LOSS,
    WRECKED,
    Candidate,
    Figures,
    Rule,
    Target,
    front,
    loss,
    select,
    target_of,
)
from datasets.errors import InputError

AIM = Figures(valid_recall=0.4, forget_recall=0.1)
TARGET = Target(AIM, Figures(valid_recall=0.01, forget_recall=0.02), None)
RULE = Rule(floor=0.0)
GOLDS = [
    Figures(valid, forget)
    for valid, forget in ((0.4, 0.1), (0.41, 0.12), (0.39, 0.1), (0.42, 0.11), (0.38, 0.07))
]


def candidates(*figures: tuple[float, float]) -> list[Candidate]:
    """Candidates from pairs of validation and forget recall."""
    return [Candidate(number, valid, forget) for number, (valid, forget) in enumerate(figures)]


@pytest.mark.parametrize(
    ("valid", "forget", "expected"),
    [
        (0.4, 0.1, 0.0),
        (0.4, 0.14, 2.0),  # above the aim of forget recall
        (0.4, 0.06, 2.0),  # and as far below
        (0.38, 0.1, 2.0),  # below the aim of validation recall
        (0.42, 0.1, 2.0),  # and as far above
        (0.39, 0.13, 2.5),
    ],
)
def test_the_loss_adds_both_distances_in_units_and_has_no_free_side(
    valid: float, forget: float, expected: float
) -> None:
    assert loss(Candidate(0, valid, forget), TARGET, RULE) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("figures", "chosen"),
    [
        ([(0.40, 0.14), (0.39, 0.10), (0.40, 0.20)], 1),
        ([(0.50, 0.10), (0.38, 0.10)], 1),  # a better recall than gold's is a distance
        ([(0.40, 0.00), (0.40, 0.14)], 1),  # forgetting below gold, too
        ([(0.39, 0.10), (0.39, 0.10)], 0),  # equal: the earlier one
    ],
)
def test_the_least_loss_is_chosen(figures: list[tuple[float, float]], chosen: int) -> None:
    selected = select(candidates(*figures), TARGET, RULE)
    assert selected.candidate.number == chosen
    assert selected.loss == min(loss(one, TARGET, RULE) for one in candidates(*figures))
    assert not selected.wrecked


def test_wrecked_candidates_come_last_where_a_floor_is_set() -> None:
    tried = candidates((0.1, 0.1), (0.3, 0.0), (0.36, 1.0))
    floors = (0.0, 0.5, 0.9, 1.0)
    chosen = [select(tried, TARGET, Rule(floor=floor)) for floor in floors]
    assert [one.candidate.number for one in chosen] == [1, 1, 2, 1]
    assert [one.wrecked for one in chosen] == [False, False, False, True]
    assert WRECKED < chosen[-1].loss < DIVERGED_LOSS
    assert not select(candidates((0.36, 0.1)), TARGET, Rule(floor=0.9)).wrecked, (
        "on the floor is not below it"
    )


def test_aims_are_means_and_units_standard_deviations_over_seeds() -> None:
    target = target_of(GOLDS, Rule())
    assert target.aim == Figures(pytest.approx(0.4), pytest.approx(0.1))
    spread = Figures(stdev(one.valid_recall for one in GOLDS), stdev(one.forget_recall for one in GOLDS))
    assert target.unit == target.spread == spread


def test_a_unit_that_is_measured_is_no_smaller_than_the_least() -> None:
    golds = [Figures(valid, 0.0) for valid in (0.1, 0.2, 0.3, 0.2, 0.1)]
    target = target_of(golds, Rule(least_unit=0.002))
    assert target.unit.forget_recall == 0.002
    assert target.spread is not None
    assert (target.spread.forget_recall, target.unit.valid_recall) == (0.0, target.spread.valid_recall)


def test_a_stated_unit_takes_one_model_and_is_named() -> None:
    rule = Rule(valid_unit=0.001, forget_unit=0.03)
    assert (rule.seeds, Rule().seeds) == (1, 5)
    assert target_of(GOLDS[:1], rule) == Target(GOLDS[0], Figures(0.001, 0.03), None)
    assert rule.units_in_words == "stated"
    assert Rule().units_in_words == "standard deviations of gold over 5 seeds, at least 0.0005"
    assert "what stands in for gold" in Rule(target="proxy").units_in_words


def test_an_aim_can_be_given_in_place_of_the_mean() -> None:
    target = target_of(GOLDS, Rule(target="proxy"), forget_aim=0.0)
    assert target.aim.forget_recall == 0.0
    assert target.unit == target_of(GOLDS, Rule()).unit


@pytest.mark.parametrize("values", [{"target_seeds": 4}, {"least_unit": 0.0}, {"target": "original"}])
def test_what_makes_no_unit_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(InputError):
        build(Rule, values, "")


@pytest.mark.parametrize("stated", ["valid_unit", "forget_unit"])
def test_one_unit_alone_is_refused(stated: str) -> None:
    with pytest.raises(InputError, match="state both or neither"):
        build(Rule, {stated: 0.01}, "").check()
    Rule().check()
    Rule(valid_unit=0.1, forget_unit=0.1).check()


def test_what_the_rule_is_called() -> None:
    assert [Rule().label, Rule(target="proxy").label] == ["oracle tuning", "gold-free tuning"]


def test_the_front_holds_what_nothing_beats() -> None:
    tried = candidates((0.3, 0.1), (0.2, 0.1), (0.4, 0.3), (0.4, 0.4), (0.1, 0.0))
    assert [candidate.number for candidate in front(tried, AIM)] == [0, 2]


def test_nothing_to_choose_from_is_an_error() -> None:
    with pytest.raises(ValueError, match="no candidate"):
        select([], TARGET, RULE)


def test_the_rule_is_given_no_test_figure() -> None:
    names = [[field.name for field in dataclasses.fields(given)] for given in (Candidate, Figures)]
    assert names == [["number", "valid_recall", "forget_recall"], ["valid_recall", "forget_recall"]]
