"""The covering design covers, and the full product is the full product."""

from __future__ import annotations

from itertools import combinations as pairs_of
from itertools import product

import pytest

from tests.products import EVERYTHING, combinations, in_turn

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
    assert in_turn(AXES[0], AXES[2]) == list(product(AXES[0], AXES[2]))


def test_each_value_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EVERYTHING, raising=False)
    for first, second in ((AXES[0], AXES[2]), (AXES[2], AXES[0])):
        found = in_turn(first, second)
        assert len(found) == 9
        assert ({one for one, _ in found}, {other for _, other in found}) == (set(first), set(second))
