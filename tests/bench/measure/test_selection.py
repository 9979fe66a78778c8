"""The selection rule, on figures made up for it."""

from __future__ import annotations

import dataclasses

import pytest

from bench.measure.selection import Candidate, Figures, Rule, front, score, select

GOLD = Figures(valid_recall=0.4, forget_recall=0.1)
RULE = Rule(above=0.005, below=0.02, floor=0.0)


def candidates(*figures: tuple[float, float]) -> list[Candidate]:
    """Candidates from pairs of validation and forget recall."""
    return [Candidate(number, valid, forget) for number, (valid, forget) in enumerate(figures)]


@pytest.mark.parametrize(
    ("figures", "chosen", "within"),
    [
        ([(0.30, 0.10), (0.35, 0.09), (0.40, 0.20)], 1, True),  # the best outside counts for nothing
        ([(0.30, 0.105), (0.20, 0.10)], 0, True),  # on the upper edge
        ([(0.30, 0.08), (0.20, 0.10)], 0, True),  # on the lower edge
        ([(0.30, 0.106), (0.20, 0.10)], 1, True),  # beyond the upper edge
        ([(0.30, 0.079), (0.20, 0.10)], 1, True),  # beyond the lower edge
        ([(0.40, 0.20), (0.10, 0.15), (0.30, 0.0)], 1, False),  # none within: the closest, from above
        ([(0.40, 0.20), (0.10, 0.04), (0.30, 0.0)], 1, False),  # or from below
        ([(0.20, 0.15), (0.30, 0.15)], 1, False),  # equally far: the better validation recall
        ([(0.20, 0.10), (0.20, 0.10)], 0, True),  # equal: the earlier one
        ([(0.0, 0.10), (0.4, 0.106)], 0, True),  # within wins, however useless
    ],
)
def test_the_rule(figures: list[tuple[float, float]], chosen: int, within: bool) -> None:
    selected = select(candidates(*figures), GOLD, RULE)
    assert (selected.candidate.number, selected.within) == (chosen, within)


def test_both_sides_of_the_tolerance_are_options() -> None:
    strict = candidates((0.3, 0.104), (0.2, 0.1))
    assert select(strict, GOLD, Rule(above=0.0, below=0.02, floor=0.0)).candidate.number == 1
    loose = candidates((0.3, 0.02), (0.2, 0.1))
    assert select(loose, GOLD, Rule(above=0.0, below=0.1, floor=0.0)).candidate.number == 0


def test_the_score_orders_as_the_rule_does() -> None:
    tried = candidates((0.3, 0.1), (0.4, 0.095), (0.9, 0.2), (0.0, 0.104), (0.5, 0.0))
    best = max(tried, key=lambda candidate: score(candidate, GOLD, RULE))
    assert best == select(tried, GOLD, RULE).candidate
    outside = [tried[2], tried[4]]
    best = max(outside, key=lambda candidate: score(candidate, GOLD, RULE))
    assert best == select(outside, GOLD, RULE).candidate


def test_wrecked_candidates_come_last_where_a_floor_is_set() -> None:
    tried = candidates((0.1, 0.1), (0.3, 0.0), (0.36, 0.3))
    chosen = [select(tried, GOLD, Rule(floor=floor)).candidate.number for floor in (0.0, 0.5, 0.9, 1.0)]
    assert chosen == [0, 1, 2, 0]


def test_the_front_holds_what_nothing_beats() -> None:
    tried = candidates((0.3, 0.1), (0.2, 0.1), (0.4, 0.3), (0.4, 0.4), (0.1, 0.0))
    assert [candidate.number for candidate in front(tried, GOLD)] == [0, 2]


def test_nothing_to_choose_from_is_an_error() -> None:
    with pytest.raises(ValueError, match="no candidate"):
        select([], GOLD, RULE)


def test_the_rule_is_given_no_test_figure() -> None:
    names = [[field.name for field in dataclasses.fields(given)] for given in (Candidate, Figures)]
    assert names == [["number", "valid_recall", "forget_recall"], ["valid_recall", "forget_recall"]]
