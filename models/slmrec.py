"""SLMRec: one LightGCN per modality, fused by a linear layer, with a self-supervised task beside.

Tao et al., "Self-supervised Learning for Multimedia Recommendation", IEEE TMM 2022. For any set of
modalities. With e the ID embeddings, x_m the unit-norm raw features, A the normalised bipartite
adjacency and P y the mean of y, A y, ..., A^L y:

    views       h_id = P [e_users ; e_items],   h_m = P [e_users ; W_m x_m + b_m]
    final       z = F [h_id, h_1, ..., h_M] + f, with one F for users and one for items
    ranking     InfoNCE of z_user with z_item over the pairs of the batch, by cosine
    score       <z_user, z_item>

Self-supervised tasks:

    fac         fine and coarse alignment of the positives' views, along the modalities 1 ... M:
                a_0 = h_id,  a_k = G_k a_{k-1} + g_k;  InfoNCE of a_k with R_k h_k + r_k by inner product.
                From the second step on, spaces are half as wide.
    fd          feature dropout: InfoNCE of z with itself under two dropouts of every propagation step
    fm          feature masking: the same with the items' input of one view blanked, another in each
    fd_fm       both

The modalities are taken in the paper's order, image first and text last. What a withdrawn item puts into
a content view is zero, the bias included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import LossTerms
from models.graph import Propagation, mean_over_layers, normalised_adjacency
from models.losses import info_nce, pair_scores
from models.multimodal import MultimodalRecommender
from models.stable import aligned_rows


@dataclass(frozen=True)
class SLMRecOptions:
    """Defaults: the MMRec family's configuration."""

    embedding_dim: Annotated[int, Field(ge=1)] = 64
    """Width of all embeddings and of projected content."""
    layers: Annotated[int, Field(ge=0)] = 3
    """Propagation steps L over the interaction graph, in every view."""
    fusion: Literal["concat", "mean"] = "concat"
    """What the last linear layer reads: the views side by side, or their mean."""
    temperature: Annotated[float, Field(ge=0.02)] = 0.2
    """Temperature of the ranking term; below 0.012 its exponentials would overflow."""
    task: Literal["fac", "fd", "fm", "fd_fm"] = "fac"
    """Self-supervised task; see above."""
    ssl_weight: Annotated[float, Field(ge=0)] = 0.01
    """Weight of the self-supervised task; searched in .01, .05, .1, .5, 1."""
    ssl_temperature: Annotated[float, Field(ge=0.02)] = 0.1
    """Temperature of the self-supervised task; searched in .1, .2, .5, 1."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Dropout of the tasks ``fd`` and ``fd_fm``."""
    l2: Annotated[float, Field(ge=0)] = 1e-4
    """Weight of half the squared norm of all parameters (not per example): the gradient of the released
    configuration's weight decay in Adam. The published ``reg`` grid is read by no released code."""
    modalities: tuple[str, ...] | None = None
    """Names of the modalities to use; None: all that the data has."""
    train_features: bool = False
    """Whether the (unit-norm) features are trained; the released code's are fixed."""
    featureless: Literal["error", "free_table"] = "error"
    """A modality with an item graph but no features: refuse, or train a free table in their place
    (as wide as the embeddings, Xavier uniform; not in the paper)."""


