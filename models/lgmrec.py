"""LGMRec: decoupled local views of behaviour and content, and global views over learned hyperedges.

Guo et al., "LGMRec: Local and Global Graph Learning for Multimodal Recommendation", AAAI 2024. For any
set of modalities. With e the ID embeddings, x_m the raw features, A the normalised bipartite adjacency,
B the user x item interactions, n_u the number of a user's items, V_m the hyperedges of modality m:

    behaviour     c = mean of e, A e, ..., A^L e
    content       g_m = A^l [B t_m / n_u ; t_m],   t_m = W_m x_m
    dependencies  H_i = softmax((V_m x_m + noise) / tau),   H_u = softmax((B V_m x_m + noise) / tau)
    global        Z_m = H_i^T c_items,   s_m = [H_u Z_m ; H_i Z_m], dropout on H_u and H_i
    final         c + sum_m g_m / |g_m| + alpha s / |s|,   s = sum_m s_m
    contrast      InfoNCE of s_m with s_m' for each pair of modalities, against all users or items

The noise is drawn in training only; in evaluation dependencies are those of the weights. With one
modality there is nothing to contrast.

A withdrawn item has no content and depends on no hyperedge, so its ID row reaches nobody through them,
and it is no negative of the contrast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import LossTerms
from models.graph import (
    Propagation,
    distinct_pairs,
    mean_over_layers,
    normalised_adjacency,
    sparse_operator,
)
from models.hypergraph import Hypergraph, contrast, hypergraph, reached, relaxed
from models.losses import norms, triple_bpr
from models.multimodal import MultimodalRecommender
from models.stable import aligned_columns, aligned_rows


@dataclass(frozen=True)
class LGMRecOptions:
    """Defaults: the authors' point on Baby, ``cl_weight`` apart."""

    embedding_dim: Annotated[int, Field(ge=1)] = 64
    """Width of all embeddings and of projected content."""
    layers: Annotated[int, Field(ge=0)] = 2
    """Propagation steps L of behaviour; their outputs and the ego embedding are averaged."""
    content_layers: Annotated[int, Field(ge=0)] = 2
    """Propagation steps l of content; the last one's output counts."""
    hyperedges: Annotated[int, Field(ge=1)] = 4
    """Hyperedges per modality; published per data set."""
    hyper_layers: Annotated[int, Field(ge=1)] = 1
    """Steps of message passing over the hyperedges; published per data set."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Dropout on the dependencies, 1 - the released keep_rate; published per data set."""
    alpha: Annotated[float, Field(gt=0)] = 0.3
    """Weight of the global view; published per data set."""
    noise: Literal["gumbel", "logistic"] = "gumbel"
    """Noise on the dependencies in training. ``gumbel`` is what the released code draws; the text of the
    paper, which we could not check, may state the difference of two such variables, ``logistic``."""
    relaxation: Annotated[float, Field(gt=0)] = 0.2
    """Temperature tau of the dependencies; the released code has one constant for this and the next."""
    temperature: Annotated[float, Field(ge=0.02)] = 0.2
    """Temperature of the contrast; below 0.012 its exponentials would overflow."""
    cl_weight: Annotated[float, Field(ge=0)] = 0.02048
    """Weight of the contrast, per example. The published 1e-4 multiplies a sum over batches of 2048, which
    is .2048 per example, with raw features; with short, centred features the dependencies are mostly
    noise, and so is the contrast, which at that weight keeps the ID embeddings from learning. A
    tenth of it is ours."""
    norm_weight: Annotated[float, Field(ge=0)] = 1e-6
    """Weight of the norms (not squared) of the batch's final embeddings, per example."""
    modalities: tuple[str, ...] | None = None
    """Names of the modalities to use; None: all that the data has."""
    train_features: bool = False
    """Whether the raw features are trained; the released code's are fixed."""
    featureless: Literal["error", "free_table"] = "error"
    """A modality with an item graph but no features: refuse, or train a free table in their place
    (as wide as the embeddings, Xavier uniform; not in the paper)."""


class _Views(NamedTuple):
    """Behaviour [nodes, d], content per modality [nodes, d] each, and the hypergraph of each modality."""

    behaviour: Tensor
    content: list[Tensor]
    hypergraphs: list[Hypergraph]


