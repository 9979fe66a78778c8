"""How alike two ranked lists are: top-20 overlap and rank-biased overlap. No torch in here.

A list is a row of item ids from best to worst, padded with -1 where fewer items could be ranked. The rank-
biased overlap (Webber, Moffat and Zobel, ACM Transactions on Information Systems 28, 2010) is truncated at
the length of the longer list and normalised, so that equal lists give 1.

Cells store the lists of a fixed sample of users as ``LISTS_FILE``: ``users`` int64 [U] ascending, ``items``
int32 [U, 20], and ``group`` int8 [U], so that distances between any two models of a request can be formed
from their runs alone.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

DEPTH = 20
RBO_PERSISTENCE = 0.9
LISTS_FILE = "lists.safetensors"
OTHER, TOUCHED, FORGOTTEN = 0, 1, 2
"""Groups of users: stays and has no forgotten pair; stays and has one; is forgotten."""

Floats = NDArray[np.float64]


def likeness(ours: NDArray[np.integer], theirs: NDArray[np.integer]) -> tuple[Floats, Floats]:
    """Overlap and rank-biased overlap of the lists of each user, 1 for the same and 0 for nothing shared.

    Args:
        ours, theirs: item ids [U, K], padded with -1; row by row of the same user.

    Returns:
        Two arrays [U]. Two empty lists are the same.
    """
    lengths = np.maximum((ours >= 0).sum(axis=1), (theirs >= 0).sum(axis=1))
    overlap, rbo = np.ones(len(ours)), np.ones(len(ours))
    for length in np.unique(lengths[lengths > 0]):
        rows = lengths == length
        overlap[rows], rbo[rows] = _likeness(ours[rows], theirs[rows], int(length))
    return overlap, rbo


def _likeness(ours: NDArray[np.integer], theirs: NDArray[np.integer], length: int) -> tuple[Floats, Floats]:
    """The same for lists of which the longer one of each user ranks ``length`` items."""
    weights, sums = _weights(length), np.zeros((len(ours), 2))
    for rank in range(length):
        own = ours[:, rank, None]
        sums += ((own == theirs[:, :length]) & (own >= 0)).astype(np.float64) @ weights[rank]
    return sums[:, 0] / length, sums[:, 1]


@cache
def _weights(length: int) -> Floats:
    """What an item at rank a of one list and b of the other adds to shared items and to RBO: [a, b, 2].

    It is shared from depth d = max(a, b) on; RBO is the sum over d of p^(d-1) * shared_d / d over the sum
    of p^(d-1).
    """
    depths = np.arange(1, length + 1)
    persisted = RBO_PERSISTENCE ** (depths - 1)
    from_depth = np.cumsum((persisted / depths)[::-1])[::-1] / persisted.sum()
    deepest = np.maximum.outer(depths, depths) - 1
    return np.stack([np.ones(deepest.shape), from_depth[deepest]], axis=-1)
