"""Likeness of lists against values worked out by hand and by the definition."""

from __future__ import annotations

import numpy as np
import pytest

from bench.measure.lists import DEPTH, RBO_PERSISTENCE, likeness


def by_definition(ours: list[int], theirs: list[int]) -> tuple[float, float]:
    """Overlap and RBO of two lists without padding, depth by depth."""
    length = max(len(ours), len(theirs))
    weights = [RBO_PERSISTENCE ** (depth - 1) for depth in range(1, length + 1)]
    shared = [len(set(ours[:depth]) & set(theirs[:depth])) for depth in range(1, length + 1)]
    rbo = sum(w * s / depth for depth, (w, s) in enumerate(zip(weights, shared, strict=True), 1))
    return shared[-1] / length, rbo / sum(weights)


def test_of_three_items_by_hand() -> None:
    overlap, rbo = likeness(np.array([[4, 1, 2]]), np.array([[1, 4, 9]]))
    assert overlap == pytest.approx([2 / 3])
    assert rbo == pytest.approx([(0.9 * 1.0 + 0.81 * 2 / 3) / (1 + 0.9 + 0.81)])


def test_padding_shortens_the_lists_and_is_never_shared() -> None:
    overlap, rbo = likeness(np.array([[4, 1, -1], [5, -1, -1]]), np.array([[1, 4, -1], [6, 7, -1]]))
    assert overlap == pytest.approx([1.0, 0.0])
    assert rbo == pytest.approx([0.9 / 1.9, 0.0])


def test_the_same_lists_are_alike_even_empty_ones() -> None:
    lists = np.array([np.arange(DEPTH), np.full(DEPTH, -1)])
    for value in likeness(lists, lists):
        assert value == pytest.approx([1.0, 1.0])


def test_random_lists_of_all_lengths_agree_with_the_definition() -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(1, DEPTH + 1, size=(60, 2))
    lists = [[random.permutation(30)[:length].tolist() for length in pair] for pair in lengths]
    ours, theirs = (
        np.array([pair[side] + [-1] * (DEPTH - len(pair[side])) for pair in lists], dtype=np.int32)
        for side in (0, 1)
    )
    expected = np.array([by_definition(*pair) for pair in lists])
    overlap, rbo = likeness(ours, theirs)
    assert overlap == pytest.approx(expected[:, 0])
    assert rbo == pytest.approx(expected[:, 1])
    assert [x.tolist() for x in likeness(theirs, ours)] == [pytest.approx(x.tolist()) for x in (overlap, rbo)]