class SLMRec(MultimodalRecommender):
    """SLMRec."""

    Options = SLMRecOptions
    multimodal = True

    def __init__(self, data: InteractionData, options: Any) -> None:
        super().__init__(_with_unit_features(data), options, "slmrec")
        width = options.embedding_dim
        joint = width * (1 + len(self.modalities)) if options.fusion == "concat" else width
        self.user_fusion, self.item_fusion = nn.Linear(joint, width), nn.Linear(joint, width)
        self.aligns = options.task == "fac" and options.ssl_weight > 0
        if self.aligns:
            self.chain = sorted(self.modalities, key=lambda m: (m != "image", m == "text", m))
            spaces = [width if k == 0 else max(1, width // 2) for k in range(len(self.chain))]
            ins = [width, *spaces[:-1]]
            layers = [(m, i, o) for m, i, o in zip(self.chain, ins, spaces, strict=True)]
            self.joint_alignment = nn.ModuleDict({m: nn.Linear(i, o) for m, i, o in layers})
            self.own_alignment = nn.ModuleDict({m: nn.Linear(width, o) for m, _, o in layers})
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
        self.propagation = Propagation()
        self.bind(data)

    def bind(self, data: InteractionData) -> None:
        """Rebuild the interaction graph; blank the features of withdrawn items."""
        self._adjacency = normalised_adjacency(data.train, self.num_users, self.num_items)
        self.feature_tables.bind(_with_unit_features(data))

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """The fused views of users and items."""
        parts = [self.split(view) for view in self._views().values()]
        users, items = zip(*parts, strict=True)
        return self._fused(self.user_fusion, users), self._fused(self.item_fusion, items)

    def branch_embeddings(self) -> dict[str, tuple[Tensor, Tensor]]:
        """The propagated views before fusion: ``id`` and one per modality, each (users, items)."""
        return {branch: self.split(view) for branch, view in self._views().items()}

    def loss(self, batch: Batch) -> LossTerms:
        """InfoNCE of the batch's pairs, L2 of all parameters, and the task. Negatives are not looked at."""
        views = self._views()
        users, items = self._rows(views, batch)
        squares = [p.square().sum(dim=-1).sum() for p in self.parameters()]
        return LossTerms(
            ranking=info_nce(users, items, self.options.temperature),
            regulariser=self.options.l2 / 2 * torch.stack(squares).sum(),
            auxiliary=self._task(views, batch) if self.options.ssl_weight else {},
        )

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        """Branches ``id``, each modality, and ``shared`` (both fusions and what aligns the joint view)."""
        branches = super().modules_by_branch()
        fusions = {"user_fusion": self.user_fusion, "item_fusion": self.item_fusion}
        branches["shared"] = {name: list(layer.parameters()) for name, layer in fusions.items()}
        for m in self.chain if self.aligns else ():
            branches[m][f"own_alignment.{m}"] = list(self.own_alignment[m].parameters())
            branches["shared"][f"joint_alignment.{m}"] = list(self.joint_alignment[m].parameters())
        return branches

    def fusion_parameters(self) -> list[nn.Parameter]:
        """Weight matrices (no biases) of projections, fusions and alignment."""
        layers = {id(layer.weight) for layer in self.modules() if isinstance(layer, nn.Linear)}
        return [parameter for parameter in self.parameters() if id(parameter) in layers]

    def _inputs(self) -> dict[str, Tensor]:
        """What the items put into the view of each branch, ``id`` first: [items, d]."""
        return {"id": self.item_embedding, **{m: self.content(m) for m in self.modalities}}

    def _views(self) -> dict[str, Tensor]:
        """Of each branch all nodes [users + items, d]."""
        return {
            branch: mean_over_layers(
                self.propagation,
                self._adjacency,
                torch.cat([self.user_embedding, items]),
                self.options.layers,
            )
            for branch, items in self._inputs().items()
        }

    def _rows(self, views: dict[str, Tensor], batch: Batch) -> tuple[Tensor, Tensor]:
        """Fused rows of the batch's users and positives, each [B, d]."""
        users = [F.embedding(batch.users, view) for view in views.values()]
        items = [F.embedding(batch.positives + self.num_users, view) for view in views.values()]
        return self._fused(self.user_fusion, users), self._fused(self.item_fusion, items)

    def _fused(self, layer: nn.Linear, views: Sequence[Tensor]) -> Tensor:
        concat = self.options.fusion == "concat"
        joint = torch.cat(tuple(views), dim=1) if concat else torch.stack(tuple(views)).mean(dim=0)
        fused: Tensor = layer(joint)
        return fused

    def _task(self, views: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        if self.aligns:
            return self._alignment(views, batch.positives + self.num_users)
        first, second = (self._rows(self._augmented(masked), batch) for masked in self._masks())
        contrasts = (info_nce(a, b, self.options.ssl_temperature) for a, b in zip(first, second, strict=True))
        return {"contrastive": self.options.ssl_weight * torch.stack(tuple(contrasts)).sum()}

    def _alignment(self, views: dict[str, Tensor], nodes: Tensor) -> dict[str, Tensor]:
        """The task ``fac`` on the rows ``nodes`` [B], one term per modality."""
        joint, terms = F.embedding(nodes, views["id"]), {}
        for m in self.chain:
            joint = self.joint_alignment[m](joint)
            own = self.own_alignment[m](F.embedding(nodes, views[m]))
            contrast = _inner_product_nce(joint, own, self.options.ssl_temperature)
            terms[f"alignment.{m}"] = self.options.ssl_weight * contrast
        return terms

    def _masks(self) -> tuple[str | None, str | None]:
        """Which branch each of two augmented views lacks: drawn in training, the first two in evaluation."""
        if "fm" not in self.options.task:
            return None, None
        branches = ["id", *self.modalities]
        first, second = torch.randperm(len(branches))[:2].tolist() if self.training else (0, 1)
        return branches[first], branches[second]

    def _augmented(self, masked: str | None) -> dict[str, Tensor]:
        """Views with dropout in the tasks that have it, and blank item inputs in the branch ``masked``."""
        rate = self.options.dropout if "fd" in self.options.task else 0.0
        views = {}
        for branch, items in self._inputs().items():
            items = torch.zeros_like(items) if branch == masked else items
            total = nodes = torch.cat([self.user_embedding, items])
            for _ in range(self.options.layers):
                nodes = F.dropout(self.propagation(nodes, self._adjacency), rate, self.training)
                total = total + nodes
            views[branch] = total / (self.options.layers + 1)
        return views


def _inner_product_nce(views: Tensor, anchors: Tensor, temperature: float) -> Tensor:
    """As ``info_nce``, with inner products in place of cosines, unbounded: both [B, d]; a scalar."""
    size = len(views)
    products = (aligned_rows(views) @ aligned_rows(anchors).t())[:size, :size] / temperature
    return products.logsumexp(dim=-1).mean() - pair_scores(views, anchors).mean() / temperature


def _with_unit_features(data: InteractionData) -> InteractionData:
    """``data`` with feature rows of norm one; rows of zeros stay."""
    return replace(data, features={m: F.normalize(x, dim=-1) for m, x in data.features.items()})
