"""Users and items without a training pair: what is dropped, what stays, what is counted."""

from __future__ import annotations

import numpy as np
import pytest

from datasets.cold import cold_pairs, without_cold_users
from datasets.errors import InputError
from datasets.interactions import RawDataset
from datasets.validation import summarise


def raw(valid: list[tuple[int, int]], test: list[tuple[int, int]]) -> RawDataset:
    """Users 0 to 3 and items 0 to 4; user 3 and item 4 have no training pair."""
    train = [(0, 0), (0, 1), (1, 2), (2, 3)]
    splits = [np.array(pairs, dtype=np.int64).T for pairs in (train, valid, test)]
    return RawDataset(4, 5, *splits)


MIXED = raw(valid=[(0, 2), (3, 0), (1, 4)], test=[(3, 1), (3, 4), (2, 4), (1, 0)])


def test_cold_users_lose_their_held_out_pairs_and_cold_items_stay_targets() -> None:
    kept = without_cold_users(MIXED, "shop")
    assert kept.valid.T.tolist() == [[0, 2], [1, 4]]
    assert kept.test.T.tolist() == [[2, 4], [1, 0]]
    assert kept.train is MIXED.train
    assert (kept.num_users, kept.num_items) == (4, 5)


def test_counts_are_those_of_the_data_as_read() -> None:
    counts = {"valid_of_cold_users": 1, "test_of_cold_users": 2, "valid_of_cold_items": 1}
    assert cold_pairs(MIXED) == {**counts, "test_of_cold_items": 2}
    summary = summarise(MIXED)
    assert (summary.valid, summary.test, summary.test_of_cold_users) == (3, 4, 2)


def test_a_split_of_cold_users_alone_is_refused() -> None:
    with pytest.raises(InputError, match=r"^dataset=shop: no user of the test split has a training pair: .*"):
        without_cold_users(raw(valid=[(0, 2)], test=[(3, 1)]), "shop")
