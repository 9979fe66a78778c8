"""Combiners: one embedding per user and item out of the embeddings of isolated shard models.

Inputs are ``views`` [n, k, d], the rows of n users or items in k shards, and ``present`` [n, k], whether
the row took part in a shard's training. Absent rows are noise of the initialisation and get no weight.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AttentionSide(nn.Module):
    """Attentive aggregation of one side (RecEraser, Chen et al., WWW 2022).

        logit_s = h . relu(A e_s + b),   a = softmax over the shards that are present
        e       = sum_s a_s (W_s e_s + b_s)

    The maps W_s start as the identity, A from ``generator`` (on the CPU), h at zero: an even mean.
    """

    def __init__(self, shards: int, width: int, attention: int, generator: torch.Generator) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.eye(width).repeat(shards, 1, 1))
        self.offsets = nn.Parameter(torch.zeros(shards, width))
        bound = (6.0 / (attention + width)) ** 0.5
        start = torch.empty(attention, width).uniform_(-bound, bound, generator=generator)
        self.hidden, self.hidden_bias = nn.Parameter(start), nn.Parameter(torch.zeros(attention))
        self.query = nn.Parameter(torch.zeros(attention))

    def forward(self, views: Tensor, present: Tensor) -> Tensor:
        """[n, k, d] -> [n, d]."""
        logits = F.linear(views, self.hidden, self.hidden_bias).relu() @ self.query
        shares = logits.masked_fill(~present, -torch.inf).softmax(dim=1)
        weighted = (views * shares[..., None]).transpose(0, 1)  # [k, n, d]
        return torch.bmm(weighted, self.maps.transpose(1, 2)).sum(dim=0) + shares @ self.offsets


class Attention(nn.Module):
    """One ``AttentionSide`` for users and one for items."""

    def __init__(self, shards: int, width: int, attention: int, generator: torch.Generator) -> None:
        super().__init__()
        self.users_side = AttentionSide(shards, width, attention, generator)
        self.items_side = AttentionSide(shards, width, attention, generator)

    def users(self, views: Tensor, present: Tensor) -> Tensor:
        """[n, k, d] -> [n, d]."""
        side: Tensor = self.users_side(views, present)
        return side

    def items(self, views: Tensor, present: Tensor) -> Tensor:
        """[n, k, d] -> [n, d]."""
        side: Tensor = self.items_side(views, present)
        return side


class Weights(nn.Module):
    """One weight per shard on its scores: s(u, i) = sum_s beta_s s_s(u, i), beta a softmax over s.

    As inner products: the users' rows times their weight side by side, and the items' rows.
    """

    def __init__(self, shards: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(shards))

    def users(self, views: Tensor, present: Tensor) -> Tensor:
        """[n, k, d] -> [n, k d]."""
        shares = self.logits.expand(present.shape).masked_fill(~present, -torch.inf).softmax(dim=1)
        return (views * shares[..., None]).flatten(1)

    def items(self, views: Tensor, present: Tensor) -> Tensor:
        """[n, k, d] -> [n, k d]."""
        return views.flatten(1)
