"""Backdoor: does the trigger still lead to the target after the injected users were forgotten?

TRU reports an attack success rate after unlearning without stating trigger, injection or trials; the
design is ours: fake users with a trigger set and a cold target are trained in (``datasets.poison``) and are
the deletion request. There are several triggers and targets, because how well one target does says little
about another: the interval of the success counts targets.

A recommender with one ID row per user cannot score a profile that it never saw. A fold-in rule would differ
from backbone to backbone and would itself be audited, so the held-out trigger profiles are users who are
there from the start: fake users with a trigger set and other items, without a target, in the training data
of the original and of gold alike and never asked to be forgotten. They stand for real users who happen to
like the trigger items. Their recommendations come about like everybody's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.audits.poison.common import PoisonAudit, claim


class Backdoor(PoisonAudit):
    """Attack success over the held-out trigger profiles, each with the targets of its trigger."""

    name = "backdoor"
    kind = "backdoor"
    memory = claim("backdoor")

    def attacked(self) -> tuple[Tensor, Tensor]:
        """The held-out fake users."""
        first = self.injection.held_out[0]
        users = self.context.judged(torch.arange(*self.injection.held_out, device=self._targets.device))
        triggers = len(self.injection.triggers)
        own = (users - first) % triggers
        targets = torch.arange(len(self._targets), device=users.device) % triggers
        return users, own[:, None] == targets
