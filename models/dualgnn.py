"""DualGNN: preferences per modality on the interaction graph, fused per user on a user graph.

Wang et al., "DualGNN: Dual Graph Neural Network for Multimedia Recommendation", IEEE TMM 2021. For any
set of modalities. With p_m the users' preferences in modality m (trained), x_m the raw features, A the
normalised bipartite adjacency, and C the user co-occurrence graph (``models.user_graph``):

    start       h_m = [p_m ; W_m x_m + b_m], each row scaled to unit length
    single      [u_m ; i_m] = sum of h_m, A h_m, ..., A^L h_m
    attention   a_u = one weight per user and modality
    fusion      z_u = sum_m a_um u_m
    final       z_u + sum_v C_uv z_v;   sum_m i_m
    loss        BPR + w ln 2 (mean squares of the batch's p_m, and of all a)

The released loss is 1 / ln 2 times this one: it takes the logarithm of its BPR to the base 2, which every
other backbone takes to the base e. Adam does not see the factor, and the ranking term stays comparable.

Sum, weights and their starts are the released code's: p_m Xavier normal, a_u the softmax of Xavier normal
draws (about equal shares), free from then on. Softmax shares and means over layers are options.

There is no item ID table: an item is its content and its users. The preferences in all modalities
are the columns of one user table, the ID table of this backbone. With one modality there is no
attention, and its view is the fused one.

A withdrawn item has no content and no edge: its final embedding is zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import LossTerms, Recommender, Side
from models.features import FeatureTables, chosen_modalities
from models.graph import Propagation, mean_over_layers, normalised_adjacency
from models.initialisation import normal_table, redraw_normal, xavier_deviation
from models.losses import l2, triple_bpr, triple_rows
from models.user_graph import user_graph


@dataclass(frozen=True)
class DualGNNOptions:
    """Defaults: the best published point on Baby."""

    embedding_dim: Annotated[int, Field(ge=1)] = 64
    """Width of all embeddings, per modality."""
    layers: Annotated[int, Field(ge=0)] = 2
    """Propagation steps L over the interaction graph."""
    layer_fusion: Literal["sum", "mean"] = "sum"
    """How the start and the propagated layers meet: their sum, as in the released code, or their mean."""
    attention: Literal["free", "softmax"] = "free"
    """Whether a user's weights of the modalities are free parameters, as in the released code, or the softmax
    of parameters that start at zero."""
    user_neighbours: Annotated[int, Field(ge=1)] = 40
    """Neighbours k per user in the user graph, the user not included; the MMRec family's."""
    unit_start: bool = True
    """Whether preferences and projected content are scaled to unit length before they propagate, as in the
    released code."""
    modalities: tuple[str, ...] | None = None
    """Names of the modalities to use; None: all that the data has."""
    train_features: bool = False
    """Whether the raw features are trained; the paper's are fixed."""
    featureless: Literal["error", "free_table"] = "error"
    """A modality with an item graph but no features: refuse, or train a free table in their place
    (as wide as the embeddings, Xavier uniform; not in the paper)."""
    l2: Annotated[float, Field(ge=0)] = 1e-2
    """Weight w, as published, of the mean square of the batch's user preferences, summed over the modalities,
    and of that of all free attention weights; tuned per data set in .1 .. 1e-5."""


