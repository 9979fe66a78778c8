"""Who is measured, who is a target and what is a candidate: the one rule of every figure that ranks.

Pairs of withdrawn items are no targets of validation or test: nobody could be shown such an item, and a model
that has forgotten it must not be charged for that. Withdrawn items stay candidates unless
``evaluate.candidates=remaining``.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from bench.machine.seeding import derive
from datasets.interactions import InteractionData
from datasets.requests import DeletionRequest
from models.base import Scorer

Candidates = Literal["all", "remaining"]


def reachable(pairs: Tensor, retain: InteractionData) -> Tensor:
    """The columns of ``pairs`` [2, P] whose item was not withdrawn: [2, R]."""
    return pairs[:, ~torch.isin(pairs[1], retain.withdrawn_items)]


def ranks_only(scorer: Scorer, candidates: Candidates, retain: InteractionData) -> Scorer:
    """The scorer with withdrawn items out of the ranking, where only remaining items are candidates."""
    if candidates == "all" or not retain.withdrawn_items.numel():
        return scorer

    def scores(users: Tensor) -> Tensor:
        return scorer(users).index_fill(1, retain.withdrawn_items, -torch.inf)

    return scores


def measured_users(
    full: InteractionData, request: DeletionRequest, count: int | None, seed: int
) -> Tensor | None:
    """The users [U], sorted, on whom every model of a request is measured; None where that is all of them.

    Drawn from the forgotten, the touched (with a forgotten pair) and all other users in proportion to their
    numbers, by largest remainders and at least one of each, so that means over any of these groups, and over
    users who stay, are those of the group but for sampling. The draw depends on data, request and ``seed``.
    """
    if count is None or count >= full.num_users:
        return None
    stratum = torch.zeros(full.num_users, dtype=torch.long)
    stratum[request.forget[0].cpu()] = 1
    stratum[request.users.cpu()] = 2
    groups = [(stratum == number).nonzero().squeeze(1) for number in range(3)]
    generator = torch.Generator().manual_seed(derive(seed, f"measured users of {full.fingerprint}"))
    drawn = [
        group[torch.randperm(len(group), generator=generator)[:quota]]
        for group, quota in zip(groups, _quotas([len(group) for group in groups], count), strict=True)
    ]
    return torch.cat(drawn).sort().values.to(full.train.device)


def _quotas(sizes: list[int], count: int) -> list[int]:
    """``count`` in proportion to ``sizes``: largest remainders, at least one of each that is not empty."""
    total = sum(sizes)
    quotas = [max(count * size // total, min(size, 1)) for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda place: -(count * sizes[place] % total))
    for place in by_remainder:
        if sum(quotas) < count and quotas[place] < sizes[place]:
            quotas[place] += 1
    while sum(quotas) > max(count, sum(size > 0 for size in sizes)):
        quotas[quotas.index(max(quotas))] -= 1
    return quotas


def pairs_of(pairs: Tensor, users: Tensor | None) -> Tensor:
    """The columns of ``pairs`` [2, P] whose user is one of ``users``; all of them for None."""
    return pairs if users is None else pairs[:, torch.isin(pairs[0], users)]
