"""Spam: are the target items of a bandwagon attack still pushed to everybody?

Fake users with popular items beside cold target items are trained in (``datasets.poison``, in ERASE's
reading of a bandwagon attack) and are the deletion request. Attack success is the share of real users with a
target in their top 20, in the mean over targets; gold's share, which the targets earn by themselves, stands
beside it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.audits.poison.common import PoisonAudit, claim


class Spam(PoisonAudit):
    """Attack success over the real users who stay."""

    name = "spam"
    kind = "spam"
    memory = claim("spam")

    def attacked(self) -> tuple[Tensor, Tensor]:
        """All real users, with every target."""
        tried = torch.ones(len(self.clean), len(self._targets), dtype=torch.bool, device=self.clean.device)
        return self.clean, tried
