"""DualGNN: preferences per modality on the interaction graph, fused per user on a user graph.

Wang et al., "DualGNN: Dual Graph Neural Network for Multimedia Recommendation", IEEE TMM 2021. For any
set of modalities. With p_m the users' preferences in modality m (trained), x_m the raw features, A the
normalised bipartite adjacency, and C the user co-occurrence graph (``models.user_graph``):

    start       h_m = [p_m ; W_m x_m + b_m], each row scaled to unit length
    single      [u_m ; i_m] = mean of h_m, A h_m, ..., A^L h_m
    attention   a_u = softmax of one weight per user and modality
    fusion      z_u = sum_m a_um u_m
    final       z_u + sum_v C_uv z_v;   sum_m i_m

There is no item ID table: an item is its content and its users. The preferences in all modalities
are the columns of one user table, the ID table of this backbone. With one modality the attention
cancels out of the equations and is not built.

A withdrawn item has no content and no edge: its final embedding is zero.
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
from models.base import LossTerms, Recommender, Side
from models.features import FeatureTables, chosen_modalities, xavier_table
from models.graph import Propagation, mean_over_layers, normalised_adjacency
from models.losses import l2, triple_bpr, triple_rows
from models.user_graph import user_graph


@dataclass(frozen=True)
class DualGNNOptions:
    """Defaults: the best published point on Baby."""

    embedding_dim: Annotated[int, Field(ge=1)] = 64
    """Width of all embeddings, per modality."""
    layers: Annotated[int, Field(ge=0)] = 2
    """Propagation steps L over the interaction graph."""
    user_neighbours: Annotated[int, Field(ge=1)] = 40
    """Neighbours k per user in the user graph, the user not included. Published: unknown; ours."""
    unit_start: bool = True
    """Whether preferences and projected content are scaled to unit length before they propagate.
    Published: unknown; ours."""
    modalities: tuple[str, ...] | None = None
    """Names of the modalities to use; None: all that the data has."""
    train_features: bool = False
    """Whether the raw features are trained; the paper's are fixed."""
    featureless: Literal["error", "free_table"] = "error"
    """A modality with an item graph but no features: refuse, or train a free table in their place
    (as wide as the embeddings, Xavier uniform; not in the paper)."""
    l2: Annotated[float, Field(ge=0)] = 1e-2
    """Weight of the mean square of the batch's user preferences, summed over the modalities; tuned per
    data set in .1 .. 1e-5."""


class DualGNN(Recommender):
    """DualGNN."""

    Options = DualGNNOptions
    multimodal = True

    def __init__(self, data: InteractionData, options: Any) -> None:
        super().__init__(data, options)
        self.modalities = chosen_modalities(data, "dualgnn", options.modalities, options.featureless)
        width, several = options.embedding_dim, len(self.modalities)
        self.user_embedding = xavier_table(self.num_users, several * width)
        self.feature_tables = FeatureTables(
            data, self.modalities, trained=options.train_features, free_width=width
        )
        self.projections = nn.ModuleDict(
            {m: nn.Linear(self.feature_tables.widths[m], width) for m in self.modalities}
        )
        if several > 1:
            self.user_attention = nn.Parameter(torch.zeros(self.num_users, several))
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
        """BPR on the final embeddings, mean square of the batch's user preferences."""
        preferences = F.embedding(batch.users, self.user_embedding)
        mean_square = 2 / self.options.embedding_dim * l2(preferences)
        return LossTerms(
            ranking=triple_bpr(*triple_rows(*self.embeddings(), batch)),
            regulariser=self.options.l2 * mean_square,
        )

    def id_tables(self) -> dict[Side, nn.Parameter]:
        """Users only: their preferences in all modalities."""
        return {"user": self.user_embedding}

    def reinitialise_rows(self, side: Side, ids: Tensor, generator: torch.Generator) -> None:
        """Redraw user rows (Xavier uniform) and set their attention back to equal shares."""
        super().reinitialise_rows(side, ids, generator)
        if side == "user" and len(self.modalities) > 1:
            with torch.no_grad():
                self.user_attention[ids] = 0.0

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
        views = nodes.view_as(start)
        return views[: self.num_users], views[self.num_users :]

    def _shares(self) -> Tensor:
        """a [users, modalities, 1]."""
        return self.user_attention.softmax(dim=1)[:, :, None]