class DualGNN(Recommender):
    """DualGNN."""

    Options = DualGNNOptions
    multimodal = True

    def __init__(self, data: InteractionData, options: Any) -> None:
        super().__init__(data, options)
        self.modalities = chosen_modalities(data, "dualgnn", options.modalities, options.featureless)
        width, several = options.embedding_dim, len(self.modalities)
        self._deviation = xavier_deviation(self.num_users, width)
        self.user_embedding = normal_table(self.num_users, several * width, self._deviation)
        self.feature_tables = FeatureTables(
            data, self.modalities, trained=options.train_features, free_width=width
        )
        self.projections = nn.ModuleDict(
            {m: nn.Linear(self.feature_tables.widths[m], width) for m in self.modalities}
        )
        if several > 1:
            self.user_attention = nn.Parameter(self._fresh_attention(self.num_users, None))
        self.propagation = Propagation()
        self.bind(data)

    def bind(self, data: InteractionData) -> None:
        """Rebuild the interaction graph and the user graph; blank the features of withdrawn items."""
        self._adjacency = normalised_adjacency(data.train, self.num_users, self.num_items)
        self._user_graph = user_graph(
            data.train, self.num_users, self.num_items, self.options.user_neighbours
        )
        self.feature_tables.bind(data)

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Fused users with their neighbours in the user graph; items summed over the modalities."""
        users, items = self._single_views()
        fused = users[:, 0] if len(self.modalities) == 1 else (self._shares() * users).sum(dim=1)
        return self.propagation(fused, self._user_graph, residual=fused), items.sum(dim=1)

    def branch_embeddings(self) -> dict[str, tuple[Tensor, Tensor]]:
        """The propagated views before fusion, one per modality, each (users, items)."""
        users, items = self._single_views()
        return {m: (users[:, k], items[:, k]) for k, m in enumerate(self.modalities)}

    def loss(self, batch: Batch) -> LossTerms:
        """BPR on the final embeddings, mean squares of the batch's preferences and of free attention."""
        preferences = F.embedding(batch.users, self.user_embedding)
        mean_squares = 2 / self.options.embedding_dim * l2(preferences)
        if len(self.modalities) > 1 and self.options.attention == "free":
            weights = self.user_attention
            mean_squares = mean_squares + weights.square().sum(dim=-1).sum() / weights.numel()
        return LossTerms(
            ranking=triple_bpr(*triple_rows(*self.embeddings(), batch)),
            regulariser=math.log(2) * self.options.l2 * mean_squares,
        )

    def id_tables(self) -> dict[Side, nn.Parameter]:
        """Users only: their preferences in all modalities."""
        return {"user": self.user_embedding}

    def reinitialise_rows(self, side: Side, ids: Tensor, generator: torch.Generator) -> None:
        """Redraw user rows and their attention as they started."""
        if side != "user":
            return
        redraw_normal(self.user_embedding, ids, self._deviation, generator)
        if len(self.modalities) > 1:
            with torch.no_grad():
                self.user_attention[ids] = self._fresh_attention(len(ids), generator).to(self.user_attention)

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        """Branches ``id``, each modality, and ``shared`` (the attention) with several modalities."""
        branches: dict[str, dict[str, list[nn.Parameter]]] = {"id": {"user_embedding": [self.user_embedding]}}
        for m in self.modalities:
            projection = {f"projections.{m}": list(self.projections[m].parameters())}
            branches[m] = self.feature_tables.parameters_of(m) | projection
        if len(self.modalities) > 1:
            branches["shared"] = {"user_attention": [self.user_attention]}
        return branches

    def fusion_parameters(self) -> list[nn.Parameter]:
        """Weight matrices (no biases) of the projections, and the attention of the users."""
        weights = [p for name, p in self.projections.named_parameters() if name.endswith("weight")]
        return [*weights, self.user_attention] if len(self.modalities) > 1 else weights

    def _single_views(self) -> tuple[Tensor, Tensor]:
        """u [users, modalities, d] and i [items, modalities, d], all modalities in one propagation."""
        users = self.user_embedding.view(self.num_users, len(self.modalities), -1)
        items = torch.stack(
            [self.feature_tables.projected(m, self.projections[m]) for m in self.modalities], dim=1
        )
        start = torch.cat([users, items])
        if self.options.unit_start:
            start = F.normalize(start, dim=-1)
        nodes = mean_over_layers(
            self.propagation, self._adjacency, start.flatten(start_dim=1), self.options.layers
        )
        if self.options.layer_fusion == "sum":
            nodes = nodes * (self.options.layers + 1)
        views = nodes.view_as(start)
        return views[: self.num_users], views[self.num_users :]

    def _shares(self) -> Tensor:
        """a [users, modalities, 1]."""
        weights = self.user_attention
        return (weights.softmax(dim=1) if self.options.attention == "softmax" else weights)[:, :, None]

    def _fresh_attention(self, users: int, generator: torch.Generator | None) -> Tensor:
        """Attention of ``users`` users as it starts: [users, modalities]."""
        several = len(self.modalities)
        if self.options.attention == "softmax":
            return torch.zeros(users, several)
        drawn = torch.randn(users, several, generator=generator) * xavier_deviation(self.num_users, several)
        return drawn.softmax(dim=1)
