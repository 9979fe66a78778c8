"""Privacy onion: did those who stay become easier to attack?

Removing the most exposed examples can expose the next ones (Carlini et al., "The Privacy Onion Effect:
Memorization is Relative", NeurIPS 2022). The score attack of ``membership_score`` is run on the users
who stay: members are their retained training pairs, non-members their test pairs, matched as there.
``growth`` is balanced accuracy minus the original's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from bench.audits.base import Figures
from bench.audits.membership.score import MembershipScore
from bench.audits.options import MembershipOptions
from bench.measure.evaluate import evaluating
from models.base import Recommender
from models.capabilities import Capability


@dataclass(frozen=True)
class OnionOptions(MembershipOptions):
    """Those of ``membership_score``, and:"""

    most_pairs: Annotated[int, Field(ge=1)] = 5000
    """Retained pairs drawn as members at most. Ours: enough for an interval of about a point."""


class Onion(MembershipScore):
    """The score attack on retained users."""

    name = "onion"
    Options = OnionOptions
    options: OnionOptions
    memory = None
    needs: ClassVar[frozenset[Capability]] = frozenset({Capability.UNMASKED})
    label = "onion"

    def figures(self, model: Recommender) -> Figures:
        """Those of ``membership_score``, and ``growth`` over the original."""
        found = super().figures(model)
        return {**found, "growth": float(found["balanced_accuracy"]) - self._before}

    @cached_property
    def _before(self) -> float:
        with evaluating(self.context.references["original"]) as original:
            return float(super().figures(original)["balanced_accuracy"])

    def _unit_side(self) -> int:
        return 0

    def _candidates(self) -> tuple[Tensor, Tensor]:
        train, test = self.context.retain.train, self.context.full.test
        others = test[:, ~self.context.request.owns(test)]
        members = train[:, torch.isin(train[0], others[0])]
        drawn = self._random.permutation(members.shape[1])[: self.options.most_pairs]
        return members[:, torch.from_numpy(drawn).to(members.device)], others
