"""Which of several figures are best and second: one rule for the terminal, the tables and the page.

Reference systems are left out by the caller. Equal figures share a mark. No torch in here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

Goal = Literal["high", "low", "gold"]
"""What is best: the highest, the lowest, or the closest to the gold model's value."""
Mark = Literal["best", "second"]
Key = TypeVar("Key")


def losses(values: Mapping[Key, float], goal: Goal, gold: float | None = None) -> dict[Key, float]:
    """What ranks each of ``values``, the smaller the better.

    Args:
        gold: the gold model's value; None where there is none, and nothing is closest to it.
    """
    if goal == "gold":
        return {} if gold is None else {key: abs(value - gold) for key, value in values.items()}
    return {key: -value if goal == "high" else value for key, value in values.items()}


def marks(ranking: Mapping[Key, float], fewest: int = 2) -> dict[Key, Mark]:
    """The marks of the best and the second by their ``losses``; the others are absent.

    Args:
        fewest: how few there may be for one to be called best.
    """
    if len(ranking) < fewest:
        return {}
    names: tuple[Mark, Mark] = ("best", "second")
    ranked = dict(zip(sorted(set(ranking.values())), names, strict=False))
    return {key: ranked[loss] for key, loss in ranking.items() if loss in ranked}
