"""Privacy onion: did those who stay become easier to attack?

Removing the most exposed examples can expose the next ones (Carlini et al., "The Privacy Onion Effect:
Memorization is Relative", NeurIPS 2022). The score attack of ``membership_score`` is run on the users
who stay: members are their retained training pairs, non-members their test pairs, matched as there.
``growth`` is balanced accuracy minus the original's.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from bench.audits.base import Figures
from bench.audits.membership.score import MembershipScore
from bench.measure.evaluate import evaluating
from models.base import Recommender

MOST_PAIRS = 5000
"""Retained pairs and test pairs drawn at most: enough for an interval of about one point."""


class Onion(MembershipScore):
    """The score attack on retained users."""

    name = "onion"
    memory = None
    label = "onion"

    def figures(self, model: Recommender) -> Figures:
        """Those of ``membership_score``, and ``growth`` over the original."""
        found = super().figures(model)
        return {**found, "growth": float(found["balanced_accuracy"]) - self._before}

    @cached_property
    def _before(self) -> float:
        with evaluating(self.context.references["original"]) as original:
            return float(super().figures(original)["balanced_accuracy"])

    def _candidates(self) -> tuple[Tensor, Tensor]:
        context = self.context
        stays = context.retain.train[0].unique()
        pools = (context.retain.train, context.full.test)
        members, others = (pairs[:, torch.isin(pairs[0], stays)].cpu() for pairs in pools)
        others = others[:, ~torch.isin(others[0], context.request.users.cpu())]
        return self._sample(members), self._sample(others)

    def _sample(self, pairs: Tensor) -> Tensor:
        chosen = self._random.permutation(pairs.shape[1])[:MOST_PAIRS]
        return pairs[:, torch.from_numpy(chosen)]
