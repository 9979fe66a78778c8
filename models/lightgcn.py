"""LightGCN: ID embeddings propagated linearly over the interaction graph.

He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation",
SIGIR 2020. Item content is not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import LossTerms, Recommender, Side
from models.graph import Propagation, SparseOperator, normalised_adjacency
from models.layers import LayerEdit, mean_over_edited_layers
from models.losses import bpr, l2, pair_scores


@dataclass(frozen=True)
class LightGCNOptions:
    """Defaults: the paper's, section 4.1.2, with 2 layers as in the MMRec family's published runs."""

    embedding_dim: Annotated[int, Field(ge=1)] = 64
    """Width of the ID embeddings."""
    layers: Annotated[int, Field(ge=0)] = 2
    """Propagation steps; their outputs and the ego embedding are averaged."""
    l2: Annotated[float, Field(ge=0)] = 1e-4
    """Weight of half the squared norm of the batch's ego embeddings, per example."""


class LightGCN(Recommender):
    """LightGCN."""

    Options = LightGCNOptions

    def __init__(self, data: InteractionData, options: Any) -> None:
        super().__init__(data, options)
        width = options.embedding_dim
        self.user_embedding = nn.Parameter(nn.init.xavier_uniform_(torch.empty(self.num_users, width)))
        self.item_embedding = nn.Parameter(nn.init.xavier_uniform_(torch.empty(self.num_items, width)))
        self.propagation = Propagation()
        self.layer_edit: LayerEdit | None = None
        self.bind(data)

    def bind(self, data: InteractionData) -> None:
        """Rebuild the interaction graph from ``data.train``."""
        self._adjacency: SparseOperator = normalised_adjacency(data.train, self.num_users, self.num_items)

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Mean over layers of the propagated ID embeddings."""
        final = self.id_view()
        return final[: self.num_users], final[self.num_users :]

    def loss(self, batch: Batch) -> LossTerms:
        """BPR on the propagated embeddings, L2 on the ego embeddings of the batch."""
        ids = torch.cat([batch.users, batch.positives + self.num_users, batch.negatives + self.num_users])
        users, positives, negatives = F.embedding(ids, self.id_view()).chunk(3)
        ego_users = F.embedding(batch.users, self.user_embedding)
        ego_items = F.embedding(torch.cat([batch.positives, batch.negatives]), self.item_embedding)
        return LossTerms(
            ranking=bpr(pair_scores(users, positives), pair_scores(users, negatives)),
            regulariser=self.options.l2 * l2(ego_users, *ego_items.chunk(2)),
        )

    def id_tables(self) -> dict[Side, nn.Parameter]:
        """Both sides have an ID table."""
        return {"user": self.user_embedding, "item": self.item_embedding}

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        """Everything is in the ID branch."""
        return {"id": {"user_embedding": [self.user_embedding], "item_embedding": [self.item_embedding]}}

    @property
    def id_layers(self) -> int:
        """Propagation steps."""
        return int(self.options.layers)

    def id_view(self) -> Tensor:
        """[users + items, d]: the mean over layers, which is the whole model here."""
        ego = torch.cat([self.user_embedding, self.item_embedding])
        return mean_over_edited_layers(
            self.propagation, self._adjacency, ego, self.options.layers, self.layer_edit
        )
