"""MMGCN: a graph convolution per modality, tied together by ID embeddings.

Wei et al., "MMGCN: Multi-modal Graph Convolution Network for Personalized Recommendation of
Micro-video", ACM MM 2019, with its mean aggregation. For any set of modalities. With e the ID
embeddings, p_m the users' preferences in modality m (trained), x_m the raw features, and A the bipartite
adjacency whose rows are averages over neighbours, in each modality and for l = 1 ... L:

    start       v_m^0 = [p_m ; P_m x_m + b_m], each row scaled to unit length
    neighbours  h = leaky(A v_m^{l-1} W_1)
    own         o = leaky(v_m^{l-1} W_2) + e
    joint       v_m^l = leaky([h | o] W_3), or leaky(h W_3 + o)
    final       mean_m v_m^L

The last layer works row by row after its averages, so the loss computes the rows of its batch only.

Starts are the released code's: Xavier normal for the IDs of users and items as one table, for the
preferences, for W_1 and W_2 of every layer and for W_3 of the first; torch's for the rest.

A withdrawn item has no content and no edge: nothing of it but its ID row is left, and that row reaches
no other output.
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
from models.averages import averaging_adjacency
from models.base import LossTerms, Side
from models.graph import Propagation
from models.initialisation import normal_table, redraw_normal, xavier_deviation
from models.losses import l2, triple_bpr
from models.multimodal import MultimodalRecommender
from models.stable import aligned_columns, aligned_rows


@dataclass(frozen=True)
class MMGCNOptions:
    """Defaults: the MMRec family's runs where they are known."""

    embedding_dim: Annotated[int, Field(ge=1)] = 64
    """Width of all embeddings and of every layer."""
    layers: Annotated[int, Field(ge=1)] = 3
    """Convolutions L per modality; the family's configuration says 2 and its code runs 3."""
    combination: Literal["concatenation", "addition"] = "concatenation"
    """How neighbours and own state meet: the paper's two functions. The family's code joins them: its switch
    is the text ``False``, which counts as true."""
    fusion: Literal["mean", "sum"] = "mean"
    """How the modalities' last states meet: their mean, as in the released code, or their sum."""
    negative_slope: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Slope of the leaky rectifier below zero: torch's default, which the released code takes."""
    unit_start: bool = True
    """Whether preferences and projected content are scaled to unit length before the first layer, as in the
    released code."""
    modalities: tuple[str, ...] | None = None
    """Names of the modalities to use; None: all that the data has."""
    train_features: bool = False
    """Whether the raw features are trained; the paper's are fixed."""
    featureless: Literal["error", "free_table"] = "error"
    """A modality with an item graph but no features: refuse, or train a free table in their place
    (as wide as the embeddings, Xavier uniform; not in the paper)."""
    l2: Annotated[float, Field(ge=0)] = 1e-3
    """Weight of half the squared norm of the batch's ID embeddings and user preferences, per example.
    Ours, not tuned: the published grid, 0, 1e-5 .. .1, weighs mean squares (32 times smaller) of tables
    that the family's code never trains, and its best point is unknown."""


class Convolution(nn.Module):
    """One layer of one modality: W_1, W_2 and W_3, without biases as in the paper.

    Of the ``first`` layer all three start Xavier normal, of the others W_1 and W_2.
    """

    def __init__(self, width: int, combination: str, negative_slope: float, *, first: bool) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.concatenates = combination == "concatenation"
        self.neighbours = nn.Linear(width, width, bias=False)
        self.own = nn.Linear(width, width, bias=False)
        self.joint = nn.Linear(width * (2 if self.concatenates else 1), width, bias=False)
        for layer in (self.neighbours, self.own, *([self.joint] if first else [])):
            nn.init.xavier_normal_(layer.weight)

    def forward(self, averages: Tensor, state: Tensor, ids: Tensor) -> Tensor:
        """New states of nodes from averages over their neighbours, their states and IDs, all [n, d]."""
        around = self._leaky(_product(averages, self.neighbours))
        own = self._leaky(_product(state, self.own)) + ids
        if self.concatenates:
            return self._leaky(_product(torch.cat([around, own], dim=1), self.joint))
        return self._leaky(_product(around, self.joint) + own)

    def _leaky(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.negative_slope)


