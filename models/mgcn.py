"""MGCN: behaviour-guided purification, two kinds of graph views, behaviour-aware fusion.

Yu et al., "Multi-View Graph Convolutional Network for Multimedia Recommendation", ACM MM 2023.
Written for any set of modalities. With e the ID embeddings, x_m the raw features of modality m, A the
normalised bipartite adjacency, R its user x item block and S_m the normalised kNN graph of modality m:

    purifier     z_m = e_items * sigmoid(G_m (W_m x_m + b_m) + c_m)
    content view c   = mean of e, A e, ..., A^L e
    item view    v_m = [R S_m^l z_m ; S_m^l z_m]
    attention    a_m = softmax over m of w . tanh(W v_m + b),   common = sum_m a_m v_m
    preference   p_m = sigmoid(P_m c + d_m)
    side view    s   = (sum_m p_m * (v_m - common) + common) / (M + 1)
    final        c + s

With one modality the common part is the whole view: attention and preference gates cancel out of the
equations and are not built.

Every step after the graph convolutions works row by row, so the loss fuses the rows of its batch only.

A withdrawn item has neither a row nor a column in S_m: whatever its feature row holds, it reaches no
output and receives no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import LossTerms
from models.content import ItemGraphs, item_graphs
from models.graph import (
    Propagation,
    interaction_block,
    normalised_adjacency,
)
from models.layers import LayerEdit, mean_over_edited_layers
from models.losses import info_nce, l2, triple_bpr
from models.multimodal import MultimodalRecommender
from models.stable import aligned_rows, sigmoid


@dataclass(frozen=True)
class MGCNOptions:
    """Defaults: the released configuration."""

    embedding_dim: Annotated[int, Field(ge=1)] = 64
    """Width of all embeddings."""
    layers: Annotated[int, Field(ge=0)] = 2
    """Propagation steps L over the interaction graph."""
    item_layers: Annotated[int, Field(ge=1)] = 1
    """Propagation steps l over each modality's item graph."""
    neighbours: Annotated[int, Field(ge=1)] = 10
    """Neighbours k per item in an item graph, the item itself included."""
    modalities: tuple[str, ...] | None = None
    """Names of the modalities to use; None: all that the data has."""
    train_features: bool = True
    """Whether the raw features are trained like any other table."""
    featureless: Literal["error", "free_table"] = "error"
    """A modality with an item graph but no features: refuse, or train a free table in their place
    (as wide as the embeddings, Xavier uniform; not in the paper)."""
    l2: Annotated[float, Field(ge=0)] = 1e-4
    """Weight of half the squared norm of the batch's final embeddings, per example."""
    cl_weight: Annotated[float, Field(ge=0)] = 1e-3
    """Weight of the contrast between side and content views; tuned per data set in .001, .01, .1."""
    temperature: Annotated[float, Field(ge=0.02)] = 0.2
    """Temperature of that contrast; below 0.012 its exponentials would overflow."""


