"""Best and second, by what is best."""

from __future__ import annotations

import pytest

from bench.measure.marks import Goal, losses, marks

VALUES = {"a": 0.3, "b": 0.1, "c": 0.25, "d": 0.3}


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        ("high", {"a": "best", "d": "best", "c": "second"}),
        ("low", {"b": "best", "c": "second"}),
        ("gold", {"c": "best", "a": "second", "d": "second"}),
    ],
)
def test_equal_figures_share_a_mark(goal: Goal, expected: dict[str, str]) -> None:
    assert marks(losses(VALUES, goal, gold=0.22)) == expected


def test_without_gold_nothing_is_closest_to_it() -> None:
    assert marks(losses(VALUES, "gold")) == {}


def test_one_alone_is_best_only_where_that_is_asked_for() -> None:
    alone = losses({"a": 0.3}, "high")
    assert marks(alone) == {}
    assert marks(alone, fewest=1) == {"a": "best"}
