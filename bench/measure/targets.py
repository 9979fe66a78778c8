"""Who is a target and what is a candidate: the one rule of every figure that ranks.

Pairs of withdrawn items are no targets of validation or test: nobody could be shown such an item, and a model
that has forgotten it must not be charged for that. Withdrawn items stay candidates unless
``evaluate.candidates=remaining``.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from datasets.interactions import InteractionData
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
