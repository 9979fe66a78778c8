"""How far a removed pair reaches in the interaction graph: nodes within hops, pairs that score otherwise."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import Recommender
from unlearning.base import Problem

_SAME_SCORE = 1e-5
"""Change of a margin, beside the mean size of margins, that is taken for rounding."""


class Nodes(NamedTuple):
    """Marked users [num_users] and items [num_items], bool."""

    users: Tensor
    items: Tensor

    def both_ends(self, triples: Batch) -> Tensor:
        """Whether user and positive item of each triple are marked: bool [B]."""
        return self.users[triples.users] & self.items[triples.positives]


def within_hops(data: InteractionData, pairs: Tensor, hops: int) -> Nodes:
    """Nodes within ``hops`` steps, over the training pairs, of an end of one of ``pairs`` [2, P]."""
    users = torch.zeros(data.num_users, dtype=torch.bool, device=pairs.device)
    items = torch.zeros(data.num_items, dtype=torch.bool, device=pairs.device)
    users[pairs[0]] = True
    items[pairs[1]] = True
    for _ in range(hops):
        reached_users, reached_items = (
            data.train[0][items[data.train[1]]],
            data.train[1][users[data.train[0]]],
        )
        users[reached_users] = True
        items[reached_items] = True
    return Nodes(users, items)


def rescored(before: Tensor, after: Tensor) -> Tensor:
    """Which margins [B] differ by more than rounding: bool [B]."""
    return (before - after).abs() > _SAME_SCORE * before.abs().mean()


def removed_shares(problem: Problem) -> tuple[Tensor, Tensor]:
    """IFRU's importance of users [num_users] and of items [num_items].

    w(v) = forgotten pairs of v / (degree of v + 1); a node's importance is the sum of w over itself and its
    neighbours, divided by its degree + 1 (the released code's pruning).
    """
    full, forget = problem.full, problem.request.forget
    sides = ((0, full.num_users), (1, full.num_items))
    degrees = [torch.bincount(full.train[row], minlength=count) + 1.0 for row, count in sides]
    gone = [torch.bincount(forget[row], minlength=count) for row, count in sides]
    shares = [lost / degree for lost, degree in zip(gone, degrees, strict=True)]
    spread = [
        shares[row].index_add(0, full.train[row], shares[1 - row][full.train[1 - row]]) / degrees[row]
        for row, _ in sides
    ]
    return spread[0], spread[1]


def layers_of(model: Recommender, default: int = 2) -> int:
    """Propagation steps of a backbone, by its option ``layers``."""
    return int(getattr(model.options, "layers", default))
