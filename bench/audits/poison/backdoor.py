"""Backdoor: does the trigger still lead to the target after the injected users were forgotten?

TRU reports an attack success rate after unlearning without stating trigger, injection or number of
attempts. The design is ours: fake users with a fixed trigger set and one cold target are trained in
(``datasets.poison``) and are the deletion request.

A recommender with one ID row per user cannot score a profile that it never saw. A fold-in rule would differ
from backbone to backbone and would itself be audited, so the held-out trigger profiles are users who are
there from the start: at least 200 fake users with the trigger set and other items, without the target,
in the training data of the original and of gold alike and never asked to be forgotten. They stand for
real users who happen to like the trigger items. Their recommendations come about like everybody's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.audits.poison.common import PoisonAudit, claim


class Backdoor(PoisonAudit):
    """Attack success over the held-out trigger profiles."""

    name = "backdoor"
    kind = "backdoor"
    memory = claim("backdoor")

    def attacked(self) -> Tensor:
        """The held-out fake users."""
        return torch.arange(*self.injection.held_out, device=self.context.full.train.device)
