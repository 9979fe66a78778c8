"""The covering design covers, and the full product is the full product."""

from __future__ import annotations

from itertools import combinations as pairs_of
from itertools import product

import pytest

from tests.products import EVERYTHING, combinations

AXES = ([f"m{i}" for i in range(9)], [f"b{i}" for i in range(5)], ["user", "item", "interaction"])


def test_every_pair_of_values_occurs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EVERYTHING, raising=False)
    found = combinations(*AXES)
    assert len(found) < len(list(product(*AXES))) / 2
    for first, second in pairs_of(range(len(AXES)), 2):
        assert {(row[first], row[second]) for row in found} == set(product(AXES[first], AXES[second]))


def test_everything_is_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EVERYTHING, "1")
    assert combinations(*AXES) == list(product(*AXES))