class MGCN(MultimodalRecommender):
    """MGCN."""

    Options = MGCNOptions
    multimodal = True

    def __init__(self, data: InteractionData, options: Any) -> None:
        super().__init__(data, options, "mgcn")
        width = options.embedding_dim
        self.purifiers = nn.ModuleDict({m: nn.Linear(width, width) for m in self.modalities})
        if len(self.modalities) > 1:
            self.preference_gates = nn.ModuleDict({m: nn.Linear(width, width) for m in self.modalities})
            self.fusion_attention = nn.Sequential(
                nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1, bias=False)
            )
        self.propagation = Propagation()
        self.layer_edit: LayerEdit | None = None
        self._item_graphs: ItemGraphs | None = None
        self.bind(data)

    def bind(self, data: InteractionData) -> None:
        """Rebuild the interaction and item graphs; blank the features of withdrawn items."""
        self._adjacency = normalised_adjacency(data.train, self.num_users, self.num_items)
        self._block = interaction_block(data.train, self.num_users, self.num_items)
        self._item_graphs = item_graphs(
            data, self.modalities, self.options.neighbours, known=self._item_graphs
        )
        self.feature_tables.bind(data)

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Content view plus side view of every user and item."""
        content = self.id_view()
        views = [torch.cat([users, items]) for users, items in self._modality_views()]
        return self.split(content + self._side_view(content, views))

    def branch_embeddings(self) -> dict[str, tuple[Tensor, Tensor]]:
        """The propagated views before fusion: ``id`` and one per modality, each (users, items)."""
        views = zip(self.modalities, self._modality_views(), strict=True)
        return {"id": self.split(self.id_view()), **dict(views)}

    def loss(self, batch: Batch) -> LossTerms:
        """BPR and L2 on the final embeddings, contrast between side and content views."""
        items = torch.cat([batch.positives, batch.negatives])
        content = F.embedding(torch.cat([batch.users, items + self.num_users]), self.id_view())
        views = [
            torch.cat([F.embedding(batch.users, view_users), F.embedding(items, view_items)])
            for view_users, view_items in self._modality_views()
        ]
        side = self._side_view(content, views)
        users, positives, negatives = (content + side).chunk(3)
        weight = self.options.cl_weight
        return LossTerms(
            ranking=triple_bpr(users, positives, negatives),
            regulariser=self.options.l2 * l2(users, positives, negatives),
            auxiliary={"contrastive": weight * self._contrast(side, content)} if weight else {},
        )

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        """Branches ``id``, each modality, and ``shared`` (the attention) with several modalities."""
        branches = super().modules_by_branch()
        for m in self.modalities:
            layers = {f"{name}.{m}": list(group[m].parameters()) for name, group in self._modality_layers()}
            branches[m] = self.feature_tables.parameters_of(m) | layers
        if len(self.modalities) > 1:
            branches["shared"] = {"fusion_attention": list(self.fusion_attention.parameters())}
        return branches

    @property
    def id_layers(self) -> int:
        """Propagation steps of the content view."""
        return int(self.options.layers)

    def id_view(self) -> Tensor:
        """The content view, [users + items, d]: ID embeddings, propagated over the interaction graph."""
        ego = torch.cat([self.user_embedding, self.item_embedding])
        return mean_over_edited_layers(
            self.propagation, self._adjacency, ego, self.options.layers, self.layer_edit
        )

    def fusion_parameters(self) -> list[nn.Parameter]:
        """Weight matrices (no biases) of projections, purifiers, preference gates and attention."""
        modules: list[nn.Module] = [group for _, group in self._modality_layers()]
        if len(self.modalities) > 1:
            modules.append(self.fusion_attention)
        return [p for module in modules for name, p in module.named_parameters() if name.endswith("weight")]

    def _modality_views(self) -> list[tuple[Tensor, Tensor]]:
        """Per modality: users [U, d] and items [I, d], purified and propagated over its item graph."""
        return [self._modality_view(m) for m in self.modalities]

    def _modality_view(self, m: str) -> tuple[Tensor, Tensor]:
        projected = self.content(m)
        items = self.item_embedding * sigmoid(self.purifiers[m](projected))
        assert self._item_graphs is not None
        for _ in range(self.options.item_layers):
            items = self.propagation(items, self._item_graphs.operators[m])
        return self.propagation(items, self._block), items

    def _side_view(self, content: Tensor, views: Sequence[Tensor]) -> Tensor:
        """Fuse matching rows of the content view and the modality views, all [n, d]: [n, d]."""
        if len(views) == 1:
            return views[0] / 2
        rows, content = len(content), aligned_rows(content)
        stacked = aligned_rows(torch.stack(tuple(views), dim=1))
        shares = self.fusion_attention(stacked).squeeze(-1).softmax(dim=-1)
        common: Tensor = (shares[..., None] * stacked).sum(dim=1)
        gates = torch.stack([sigmoid(self.preference_gates[m](content)) for m in self.modalities], dim=1)
        specific = gates * (stacked - common[:, None])
        return ((specific.sum(dim=1) + common) / (len(views) + 1))[:rows]

    def _contrast(self, side: Tensor, content: Tensor) -> Tensor:
        """InfoNCE of the batch's users and of its positive items (rows: users, positives, negatives)."""
        side_users, side_items, _ = side.chunk(3)
        content_users, content_items, _ = content.chunk(3)
        temperature = self.options.temperature
        return info_nce(side_items, content_items, temperature) + info_nce(
            side_users, content_users, temperature
        )

    def _modality_layers(self) -> list[tuple[str, nn.ModuleDict]]:
        layers = [("projections", self.projections), ("purifiers", self.purifiers)]
        if len(self.modalities) > 1:
            layers.append(("preference_gates", self.preference_gates))
        return layers
