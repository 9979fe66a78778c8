"""Which combinations of registered things a test goes through: all pairs, or (``make test-all``) all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import product

from allpairspy import AllPairs

EVERYTHING = "LETHE_TEST_ALL"
"""Environment variable that asks for the full product."""


def everything() -> bool:
    """Whether the full product is asked for."""
    return bool(os.environ.get(EVERYTHING))


def in_turn(first: Sequence[str], second: Sequence[str]) -> list[tuple[str, str]]:
    """Each value of the longer axis with one of the other, in turn; all pairs where everything is asked for.

    For a promise that does not depend on the pair, so that each value on either side is enough.
    """
    if everything():
        return list(product(first, second))
    count = max(len(first), len(second))
    return [(first[place % len(first)], second[place % len(second)]) for place in range(count)]


def combinations(*axes: Sequence[str]) -> list[tuple[str, ...]]:
    """Combinations of one value per axis in which every pair of values of two axes occurs.

    The full product grows with every method, backbone and regime; faults that need three particular ones
    together are what ``make test-all`` is for.
    """
    if everything():
        return list(product(*axes))
    return [tuple(row) for row in AllPairs([list(axis) for axis in axes])]
