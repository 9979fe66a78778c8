"""The losses of UnlearnRec (Chen, Xia, Huang, arXiv 2505.22649, Eq. 20 to 25)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from datasets.sampling import Batch
from models.losses import info_nce, pair_scores
from models.stable import aligned_rows
from unlearning.distillation import Embeddings
from unlearning.replaced_tables import ReplacedTables

CONTRAST_TEMPERATURE = 1.0
RELEASED_BATCH = 512
"""Batch size of the released code, for which its weights of L_p were set."""


@dataclass(frozen=True)
class ServedLoss:
    """L_M + l_u L_u + l_p L_p of a backbone with changed tables.

    L_M is the backbone's loss as it is trained, dropout and all; L_u and L_p judge the scores that are
    served, in evaluation mode. ``trained`` are the embeddings that L_p holds on to.
    """

    backbone: ReplacedTables
    trained: Embeddings
    temperature: float
    reduction: Literal["mean", "sum"]

    def __call__(
        self, tables: Mapping[str, Tensor], batch: Batch, forgotten: Tensor, weights: tuple[float, float]
    ) -> Tensor:
        """A scalar for the changed ``tables``; ``forgotten`` is [2, F], ``weights`` are l_u and l_p."""
        self.backbone.train()
        loss = self.backbone.run(tables, lambda model: model.loss(batch).total)
        self.backbone.eval()
        served = Embeddings(*self.backbone.run(tables, lambda model: model.embeddings()))
        kept = preservation(served, self.trained, batch, self.temperature)
        reduced = kept.sum() if self.reduction == "sum" else kept.mean() * RELEASED_BATCH
        return loss + weights[0] * unlearning_loss(served, forgotten) + weights[1] * reduced


def unlearning_loss(served: Embeddings, pairs: Tensor) -> Tensor:
    """L_u (Eq. 20): mean over the forgotten ``pairs`` [2, F] of -log sigma(-y), y the score: a scalar."""
    if pairs.shape[1] == 0:
        return served.users.new_zeros(())
    scores = pair_scores(F.embedding(pairs[0], served.users), F.embedding(pairs[1], served.items))
    return F.softplus(scores).mean()


def preservation(served: Embeddings, trained: Embeddings, batch: Batch, temperature: float) -> Tensor:
    """The terms of L_p (Eq. 21 and 22), one per pair of the batch: (log q' - log q)^2, [B].

    q is the softmax of a user's scores, divided by ``temperature``, over the positive items of the batch,
    taken at the pair's own item: q' of the embeddings ``served`` now, q of those that were ``trained``.
    """
    with torch.no_grad():
        before = _log_shares(trained, batch, temperature)
    return (_log_shares(served, batch, temperature) - before).square()


def contrast(layers: Sequence[Tensor], dropped: Sequence[Tensor], groups: Sequence[Tensor]) -> Tensor:
    """L_c (Eq. 23 and 24): InfoNCE by cosine of the influence with and without dropped edges, a scalar.

    Summed over the layers and over ``groups`` of nodes (the batch's users, its items), which are
    contrasted apart. A node that no kept edge reaches has a zero row in ``dropped`` and no direction to
    compare: it is left out.

    Args:
        layers: A^l H0 per layer, each [nodes, d]; held constant.
        dropped: the same with some edges dropped.
        groups: node ids, each [n].
    """
    terms = [dropped[0].new_zeros(())]
    for whole, part in zip(layers, dropped, strict=True):
        for nodes in groups:
            views, anchors = F.embedding(nodes, part), F.embedding(nodes, whole.detach())
            present = views.detach().abs().amax(dim=1) > 0
            if bool(present.any()):
                terms.append(info_nce(views[present], anchors[present], CONTRAST_TEMPERATURE))
    return torch.stack(terms).sum()


def _log_shares(embeddings: Embeddings, batch: Batch, temperature: float) -> Tensor:
    """log q of each pair of the batch: [B]."""
    users = aligned_rows(F.embedding(batch.users, embeddings.users))
    items = aligned_rows(F.embedding(batch.positives, embeddings.items))
    size = len(batch.users)
    scores = (users @ items.t())[:size, :size] / temperature
    return scores.log_softmax(dim=1).diagonal()
