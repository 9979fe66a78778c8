"""Attention of every node to itself and a few sampled nodes, without a value projection.

The sampling-based global transformer of MIG-GT (Hu et al., AAAI 2025). With tokens T = [own; sampled]:

    O = r T + (1 - r) softmax( (T Q + b)(T K)^T / sqrt(a) ) T

A bias of the keys would be cancelled by the softmax and is not built.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SampledAttention(nn.Module):
    """Queries and keys of width ``attention_dim``; ``residual`` is the share r of a token itself.

    Starts are the released code's: Q and K Xavier uniform, b zero.
    """

    def __init__(self, width: int, attention_dim: int, residual: float) -> None:
        super().__init__()
        self.residual = residual
        self.queries = nn.Linear(width, attention_dim)
        self.keys = nn.Linear(width, attention_dim, bias=False)
        for layer in (self.queries, self.keys):
            nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(self.queries.bias)

    def forward(self, z: Tensor, sampled: Tensor) -> Tensor:
        """The own token's output of every node: z [n, d], sampled [n, S] -> [n, d]."""
        keys = self.keys(z)
        keys = torch.cat([keys[:, None], F.embedding(sampled, keys)], dim=1)
        shares = _shares(self.queries(z)[:, None], keys)
        others = (shares[:, :, 1:] @ F.embedding(sampled, z)).squeeze(1)
        return self._mixed(z, shares[:, 0, :1] * z + others)

    def all_tokens(self, z: Tensor, sampled: Tensor, nodes: Tensor) -> Tensor:
        """The outputs of all tokens of some nodes [B]: [B, S + 1, d], the own token first."""
        tokens = F.embedding(torch.cat([nodes[:, None], sampled[nodes]], dim=1), z)
        shares = _shares(self.queries(tokens), self.keys(tokens))
        return self._mixed(tokens, shares @ tokens)

    def _mixed(self, tokens: Tensor, attended: Tensor) -> Tensor:
        return self.residual * tokens + (1 - self.residual) * attended


def _shares(queries: Tensor, keys: Tensor) -> Tensor:
    """Softmax of scaled products: queries [n, q, a], keys [n, t, a] -> [n, q, t]."""
    products: Tensor = (queries[:, :, None] * keys[:, None]).sum(dim=-1)
    shares: Tensor = (products * keys.shape[-1] ** -0.5).softmax(dim=-1)
    return shares
