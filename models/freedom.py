"""FREEDOM: a frozen item graph from content, and a denoised interaction graph.

Zhou and Shen, "A Tale of Two Graphs: Freezing and Denoising Graph Structures for Multimodal
Recommendation", ACM MM 2023. For any set of modalities. With e the ID embeddings, x_m the raw features,
A the normalised bipartite adjacency and S_m the normalised kNN graph of modality m with equal weights:

    item graph      S = sum_m w_m S_m, frozen
    item view       h = S^l e_items
    behaviour view  [u ; i] = mean of e, A e, ..., A^L e
    final           u and i + h
    loss            BPR(u, i + h) + weight * sum_m BPR(u, W_m x_m + b_m)

In training A is pruned: a share of the edges is drawn without replacement, each with a chance that
grows with 1 / sqrt(deg(u) deg(i)), and normalised again; redrawn in each epoch. Evaluation uses all.

A withdrawn item has neither a row nor a column in S_m, and its projected content is zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import LossTerms
from models.content import ItemGraphs, item_graphs
from models.graph import (
    Propagation,
    SparseOperator,
    distinct_pairs,
    normalised_adjacency,
    prune,
)
from models.layers import LayerEdit, mean_over_edited_layers
from models.losses import triple_bpr, triple_rows
from models.multimodal import MultimodalRecommender

PUBLISHED = {"image": 0.1, "text": 0.9}
"""Weights of the released configuration."""


@dataclass(frozen=True)
class FREEDOMOptions:
    """Defaults: the best published point on Baby."""

    embedding_dim: Annotated[int, Field(ge=1)] = 64
    """Width of all embeddings."""
    layers: Annotated[int, Field(ge=0)] = 2
    """Propagation steps L over the interaction graph."""
    item_layers: Annotated[int, Field(ge=0)] = 1
    """Propagation steps l over the item graph."""
    neighbours: Annotated[int, Field(ge=1)] = 10
    """Neighbours k per item in an item graph, the item itself included."""
    weights: dict[str, Annotated[float, Field(ge=0)]] | None = None
    """Weight of each modality in the item graph, up to a common factor. None: image 0.1 and text 0.9, as
    published, where these two are used; equal weights for any other set."""
    edge_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Share of the interaction edges that training leaves out; tuned per data set in .8, .9."""
    modalities: tuple[str, ...] | None = None
    """Names of the modalities to use; None: all that the data has."""
    train_features: bool = True
    """Whether the raw features are trained like any other table."""
    featureless: Literal["error", "free_table"] = "error"
    """A modality with an item graph but no features: refuse, or train a free table in their place
    (as wide as the embeddings, Xavier uniform; not in the paper)."""
    content_weight: Annotated[float, Field(ge=0)] = 1e-3
    """Weight of the BPR of users with projected content; tuned per data set in 0, 1e-5, 1e-4, 1e-3."""


class FREEDOM(MultimodalRecommender):
    """FREEDOM."""

    Options = FREEDOMOptions
    multimodal = True

    def __init__(self, data: InteractionData, options: Any) -> None:
        super().__init__(data, options, "freedom")
        self.shares = _shares(self.modalities, options.weights)
        self.propagation = Propagation()
        self.layer_edit: LayerEdit | None = None
        self._item_graphs: ItemGraphs | None = None
        self.bind(data)

    def bind(self, data: InteractionData) -> None:
        """Rebuild the interaction and item graphs; blank the features of withdrawn items."""
        self._pairs = distinct_pairs(data.train, self.num_items)
        self._adjacency = normalised_adjacency(data.train, self.num_users, self.num_items)
        self._item_graphs = item_graphs(
            data, self.modalities, self.options.neighbours, known=self._item_graphs, weighted=False
        )
        self.feature_tables.bind(data)
        self.start_epoch()

    def start_epoch(self) -> None:
        """Forget the pruned graph; the next use draws another."""
        self._pruned: SparseOperator | None = None

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Behaviour view, items with their item view added; on the pruned graph while training."""
        users, items = self.split(self.id_view())
        return users, items + self._item_view()

    @property
    def id_layers(self) -> int:
        """Propagation steps of the behaviour view."""
        return int(self.options.layers)

    def id_view(self) -> Tensor:
        """The behaviour view: [users + items, d]."""
        ego = torch.cat([self.user_embedding, self.item_embedding])
        return mean_over_edited_layers(
            self.propagation, self._graph(), ego, self.options.layers, self.layer_edit
        )

    def loss(self, batch: Batch) -> LossTerms:
        """BPR on the final embeddings, and of the users with each modality's projected content."""
        users, items = self.embeddings()
        weight = self.options.content_weight
        auxiliary = {
            f"content.{m}": weight * triple_bpr(*triple_rows(users, self.content(m), batch))
            for m in (self.modalities if weight else ())
        }
        ranking = triple_bpr(*triple_rows(users, items, batch))
        return LossTerms(ranking, regulariser=users.new_zeros(()), auxiliary=auxiliary)

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        """Branches ``id`` and, where content has a weight in the loss, each modality."""
        branches = super().modules_by_branch()
        return branches if self.options.content_weight else {"id": branches["id"]}

    def fusion_parameters(self) -> list[nn.Parameter]:
        """Weight matrices (no biases) of the projections, where they are trained."""
        return super().fusion_parameters() if self.options.content_weight else []

    def _graph(self) -> SparseOperator:
        if not (self.training and self.options.edge_dropout):
            return self._adjacency
        if self._pruned is None:
            kept = prune(self._pairs, self.num_users, self.num_items, 1 - self.options.edge_dropout)
            self._pruned = normalised_adjacency(kept, self.num_users, self.num_items)
        return self._pruned

    def _item_view(self) -> Tensor:
        """[items, d]: S^l e_items."""
        assert self._item_graphs is not None
        items: Tensor = self.item_embedding
        for _ in range(self.options.item_layers):
            parts = [
                share * self.propagation(items, self._item_graphs.operators[m])
                for m, share in self.shares.items()
            ]
            items = torch.stack(parts).sum(dim=0)
        return items


def _shares(modalities: tuple[str, ...], weights: dict[str, float] | None) -> dict[str, float]:
    """Share of each modality in the item graph; they sum to one."""
    if weights is None:
        weights = PUBLISHED if set(modalities) == set(PUBLISHED) else dict.fromkeys(modalities, 1.0)
    total = sum(weights.values())
    if set(weights) != set(modalities) or not total:
        raise InputError(
            f"backbone.weights={weights} must name exactly the modalities {', '.join(modalities)}, "
            "one of them above zero: correct it or set backbone.weights=null."
        )
    return {m: weights[m] / total for m in modalities}