class MMGCN(MultimodalRecommender):
    """MMGCN."""

    Options = MMGCNOptions
    multimodal = True

    def __init__(self, data: InteractionData, options: Any) -> None:
        super().__init__(data, options, "mmgcn")
        width = options.embedding_dim
        self._id_deviation = xavier_deviation(self.num_users + self.num_items, width)
        self._preference_deviation = xavier_deviation(self.num_users, width)
        for table in (self.user_embedding, self.item_embedding):
            nn.init.normal_(table, std=self._id_deviation)
        self.preferences = nn.ParameterDict(
            {m: normal_table(self.num_users, width, self._preference_deviation) for m in self.modalities}
        )
        self.convolutions = nn.ModuleDict({m: self._convolutions() for m in self.modalities})
        self.propagation = Propagation()
        self.bind(data)

    def bind(self, data: InteractionData) -> None:
        """Rebuild the interaction graph; blank the features of withdrawn items."""
        self._averages = averaging_adjacency(data.train, self.num_users, self.num_items)
        self.feature_tables.bind(data)

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Mean (or sum) of the modalities' views."""
        return self.split(self._fused(None))

    def branch_embeddings(self) -> dict[str, tuple[Tensor, Tensor]]:
        """The views before they are fused, one per modality, each (users, items)."""
        return {m: self.split(self._view(m, self._ids(), None)) for m in self.modalities}

    def loss(self, batch: Batch) -> LossTerms:
        """BPR on the final embeddings, L2 of the batch's rows of the tables they start from."""
        nodes = torch.cat([batch.users, batch.positives + self.num_users, batch.negatives + self.num_users])
        tables = [F.embedding(batch.users, self.user_embedding)]
        tables += [F.embedding(items, self.item_embedding) for items in (batch.positives, batch.negatives)]
        tables += [F.embedding(batch.users, self.preferences[m]) for m in self.modalities]
        return LossTerms(
            ranking=triple_bpr(*self._fused(nodes).chunk(3)),
            regulariser=self.options.l2 * l2(*tables),
        )

    def reinitialise_rows(self, side: Side, ids: Tensor, generator: torch.Generator) -> None:
        """Redraw ID rows, and of users the preferences in every modality as well, as they started."""
        redraw_normal(self.id_tables()[side], ids, self._id_deviation, generator)
        for table in self.preferences.values() if side == "user" else ():
            redraw_normal(table, ids, self._preference_deviation, generator)

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        """Branches ``id`` and each modality: its preferences, content and convolutions."""
        branches = super().modules_by_branch()
        for m in self.modalities:
            branches[m] |= {f"preferences.{m}": [self.preferences[m]]}
            for name, parameter in self.convolutions[m].named_parameters():
                branches[m][f"convolutions.{m}.{name.removesuffix('.weight')}"] = [parameter]
        return branches

    def fusion_parameters(self) -> list[nn.Parameter]:
        """Weight matrices (no biases) of the projections and of the joints, where IDs meet content."""
        joints = [p for name, p in self.convolutions.named_parameters() if name.endswith("joint.weight")]
        return [*super().fusion_parameters(), *joints]

    def _convolutions(self) -> nn.ModuleList:
        options = self.options
        shape = (options.embedding_dim, options.combination, options.negative_slope)
        return nn.ModuleList([Convolution(*shape, first=layer == 0) for layer in range(options.layers)])

    def _ids(self) -> Tensor:
        """e [users + items, d]."""
        return torch.cat([self.user_embedding, self.item_embedding])

    def _fused(self, nodes: Tensor | None) -> Tensor:
        """Final embeddings of ``nodes`` [n] (users first, then items), or of all: [n, d]."""
        ids = self._ids()
        total = torch.stack([self._view(m, ids, nodes) for m in self.modalities]).sum(dim=0)
        return total / len(self.modalities) if self.options.fusion == "mean" else total

    def _view(self, m: str, ids: Tensor, nodes: Tensor | None) -> Tensor:
        """v_m^L of ``nodes`` [n], or of all: [n, d]."""
        state = torch.cat([self.preferences[m], self.content(m)])
        if self.options.unit_start:
            state = F.normalize(state, dim=-1)
        convolutions = self.convolutions[m]
        assert isinstance(convolutions, nn.ModuleList)
        for convolution in convolutions[:-1]:
            state = convolution(self.propagation(state, self._averages), state, ids)
        averages = self.propagation(state, self._averages)
        if nodes is not None:
            averages, state, ids = (F.embedding(nodes, x) for x in (averages, state, ids))
        view: Tensor = convolutions[-1](averages, state, ids)
        return view


def _product(x: Tensor, layer: nn.Module) -> Tensor:
    """``layer`` (linear, without bias) on ``x`` [n, width]: [n, d], bit-equal on any number of threads."""
    assert isinstance(layer, nn.Linear)
    padded = aligned_rows(aligned_columns(x))
    return F.linear(padded, aligned_columns(layer.weight))[: len(x)]
