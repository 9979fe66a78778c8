"""VBPR: matrix factorisation with a linear view of the item content.

He and McAuley, "VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback", AAAI 2016, without
bias terms and for any set of modalities, as the MMRec family runs it. With x_m the features of
modality m, and p_u = [a_u ; t_u] of twice the width:

    content    c_i = sum_m E_m x_mi
    score      <a_u, q_i> + <t_u, c_i> = <p_u, [q_i ; c_i]>

One E over the concatenated features is the sum of one E_m per modality, so that each has its branch; all
start as the columns of that one E do, Xavier normal.
A bias would add the same to the scores of all items, which ranks nothing, and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import LossTerms
from models.initialisation import xavier_deviation
from models.losses import norms, triple_bpr, triple_rows
from models.multimodal import MultimodalRecommender


@dataclass(frozen=True)
class VBPROptions:
    """Defaults: the MMRec family's runs."""

    embedding_dim: Annotated[int, Field(ge=1)] = 64
    """Width of the item ID embeddings and of the content part; users have twice as many."""
    modalities: tuple[str, ...] | None = None
    """Names of the modalities to use; None: all that the data has."""
    train_features: bool = False
    """Whether the raw features are trained; the paper's are fixed."""
    featureless: Literal["error", "free_table"] = "error"
    """A modality with an item graph but no features: refuse, or train a free table in their place
    (as wide as the embeddings, Xavier uniform; not in the paper)."""
    norm_weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the norms (not squared) of the batch's user and item embeddings, per example. 2.0 is the
    best published point on Baby, Sports and Clothing, with raw features; with unit-norm features it
    outweighs the first gradients and training collapses. 1.0 is ours, from the same published grid."""


class VBPR(MultimodalRecommender):
    """VBPR."""

    Options = VBPROptions
    multimodal = True

    def __init__(self, data: InteractionData, options: Any) -> None:
        super().__init__(data, options, "vbpr", user_width=2 * options.embedding_dim, bias=False)
        deviation = xavier_deviation(options.embedding_dim, sum(self.feature_tables.widths.values()))
        for parameter in self.projections.parameters():
            nn.init.normal_(parameter, std=deviation)
        self.bind(data)

    def bind(self, data: InteractionData) -> None:
        """Take the features from ``data``; there is no graph."""
        self.feature_tables.bind(data)

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Both of width 2 d: users as they are, items as ID embedding beside content."""
        parts = [self.content(m) for m in self.modalities]
        content = torch.stack(parts).sum(dim=0)
        return self.user_embedding, torch.cat([self.item_embedding, content], dim=1)

    def loss(self, batch: Batch) -> LossTerms:
        """BPR on the joint score; norms of the batch's joint embeddings."""
        users, positives, negatives = triple_rows(*self.embeddings(), batch)
        return LossTerms(
            ranking=triple_bpr(users, positives, negatives),
            regulariser=self.options.norm_weight * norms(users, positives, negatives),
        )
