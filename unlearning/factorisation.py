"""Weighted matrix factorisation of implicit feedback, full in its negatives: vectors of users and items.

Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008; in the form that
is summed over all pairs without visiting them (Chen et al., "Efficient Neural Matrix Factorization
without Sampling", TOIS 2020). With r = p_u . q_i and weight c of an absent pair, up to a constant:

    sum over pairs of D ((1 - c) r^2 - 2 r)  +  c sum over all u, i of r^2
    the second sum is  <P^T P, Q^T Q>
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from datasets.interactions import InteractionData


class Factors(NamedTuple):
    """Vectors of users [num_users, d] and items [num_items, d], without gradient."""

    users: Tensor
    items: Tensor


def factorised(
    data: InteractionData,
    width: int,
    negative_weight: float,
    epochs: int,
    learning_rate: float,
    batch_users: int,
    seed: int,
) -> Factors:
    """Vectors that minimise the loss above on ``data.train`` by Adagrad, a batch of users per step.

    Args:
        width: d.
        negative_weight: c, between 0 and 1.
        batch_users: users per step; the sum over all pairs is over theirs.
        seed: of the start (drawn on the CPU) and of the order.
    """
    own = torch.Generator().manual_seed(seed)
    device = data.train.device
    tables = [
        nn.Parameter((0.01 * torch.randn(count, width, generator=own)).to(device))
        for count in (data.num_users, data.num_items)
    ]
    users, items = tables
    optimiser = torch.optim.Adagrad(tables, lr=learning_rate)
    for _ in range(epochs):
        order = torch.randperm(data.num_users, generator=own).to(device)
        batch_of = torch.empty_like(order)
        batch_of[order] = torch.arange(len(order), device=device) // batch_users
        pairs = _by_batch(data.train, batch_of)
        for batch, rows in enumerate(order.split(batch_users)):
            optimiser.zero_grad()
            _loss(users, items, rows, pairs[batch], negative_weight).backward()
            optimiser.step()
    return Factors(users.detach(), items.detach())


def _by_batch(pairs: Tensor, batch_of: Tensor) -> tuple[Tensor, ...]:
    """The pairs of each batch of users, from the batch of every user [num_users]."""
    batch = batch_of[pairs[0]]
    sizes = torch.bincount(batch, minlength=int(batch_of.max()) + 1).tolist()
    ordered: tuple[Tensor, ...] = pairs[:, batch.argsort(stable=True)].split(sizes, dim=1)
    return ordered


def _loss(users: Tensor, items: Tensor, rows: Tensor, pairs: Tensor, negative_weight: float) -> Tensor:
    """The loss of the users ``rows`` with their ``pairs``."""
    scores = (users[pairs[0]] * items[pairs[1]]).sum(dim=1)
    known = ((1 - negative_weight) * scores.square() - 2 * scores).sum()
    mine = users[rows]
    return known + negative_weight * ((mine.t() @ mine) * (items.t() @ items)).sum()
