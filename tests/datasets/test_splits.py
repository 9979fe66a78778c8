from __future__ import annotations

import numpy as np
import pytest

from datasets.splits import (
    TEST,
    TRAIN,
    VALID,
    held_out,
    leave_one_out_labels,
    per_user_labels,
    temporal_labels,
    time_cuts,
)


@pytest.mark.parametrize(
    ("pairs", "valid", "test"),
    [
        (1, 0, 0),
        (2, 0, 0),
        (3, 1, 1),
        (5, 1, 1),
        (9, 1, 1),
        (10, 1, 1),
        (14, 1, 1),
        (15, 1, 2),
        (19, 1, 2),
        (20, 2, 2),
        (125, 12, 13),
    ],
)
def test_held_out_follows_the_published_rule(pairs: int, valid: int, test: int) -> None:
    sizes = held_out(np.array([pairs]))
    assert (int(sizes[0][0]), int(sizes[1][0])) == (valid, test)


def test_every_user_gets_the_sizes_of_the_rule() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 60, size=300)
    users = rng.permutation(np.repeat(np.arange(300), counts))
    labels = per_user_labels(users, np.random.default_rng(1))
    valid, test = held_out(counts)
    has = counts > 0
    assert (np.bincount(users[labels == VALID], minlength=300)[has] == valid[has]).all()
    assert (np.bincount(users[labels == TEST], minlength=300)[has] == test[has]).all()


def test_labels_depend_on_the_seed_only() -> None:
    users = np.repeat(np.arange(50), 20)
    first, again, other = (per_user_labels(users, np.random.default_rng(s)) for s in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_every_position_is_held_out_equally_often() -> None:
    users = np.repeat(np.arange(4000), 10)
    labels = per_user_labels(users, np.random.default_rng(0)).reshape(4000, 10)
    share = (labels != TRAIN).mean(axis=0)
    assert np.abs(share - 0.2).max() < 0.03


def test_no_pairs_give_no_labels() -> None:
    assert per_user_labels(np.empty(0, dtype=np.int64), np.random.default_rng(0)).size == 0


def test_leave_one_out_takes_the_last_two_of_each_user() -> None:
    users = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2])
    times = np.array([5.0, 1.0, 9.0, 7.0, 1.0, 2.0, 3.0, 3.0, 3.0])
    order = np.array([0, 1, 2, 3, 4, 5, 8, 6, 7])
    labels = leave_one_out_labels(users, times, order)
    assert labels.tolist() == [TRAIN, TRAIN, TEST, VALID, TRAIN, TRAIN, TEST, TRAIN, VALID]
    shuffled = np.random.default_rng(0).permutation(len(users))
    again = leave_one_out_labels(users[shuffled], times[shuffled], order[shuffled])
    assert again.tolist() == labels[shuffled].tolist()


def test_time_cuts_meet_the_shares_and_keep_equal_times_together() -> None:
    times = np.random.default_rng(0).permutation(np.arange(1000.0))
    labels = temporal_labels(times, time_cuts(times, 0.1, 0.2))
    assert [int((labels == split).sum()) for split in (TRAIN, VALID, TEST)] == [700, 100, 200]
    assert times[labels == TRAIN].max() < times[labels == VALID].min()
    assert times[labels == VALID].max() < times[labels == TEST].min()
    tied = np.repeat(np.arange(10.0), 100)[np.random.default_rng(1).permutation(1000)]
    labels = temporal_labels(tied, time_cuts(tied, 0.15, 0.15))
    assert all(len(set(labels[tied == time])) == 1 for time in range(10))


def test_nothing_to_split_by_time() -> None:
    assert leave_one_out_labels(*(np.empty(0, dtype=np.int64),) * 3).size == 0  # type: ignore[arg-type]
