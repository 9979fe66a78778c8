"""Split labels: random per user as in the MMRec family, leave-one-out, global time.

Random: a user with fewer than 10 pairs gives one pair to validation and one to test; otherwise
v = int(0.2 n) pairs are held out, floor(v / 2) of them for validation and the rest for test.
(``preprocessing/1splitting.ipynb`` of enoche/MMRec; the rule reproduces the published split sizes
of Sports and Clothing exactly.) Leave-one-out: the last pair of a user is for test, the one before for
validation. Temporal: two points in time, the same for everybody, cut the data in three.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TRAIN, VALID, TEST = 0, 1, 2
"""Labels of the splits, as in the column ``x_label`` of the ``.inter`` files."""

FEW = 10
"""Below this many pairs a user gives exactly one pair to validation and one to test."""


def held_out(pairs_per_user: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sizes of a user's (validation, test) splits, element by element.

    The published rule is stated for users with at least five pairs. Users with fewer than three keep
    everything in training here, so that nobody is evaluated without a training pair.
    """
    n = pairs_per_user
    held = n // 5
    valid = np.where(n < FEW, 1, held // 2)
    test = np.where(n < FEW, 1, held - held // 2)
    return np.where(n < 3, 0, valid), np.where(n < 3, 0, test)


def per_user_labels(users: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int8]:
    """Split labels (0 train, 1 validation, 2 test) for the pairs of ``users`` [E], drawn per user."""
    if users.size == 0:
        return np.empty(0, dtype=np.int8)
    shuffle = rng.integers(1 << 32, size=users.size, dtype=np.int64)
    order = np.argsort((users << 32) | shuffle, kind="stable")
    counts = np.bincount(users)
    first = np.cumsum(counts) - counts
    rank = np.arange(users.size) - np.repeat(first, counts)
    valid, test = (np.repeat(size, counts) for size in held_out(counts))
    labels = np.empty(users.size, dtype=np.int8)
    labels[order] = np.where(rank < valid, VALID, np.where(rank < valid + test, TEST, TRAIN))
    return labels


def leave_one_out_labels(
    users: NDArray[np.int64], times: NDArray[np.float64], order: NDArray[np.int64]
) -> NDArray[np.int8]:
    """Split labels of pairs [E]: each user's last pair for test, the one before for validation.

    Pairs of the same time keep the ``order`` in which they were recorded. Users with fewer than three
    pairs keep everything in training, so that nobody is evaluated without a training pair.
    """
    if users.size == 0:
        return np.empty(0, dtype=np.int8)
    ranked = np.lexsort((order, times, users))
    counts = np.bincount(users)
    left = np.repeat(np.cumsum(counts), counts) - np.arange(users.size)
    labels = np.full(users.size, TRAIN, dtype=np.int8)
    enough = np.repeat(counts >= 3, counts)
    labels[ranked[enough & (left == 1)]] = TEST
    labels[ranked[enough & (left == 2)]] = VALID
    return labels


def time_cuts(times: NDArray[np.float64], valid_share: float, test_share: float) -> tuple[float, float]:
    """The first time of validation and the first of test, so that the shares of pairs are nearly met.

    Pairs of one time stay together: the later split gets all that share the cut's time.
    """
    places = [int(len(times) * (1 - test_share - valid_share)), int(len(times) * (1 - test_share))]
    places = [min(place, len(times) - 1) for place in places]
    valid, test = np.partition(times, places)[places]
    return float(valid), float(test)


def temporal_labels(times: NDArray[np.float64], cuts: tuple[float, float]) -> NDArray[np.int8]:
    """Split labels of pairs [E] by their time; ``cuts`` are those of ``time_cuts``."""
    valid, test = cuts
    labels = np.where(times >= test, TEST, np.where(times >= valid, VALID, TRAIN))
    return labels.astype(np.int8)
