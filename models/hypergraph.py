"""Message passing over a hypergraph whose hyperedges are learned: nodes hold to each by a share.

The global module of LGMRec (Guo et al., AAAI 2024). With dependencies H_i [items, K] and H_u [users, K]
of nodes on K hyperedges and X the items' embeddings:

    hyperedges  Z = H_i^T X (H_i Z in place of X at further steps),   nodes H_i Z and H_u Z

Widths are padded with empty hyperedges up to a multiple of 16, which changes no value and makes the
products independent of the number of threads.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from models.contrast import log_partition
from models.losses import pair_scores
from models.stable import aligned_columns, aligned_rows

Noise = Literal["gumbel", "logistic"]
_SMALLEST = 1e-12
"""Norms are taken for at least this, as in ``torch.nn.functional.normalize``."""


class Hypergraph(NamedTuple):
    """Dependencies ``users`` [users, K'], ``items`` [items, K'] and the ``hyperedges`` [K', d] they reach."""

    users: Tensor
    items: Tensor
    hyperedges: Tensor


def relaxed(logits: Tensor, temperature: float, noise: Noise | None) -> Tensor:
    """Shares that lean to one column, softmax((logits + noise) / temperature): [n, K], rows sum to one.

    Noise is drawn from the global generator; None for none. ``gumbel`` makes the largest column a draw
    from softmax(logits) (Jang et al., ICLR 2017); ``logistic`` is log(u) - log(1 - u) of uniform u,
    the difference of two Gumbel variables.
    """
    if noise is not None:
        drawn = _gumbel(logits)
        logits = logits + (drawn if noise == "gumbel" else drawn - _gumbel(logits))
    shares: Tensor = (logits / temperature).softmax(dim=-1)
    return shares


def hypergraph(users: Tensor, items: Tensor, embeddings: Tensor, steps: int) -> Hypergraph:
    """Pass the items' ``embeddings`` [items, d] over dependencies [users, K], [items, K], ``steps`` times."""
    users, items = aligned_columns(users), aligned_columns(items)
    collect = aligned_rows(items).t()
    hyperedges = collect @ aligned_rows(embeddings)
    for _ in range(steps - 1):
        hyperedges = collect @ aligned_rows(items @ hyperedges)
    return Hypergraph(users, items, hyperedges)


def reached(dependencies: Tensor, hyperedges: Tensor) -> Tensor:
    """What nodes take from their hyperedges: dependencies [n, K], hyperedges [K, d] -> [n, d]."""
    return (aligned_rows(dependencies) @ hyperedges)[: len(dependencies)]


def contrast(
    views: tuple[Tensor, Tensor],
    anchors: tuple[Tensor, Tensor],
    batch: Tensor,
    among: Tensor | None,
    temperature: float,
) -> Tensor:
    """InfoNCE of the rows ``batch`` of one hypergraph's nodes with the same rows of another's: a scalar.

    mean over i in the batch of -log( exp(cos_ii / t) / sum_j exp(cos_ij / t) ), j over ``among``
    (LongTensor; None: all nodes). Both hypergraphs are given as (dependencies [n, K], hyperedges
    [K, d]): a cosine is then a product of K numbers instead of d.
    """
    queries = F.embedding(batch, _scaled(*views)) @ (views[1] @ anchors[1].t()) / temperature
    keys = _scaled(*anchors)
    matching = pair_scores(queries, F.embedding(batch, keys)).mean()
    return log_partition(queries, keys if among is None else F.embedding(among, keys)) - matching


def _scaled(dependencies: Tensor, hyperedges: Tensor) -> Tensor:
    """Dependencies divided by the norm of the node that they make."""
    norms = reached(dependencies, hyperedges).norm(dim=-1, keepdim=True)
    scaled: Tensor = dependencies / norms.clamp(min=_SMALLEST)
    return scaled


def _gumbel(like: Tensor) -> Tensor:
    return -torch.empty_like(like).exponential_().clamp_(min=torch.finfo(like.dtype).tiny).log_()
