"""The user co-occurrence graph: each user's nearest users by the number of items they share.

DualGNN (Wang et al., TMM 2021). With N_u the training items of user u:

    c_uv = |N_u and N_v|,   weight of v for u = exp(c_uv) / sum over the k strongest v of exp(c_uv)

A user shares nothing with itself here; ties go to the smaller id; a user who shares no item with
anyone has an empty row. Memory is linear in ``CHUNK_MEETINGS`` and in the edges kept: no users x users
table is ever formed.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from models.graph import SparseOperator, distinct_pairs, sparse_operator

CHUNK_MEETINGS = 1 << 18
"""Meetings (one user, one item, another user of that item) listed at once; small chunks sort faster."""


def user_graph(pairs: Tensor, num_users: int, num_items: int, neighbours: int) -> SparseOperator:
    """The operator [num_users, num_users] of training ``pairs`` [2, E]; every row sums to 1 or is empty.

    Repeated pairs count once. ``neighbours`` is k.
    """
    pairs = distinct_pairs(pairs, num_items)
    found = [strongest(*shared, neighbours) for shared in _shared_items(pairs, num_users, num_items)]
    empty = [pairs.new_empty(0)]
    rows, columns, counts = (torch.cat([*empty, *part]) for part in zip(empty * 3, *found, strict=True))
    return sparse_operator(rows, columns, _softmax(rows, counts, num_users), (num_users, num_users))


def strongest(rows: Tensor, columns: Tensor, counts: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """The k entries of largest count of each row; entries are [E] each, sorted by row, then column."""
    most = counts.max() if len(counts) else 0
    order = (rows * (most + 1) + most - counts).argsort(stable=True)
    rows = rows[order]
    place = torch.arange(len(rows), device=rows.device) - torch.searchsorted(rows, rows)
    kept = place < k
    return rows[kept], columns[order][kept], counts[order][kept]


def _shared_items(pairs: Tensor, num_users: int, num_items: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Users, other users and how many items they share, for some users after the others.

    ``pairs`` [2, E] are distinct and sorted by user.
    """
    users, items = pairs
    by_item = users[items.argsort(stable=True)]
    degrees = torch.bincount(items, minlength=num_items)
    starts = degrees.cumsum(0) - degrees
    meetings = torch.zeros(num_users, dtype=torch.long, device=pairs.device)
    meetings.index_add_(0, users, degrees[items])
    chunk = (meetings.cumsum(0) - meetings) // CHUNK_MEETINGS
    sizes = torch.bincount(chunk[users]).tolist()
    for some_users, some_items in zip(users.split(sizes), items.split(sizes), strict=True):
        met = degrees[some_items]
        first = (starts[some_items] - (met.cumsum(0) - met)).repeat_interleave(met)
        others = by_item[first + torch.arange(len(first), device=pairs.device)]
        keys, counts = torch.unique(
            some_users.repeat_interleave(met) * num_users + others, return_counts=True
        )
        rows, columns = keys // num_users, keys % num_users
        distinct = rows != columns
        yield rows[distinct], columns[distinct], counts[distinct]


def _softmax(rows: Tensor, counts: Tensor, num_users: int) -> Tensor:
    """Softmax of the counts of each row: float [E]."""
    largest = counts.new_zeros(num_users).scatter_reduce(0, rows, counts, "amax")
    shares = (counts - largest[rows]).to(torch.get_default_dtype()).exp()
    return shares / shares.new_zeros(num_users).index_add(0, rows, shares)[rows]