class LGMRec(MultimodalRecommender):
    """LGMRec."""

    Options = LGMRecOptions
    multimodal = True

    def __init__(self, data: InteractionData, options: Any) -> None:
        super().__init__(data, options, "lgmrec", bias=False)
        widths = self.feature_tables.widths
        self.hyperedges = nn.ModuleDict(
            {m: nn.Linear(widths[m], options.hyperedges, bias=False) for m in self.modalities}
        )
        for parameter in [*self.projections.parameters(), *self.hyperedges.parameters()]:
            nn.init.xavier_uniform_(parameter)
        self.propagation = Propagation()
        self.bind(data)

    def bind(self, data: InteractionData) -> None:
        """Rebuild the interaction graphs; blank the features of withdrawn items."""
        self._adjacency = normalised_adjacency(data.train, self.num_users, self.num_items)
        users, items = distinct_pairs(data.train, self.num_items)
        self._counts = torch.bincount(users, minlength=self.num_users).to(torch.get_default_dtype())[:, None]
        shares = self._counts[users, 0].reciprocal()
        self._mean = sparse_operator(users, items, shares, (self.num_users, self.num_items))
        self.feature_tables.bind(data)
        present = torch.ones(self.num_items, dtype=torch.bool, device=users.device)
        present[data.withdrawn_items] = False
        self._present = present.nonzero().squeeze(1) if len(data.withdrawn_items) else None

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Behaviour, content and global views of users and items, summed."""
        views = self._views()
        total = [reached(torch.cat([h.users, h.items]), h.hyperedges) for h in views.hypergraphs]
        return self.split(self._fused(views.behaviour, views.content, total))

    def branch_embeddings(self) -> dict[str, tuple[Tensor, Tensor]]:
        """The local views before fusion: ``id`` and one per modality, each (users, items)."""
        content = {m: self.split(self._content_view(m)) for m in self.modalities}
        return {"id": self.split(self._behaviour_view()), **content}

    def loss(self, batch: Batch) -> LossTerms:
        """BPR and norms on the final embeddings, contrast of the global views of each two modalities."""
        views = self._views()
        items = torch.cat([batch.positives, batch.negatives])
        nodes = torch.cat([batch.users, items + self.num_users])
        total = [
            reached(torch.cat([F.embedding(batch.users, h.users), F.embedding(items, h.items)]), h.hyperedges)
            for h in views.hypergraphs
        ]
        local = [F.embedding(nodes, view) for view in views.content]
        rows = self._fused(F.embedding(nodes, views.behaviour), local, total).chunk(3)
        contrastive = len(self.modalities) > 1 and self.options.cl_weight
        return LossTerms(
            ranking=triple_bpr(*rows),
            regulariser=self.options.norm_weight * norms(*rows),
            auxiliary=self._contrasts(views.hypergraphs, batch) if contrastive else {},
        )

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        """Branches ``id`` and each modality: its feature table where trained, projection, hyperedges."""
        branches = super().modules_by_branch()
        for m in self.modalities:
            branches[m][f"hyperedges.{m}"] = list(self.hyperedges[m].parameters())
        return branches

    def fusion_parameters(self) -> list[nn.Parameter]:
        """Weight matrices of the projections and of the hyperedges."""
        return [*super().fusion_parameters(), *self.hyperedges.parameters()]

    def _views(self) -> _Views:
        behaviour = self._behaviour_view()
        items = self.split(behaviour)[1]
        graphs = [
            hypergraph(*self._dependencies(m), items, self.options.hyper_layers) for m in self.modalities
        ]
        return _Views(behaviour, [self._content_view(m) for m in self.modalities], graphs)

    def _behaviour_view(self) -> Tensor:
        ego = torch.cat([self.user_embedding, self.item_embedding])
        return mean_over_layers(self.propagation, self._adjacency, ego, self.options.layers)

    def _content_view(self, m: str) -> Tensor:
        items = self.content(m)
        view = torch.cat([self.propagation(items, self._mean), items])
        for _ in range(self.options.content_layers):
            view = self.propagation(view, self._adjacency)
        return view

    def _dependencies(self, m: str) -> tuple[Tensor, Tensor]:
        """Of users [users, K] and items [items, K] on the hyperedges of modality ``m``."""
        features = aligned_columns(self.feature_tables.rows(m))
        layer = self.hyperedges[m]
        assert isinstance(layer, nn.Linear)
        weight = aligned_rows(aligned_columns(layer.weight))
        items = self.feature_tables.blanked(F.linear(features, weight)[:, : self.options.hyperedges])
        users = self._counts * self.propagation(items, self._mean)
        noise = self.options.noise if self.training else None
        shares = [relaxed(logits, self.options.relaxation, noise) for logits in (users, items)]
        users, items = (F.dropout(share, self.options.dropout, self.training) for share in shares)
        return users, self.feature_tables.blanked(items)

    def _fused(self, behaviour: Tensor, content: Sequence[Tensor], reach: Sequence[Tensor]) -> Tensor:
        """Fuse matching rows, all [n, d]: [n, d]."""
        for view in content:
            behaviour = behaviour + F.normalize(view, dim=-1)
        total = torch.stack(tuple(reach)).sum(dim=0)
        fused: Tensor = behaviour + self.options.alpha * F.normalize(total, dim=-1)
        return fused

    def _contrasts(self, graphs: Sequence[Hypergraph], batch: Batch) -> dict[str, Tensor]:
        """One term per pair of modalities: of the batch's users and of its positives."""
        terms, temperature = {}, self.options.temperature
        for (m, a), (n, b) in combinations(zip(self.modalities, graphs, strict=True), 2):
            users = contrast((a.users, a.hyperedges), (b.users, b.hyperedges), batch.users, None, temperature)
            items = contrast(
                (a.items, a.hyperedges), (b.items, b.hyperedges), batch.positives, self._present, temperature
            )
            terms[f"contrastive.{m}.{n}"] = self.options.cl_weight * (users + items)
        return terms
