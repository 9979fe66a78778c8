"""Loss terms that backbones and unlearning methods share. All are means over the batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from datasets.sampling import Batch
from models.stable import aligned_rows

_BLOCK = 512
"""Rows of the contrastive similarity matrix held in memory at once: 4 MB at batch 2048."""


def bpr_per_pair(preferred: Tensor, other: Tensor, margin: float = 0.0) -> Tensor:
    """-log sigmoid(preferred - other - margin) for each pair (Rendle et al., UAI 2009): [B].

    ``preferred`` and ``other`` are scores [B]. Swap them for the bounded reverse form; sum instead of
    averaging for plain gradient steps whose size should grow with the number of pairs.
    """
    return -F.logsigmoid(preferred - other - margin)


def bpr(preferred: Tensor, other: Tensor) -> Tensor:
    """Mean of ``bpr_per_pair`` over the batch: a scalar."""
    return bpr_per_pair(preferred, other).mean()


def pair_scores(users: Tensor, items: Tensor) -> Tensor:
    """Inner products of matching rows, both [B, d]: [B]."""
    return (users * items).sum(dim=-1)


def triple_rows(users: Tensor, items: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """The batch's rows of users, positives and negatives, each [B, d]."""
    return (
        F.embedding(batch.users, users),
        F.embedding(batch.positives, items),
        F.embedding(batch.negatives, items),
    )


def triple_bpr(users: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """``bpr`` of matching rows, each [B, d]: a scalar."""
    return bpr(pair_scores(users, positives), pair_scores(users, negatives))


def l2(*rows: Tensor) -> Tensor:
    """Half the squared norm per example: sum over ``rows`` (each [B, d]) of squares / 2 / B."""
    squares = torch.stack([r.square().sum(dim=-1) for r in rows])
    return squares.sum() / (2 * squares.shape[1])


def norms(*rows: Tensor) -> Tensor:
    """Sum of the Frobenius norms of ``rows`` (each [B, d]) per example, not squared: the L2 term of the
    MMRec family's VBPR and BM3 (released code, enoche/MMRec)."""
    return torch.stack([torch.linalg.vector_norm(r) for r in rows]).sum() / rows[0].shape[0]


def info_nce(views: Tensor, anchors: Tensor, temperature: float) -> Tensor:
    """Contrast row i of ``views`` with row i of ``anchors`` against all rows of ``anchors``.

    mean over i of -log( exp(cos_ii / t) / sum_j exp(cos_ij / t) ), in the batch, the positive included
    in the denominator (van den Oord et al., "Representation Learning with Contrastive Predictive
    Coding", 2018). Both [B, d]; a scalar. Temperatures below 0.012 would overflow float32.
    """
    views = F.normalize(views, dim=-1) / temperature
    anchors = F.normalize(anchors, dim=-1)
    partition: Tensor = _LogPartition.apply(views, anchors)  # type: ignore[no-untyped-call]
    return partition - pair_scores(views, anchors).mean()


class _LogPartition(torch.autograd.Function):
    """mean over i of log sum_j exp(<views_i, anchors_j>), for bounded inner products.

    The gradient is computed block by block with the value, so that no [B, B] matrix is ever stored:
    allocating those costs more than the arithmetic. Second derivatives go through the plain formula.
    """

    @staticmethod
    def forward(ctx: Any, views: Tensor, anchors: Tensor) -> Tensor:
        batch = len(views)
        rows, columns = aligned_rows(views), aligned_rows(anchors)
        to_views, to_anchors = torch.empty_like(rows), rows.new_zeros(rows.shape[::-1])
        logs = []
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            share = (block @ columns.t()).exp_()
            share[:, batch:] = 0  # the padding
            total = share.sum(dim=-1, keepdim=True)
            share /= total
            torch.mm(share, columns, out=to_views[start : start + _BLOCK])
            to_anchors.addmm_(block.t(), share)
            logs.append(total.log())
        ctx.save_for_backward(views, anchors, to_views[:batch], to_anchors.t()[:batch])
        return torch.cat(logs)[:batch].mean()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        views, anchors, to_views, to_anchors = ctx.saved_tensors
        if torch.is_grad_enabled():
            value = (views @ anchors.t()).logsumexp(dim=-1).mean()
            first, second = torch.autograd.grad(value, (views, anchors), grad, create_graph=True)
            return first, second
        scale = grad / len(views)
        return to_views * scale, to_anchors * scale
