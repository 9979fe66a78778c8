"""Partners: of the same group, the nearest in count, within the ratio, drawn among equals."""

from __future__ import annotations

import numpy as np
import torch

from bench.audits.matching import Counted, counts_elsewhere, partners
from datasets.requests import DeletionRequest
from tests.tiny import tiny_data


def counted(*pairs: tuple[int, int]) -> Counted:
    groups, counts = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return Counted(groups, counts)


def found(wanted: Counted, pool: Counted, ratio: float = 2.0, seed: int = 0) -> list[int]:
    return [int(place) for place in partners(wanted, pool, ratio, np.random.default_rng(seed))]


def test_partners_are_the_nearest_of_the_same_group() -> None:
    pool = counted((0, 100), (0, 9), (1, 10), (0, 12), (2, 1000))
    wanted = counted((0, 10), (0, 70), (1, 8), (2, 900))
    assert found(wanted, pool) == [1, 0, 2, 4]


def test_no_partner_is_taken_from_another_group_or_too_far_away() -> None:
    pool = counted((0, 10), (5, 0))
    assert found(counted((0, 4), (0, 5), (1, 10), (5, 1), (5, 2), (4, 0), (6, 0)), pool) == [
        -1,
        0,
        -1,
        1,
        -1,
        -1,
        -1,
    ]
    assert found(counted((0, 4), (1, 10)), pool, ratio=1e9) == [0, -1]
    assert found(counted((0, 4)), counted()) == [-1]


def test_against_every_pair_one_by_one() -> None:
    random = np.random.default_rng(0)
    wanted, pool = (
        Counted(random.integers(0, 20, size), random.integers(0, 60, size)) for size in (300, 200)
    )
    for place, partner in enumerate(found(wanted, pool)):
        same = np.flatnonzero(pool.group == wanted.group[place])
        gaps = np.abs(np.log1p(pool.count[same]) - np.log1p(wanted.count[place]))
        if partner < 0:
            assert not len(same) or gaps.min() > np.log(2)
        else:
            assert partner in same
            gap = abs(np.log1p(pool.count[partner]) - np.log1p(wanted.count[place]))
            assert np.isclose(gap, gaps.min())


def test_equals_are_drawn_at_random() -> None:
    pool = counted(*[(0, 7)] * 5)
    assert {found(counted((0, 7)), pool, seed=seed)[0] for seed in range(60)} == set(range(5))


def test_the_count_leaves_the_pair_itself_out() -> None:
    data = tiny_data()
    pairs = torch.cat([data.train[:, :20], data.test[:, :20]], dim=1)
    counts = counts_elsewhere(pairs, data, side=1)
    for (user, item), count in zip(pairs.t().tolist(), counts, strict=True):
        others = [u for u, i in data.train.t().tolist() if i == item and u != user]
        assert count == len(others)


def test_in_the_retained_data_a_forgotten_pair_counts_like_any_other_pair_outside() -> None:
    data = tiny_data()
    user = data.train[0, 0]
    gone = data.train[:, data.train[0] == user]
    none = user[None][:0]
    retain = DeletionRequest("user", user[None], none, gone).apply(data)
    popularity = torch.bincount(retain.train[1], minlength=data.num_items)
    assert np.array_equal(counts_elsewhere(gone, retain, side=1), popularity[gone[1]].numpy())
