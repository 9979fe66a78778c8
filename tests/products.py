"""Which combinations of registered things a test goes through: all pairs, or (``make test-all``) all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import product

from allpairspy import AllPairs

EVERYTHING = "LETHE_TEST_ALL"
"""Environment variable that asks for the full product."""


def combinations(*axes: Sequence[str]) -> list[tuple[str, ...]]:
    """Combinations of one value per axis in which every pair of values of two axes occurs.

    The full product grows with every method, backbone and regime; faults that need three particular ones
    together are what ``make test-all`` is for.
    """
    if os.environ.get(EVERYTHING):
        return list(product(*axes))
    return [tuple(row) for row in AllPairs([list(axis) for axis in axes])]
