"""BM3: bootstrapped views of users, items and item content, without negatives.

Zhou et al., "Bootstrap Latent Representations for Multi-modal Recommendation", WWW 2023. For any set
of modalities. With e the ID embeddings, x_m the raw features, A the normalised bipartite adjacency,
h' the predictor (one linear layer) on a view h, and h^ the view h after dropout, held constant:

    views       [u ; g] = mean of e, A e, ..., A^L e,   i = g + e_items,   t_m = W_m x_m + b_m
    ranking     1 - cos(u', i^) + 1 - cos(i', u^)
    alignment   1 - cos(t_m', i^)
    masking     1 - cos(t_m', t_m^)
    score       <u', i'>

Each a mean over the training pairs; alignment and masking are summed over the modalities. A batch's
negatives are not looked at. A withdrawn item has no content: its view is zero in every modality.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import LossTerms
from models.graph import Propagation, mean_over_layers, normalised_adjacency
from models.losses import norms
from models.multimodal import MultimodalRecommender


@dataclass(frozen=True)
class BM3Options:
    """Defaults: the authors' best point on Baby."""

    embedding_dim: Annotated[int, Field(ge=1)] = 64
    """Width of all embeddings."""
    layers: Annotated[int, Field(ge=0)] = 1
    """Propagation steps L over the interaction graph; tuned per data set in 1, 2."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Dropout on the views that serve as targets; tuned per data set in .3, .5."""
    cl_weight: Annotated[float, Field(ge=0)] = 2.0
    """Weight of alignment and masking."""
    norm_weight: Annotated[float, Field(ge=0)] = 0.1
    """Weight of the norms (not squared) of all users' and all items' views, per item; tuned per data
    set in .1, .01."""
    modalities: tuple[str, ...] | None = None
    """Names of the modalities to use; None: all that the data has."""
    train_features: bool = True
    """Whether the raw features are trained like any other table."""
    featureless: Literal["error", "free_table"] = "error"
    """A modality with an item graph but no features: refuse, or train a free table in their place
    (as wide as the embeddings, Xavier uniform; not in the paper)."""


class BM3(MultimodalRecommender):
    """BM3."""

    Options = BM3Options
    multimodal = True

    def __init__(self, data: InteractionData, options: Any) -> None:
        super().__init__(data, options, "bm3")
        self.predictor = nn.Linear(options.embedding_dim, options.embedding_dim)
        for name, parameter in [*self.projections.named_parameters(), *self.predictor.named_parameters()]:
            if name.endswith("weight"):
                nn.init.xavier_normal_(parameter)
        self.propagation = Propagation()
        self.bind(data)

    def bind(self, data: InteractionData) -> None:
        """Rebuild the interaction graph; blank the features of withdrawn items."""
        self._adjacency = normalised_adjacency(data.train, self.num_users, self.num_items)
        self.feature_tables.bind(data)

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Predicted views of users and items."""
        users, items = self._views()
        return self._predicted(users), self._predicted(items)

    def loss(self, batch: Batch) -> LossTerms:
        """Cosine distances between predicted and held views of each training pair."""
        all_users, all_items = self._views()
        users, items = F.embedding(batch.users, all_users), F.embedding(batch.positives, all_items)
        item_target = self._target(items)
        ranking = _distance(self._predicted(users), item_target)
        ranking = ranking + _distance(self._predicted(items), self._target(users))
        auxiliary, weight = {}, self.options.cl_weight
        for m in self.modalities if weight else ():
            view = F.embedding(batch.positives, self.content(m))
            predicted = self._predicted(view)
            auxiliary[f"alignment.{m}"] = weight * _distance(predicted, item_target)
            auxiliary[f"masking.{m}"] = weight * _distance(predicted, self._target(view))
        return LossTerms(
            ranking=ranking,
            regulariser=self.options.norm_weight * norms(all_items, all_users),
            auxiliary=auxiliary,
        )

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        """Branches ``id``, each modality if content has a weight, and ``shared`` (the predictor)."""
        branches = super().modules_by_branch()
        if not self.options.cl_weight:
            branches = {"id": branches["id"]}
        return branches | {"shared": {"predictor": list(self.predictor.parameters())}}

    def fusion_parameters(self) -> list[nn.Parameter]:
        """Weight matrices (no biases) of the predictor and, where they are trained, the projections."""
        return [*(super().fusion_parameters() if self.options.cl_weight else ()), self.predictor.weight]

    def _views(self) -> tuple[Tensor, Tensor]:
        """u [users, d] and i [items, d]."""
        ego = torch.cat([self.user_embedding, self.item_embedding])
        nodes = mean_over_layers(self.propagation, self._adjacency, ego, self.options.layers)
        users, items = self.split(nodes)
        return users, items + self.item_embedding

    def _predicted(self, view: Tensor) -> Tensor:
        predicted: Tensor = self.predictor(view)
        return predicted

    def _target(self, view: Tensor) -> Tensor:
        return F.dropout(view.detach(), self.options.dropout, self.training)


def _distance(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean of one minus the cosine of matching rows, both [B, d]."""
    return 1 - F.cosine_similarity(predicted, target, dim=-1).mean()
