"""Loss terms that backbones and unlearning methods share. All are means over the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from datasets.sampling import Batch
from models.contrast import log_partition


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
    return log_partition(views, anchors) - pair_scores(views, anchors).mean()
