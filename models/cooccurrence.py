"""How often two items occur together: the counts that closed-form recommenders are made of."""

from __future__ import annotations

import torch
from torch import Tensor

from datasets.pairs import PairIndex

BLOCK = 1 << 14
"""Pairs whose companions are listed at once."""


def cooccurrences(pairs: PairIndex, users: Tensor | None = None) -> Tensor:
    """X^T X of a set of pairs, X being its 0/1 matrix: int32 [num_items, num_items].

    Entry (i, j) is the number of users with both items, (i, i) that of users with item i. Whole numbers, so
    that adding and taking away leave no trace.

    Args:
        users: only the rows of these [U], each once.
    """
    size, device = pairs.num_items, pairs.keys.device
    counts = torch.zeros(size * size, dtype=torch.int32, device=device)
    everyone = torch.arange(len(pairs.counts), device=device) if users is None else users
    for some in everyone.split(BLOCK):
        position, first = pairs.rows(some)
        for start in range(0, len(first), BLOCK):
            stop = start + BLOCK
            companion, second = pairs.rows(some[position[start:stop]])
            places = first[start:stop][companion] * size + second
            counts.index_put_((places,), torch.ones_like(places, dtype=torch.int32), accumulate=True)
    return counts.view(size, size)


def dense_rows(pairs: PairIndex, users: Tensor) -> Tensor:
    """Rows of X for ``users`` [B]: float64 [B, num_items]."""
    rows = torch.zeros(len(users), pairs.num_items, dtype=torch.float64, device=users.device)
    rows[pairs.rows(users)] = 1.0
    return rows
