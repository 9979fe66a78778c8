"""The adjacency that averages: what a node receives is the mean over its neighbours.

LATTICE's released code includes the node itself (``loops``), MMGCN's mean aggregation does not.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.graph import SparseOperator, distinct_pairs, sparse_operator


def averaging_adjacency(
    pairs: Tensor, num_users: int, num_items: int, *, loops: bool = False
) -> SparseOperator:
    """D^-1 A over [users; items], or D^-1 (A + I) with ``loops``; D holds the row sums.

    ``pairs``: LongTensor [2, E] of (user, item); repeated pairs count once. A node without an edge has
    an empty row, or with ``loops`` keeps what it has.
    """
    users, items = distinct_pairs(pairs, num_items)
    nodes = num_users + num_items
    own = torch.arange(nodes if loops else 0, device=pairs.device)
    rows = torch.cat([users, items + num_users, own])
    columns = torch.cat([items + num_users, users, own])
    shares = torch.bincount(rows, minlength=nodes).to(torch.get_default_dtype()).reciprocal()
    return sparse_operator(rows, columns, shares[rows], (nodes, nodes))
