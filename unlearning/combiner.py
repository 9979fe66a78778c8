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
    """One ``AttentionSide`` for users and one for items.

    ``dropout`` is the share of the entries of combined embeddings that a training pass drops.
    """

    def __init__(
        self, shards: int, width: int, attention: int, generator: torch.Generator, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.users_side = AttentionSide(shards, width, attention, generator)
        self.items_side = AttentionSide(shards, width, attention, generator)
        self.dropout = nn.Dropout(dropout)

    def users(self, views: Tensor, present: Tensor) -> Tensor:
        """[n, k, d] -> [n, d]."""
        side: Tensor = self.dropout(self.users_side(views, present))
        return side

    def items(self, views: Tensor, present: Tensor) -> Tensor:
        """[n, k, d] -> [n, d]."""
        side: Tensor = self.dropout(self.items_side(views, present))
        return side

    def map_norm(self) -> Tensor:
        """Half the squared norm of all linear maps and offsets: scalar."""
        sides = (self.users_side, self.items_side)
        parts = [part.square().sum() for side in sides for part in (side.maps, side.offsets)]
        return torch.stack(parts).sum() / 2


class Weights(nn.Module):
    """One weight per shard on its scores: s(u, i) = sum_s beta_s s_s(u, i), beta a softmax over s.

    As inner products: the users' rows times their weight side by side, and the items' rows.
    """

    def __init__(self, shards: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(shards))

    def users(self, views: Tensor, present: Tensor) -> Tensor:
        """[n, k, d] -> [n, k d]."""
        return (views * self._shares(present)[..., None]).flatten(1)

    def items(self, views: Tensor, present: Tensor) -> Tensor:
        """[n, k, d] -> [n, k d]."""
        return views.flatten(1)

    def map_norm(self) -> Tensor:
        """There are no maps: 0."""
        return self.logits.new_zeros(())

    def _shares(self, present: Tensor) -> Tensor:
        """beta of each row over the shards that trained it: [n, k]."""
        return self.logits.expand(present.shape).masked_fill(~present, -torch.inf).softmax(dim=1)


class SharedUser(Weights):
    """A user's own row against the items' rows of every shard: s(u, i) = sum_s beta_s <p_u, q_i^s>.

    What the released code of UltraRE and CURE4Rec computes with equal beta. Latent spaces of shards that
    started apart have nothing to do with each other, so this is for comparison only.
    """

    def users(self, views: Tensor, present: Tensor) -> Tensor:
        """[n, k, d] -> [n, d]: the mean row over the shards that trained the user, which is one."""
        known = present.to(views)
        return (views * (known / known.sum(dim=1, keepdim=True))[..., None]).sum(dim=1)

    def items(self, views: Tensor, present: Tensor) -> Tensor:
        """[n, k, d] -> [n, d]: over all shards, whether they trained the item or not."""
        return (views * self.logits.softmax(dim=0)[:, None]).sum(dim=1)
