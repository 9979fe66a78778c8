"""LATTICE: an item graph learned from projected content, mixed with the raw one.

Zhang et al., "Mining Latent Structures for Multimedia Recommendation", ACM MM 2021. For any set of
modalities. With e the ID embeddings, x_m the raw features, A the bipartite adjacency that averages over
a node and its neighbours, D^-1 (B + I) for pairs B, as the released code has it, N(.) the normalisation
D^-1/2 . D^-1/2 by row sums, and kNN(.) the cosines of each row's k nearest:

    shares      a = softmax of one weight per modality
    learned     S~ = N(sum_m a_m kNN(W_m x_m + b_m))
    raw         S0 = sum_m a_m N(kNN(x_m))
    item view   h = (c S0 + (1 - c) S~)^l e_items
    final       [u ; i] = mean of e, A e, ..., A^L e;   i + h / |h|

The learned graph is rebuilt once per epoch: its first batch trains W, b, x and a through the graph,
the others take it as it is. In evaluation it is that of the current weights.

A withdrawn item has neither a row nor a column in any item graph.
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
from models.base import LossTerms
from models.content import ItemGraphs, item_graphs
from models.graph import Propagation, SparseOperator, mean_over_layers, normalised_adjacency
from models.learned_graph import WeightedEdges, joined, nearest, of_operator
from models.losses import l2, triple_bpr, triple_rows
from models.multimodal import MultimodalRecommender


@dataclass(frozen=True)
class LATTICEOptions:
    """Defaults: the best published point on Baby."""

    embedding_dim: Annotated[int, Field(ge=1)] = 64
    """Width of all embeddings and of projected content."""
    layers: Annotated[int, Field(ge=0)] = 2
    """Propagation steps L over the interaction graph."""
    adjacency: Literal["averaging", "symmetric"] = "averaging"
    """A: D^-1 (B + I), the released code's, or LightGCN's D^-1/2 B D^-1/2."""
    item_layers: Annotated[int, Field(ge=1)] = 1
    """Propagation steps l over the item graph."""
    neighbours: Annotated[int, Field(ge=1)] = 10
    """Neighbours k per item in an item graph, the item itself included."""
    raw_share: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Share c of the raw item graph; the rest is the learned one."""
    modalities: tuple[str, ...] | None = None
    """Names of the modalities to use; None: all that the data has."""
    train_features: bool = True
    """Whether the raw features are trained like any other table."""
    featureless: Literal["error", "free_table"] = "error"
    """A modality with an item graph but no features: refuse, or train a free table in their place
    (as wide as the embeddings, Xavier uniform; not in the paper)."""
    l2: Annotated[float, Field(ge=0)] = 1e-3
    """Weight of half the squared norm of the batch's final embeddings, per example; tuned per data set
    in 0, 1e-5, 1e-4, 1e-3."""


class LATTICE(MultimodalRecommender):
    """LATTICE."""

    Options = LATTICEOptions
    multimodal = True

    def __init__(self, data: InteractionData, options: Any) -> None:
        super().__init__(data, options, "lattice")
        if len(self.modalities) > 1:
            self.modality_weights = nn.Parameter(torch.full((len(self.modalities),), 0.5))
        self.propagation = Propagation()
        self._item_graphs: ItemGraphs | None = None
        self.bind(data)

    def bind(self, data: InteractionData) -> None:
        """Rebuild the interaction graph and the raw item graphs; blank the features of withdrawn items."""
        shape = (self.num_users, self.num_items)
        if self.options.adjacency == "averaging":
            self._adjacency = averaging_adjacency(data.train, *shape, loops=True)
        else:
            self._adjacency = normalised_adjacency(data.train, *shape)
        self._item_graphs = item_graphs(
            data, self.modalities, self.options.neighbours, known=self._item_graphs
        )
        self.feature_tables.bind(data)
        self.start_epoch()

    def start_epoch(self) -> None:
        """Forget the item graph; the next use builds it from the current weights."""
        self._held: SparseOperator | None = None

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """Behaviour view of users; of items with their normalised item view added."""
        ego = torch.cat([self.user_embedding, self.item_embedding])
        final = mean_over_layers(self.propagation, self._adjacency, ego, self.options.layers)
        users, behaviour = self.split(final)
        return users, behaviour + F.normalize(self._item_view(), dim=-1)

    def loss(self, batch: Batch) -> LossTerms:
        """BPR and L2 on the final embeddings of the batch."""
        users, positives, negatives = triple_rows(*self.embeddings(), batch)
        return LossTerms(
            ranking=triple_bpr(users, positives, negatives),
            regulariser=self.options.l2 * l2(users, positives, negatives),
        )

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        """Branches ``id``, each modality, and ``shared`` (the modality weights) with several."""
        branches = super().modules_by_branch()
        if len(self.modalities) > 1:
            branches["shared"] = {"modality_weights": [self.modality_weights]}
        return branches

    def fusion_parameters(self) -> list[nn.Parameter]:
        """Weight matrices (no biases) of the projections, and the modality weights."""
        weights = super().fusion_parameters()
        return [*weights, self.modality_weights] if len(self.modalities) > 1 else weights

    def _item_view(self) -> Tensor:
        """[items, d]: on the epoch's item graph in training, on that of the current weights else.

        A graph that is new trains the weights that made it, where gradients are wanted.
        """
        view: Tensor = self.item_embedding
        graph = None
        held = self._held if self.training else None
        if held is None:
            graph = self._mixed_graph()
            held = graph.frozen(self.num_items)
            self._held = held if self.training else self._held
        for _ in range(self.options.item_layers):
            if graph is not None and torch.is_grad_enabled():
                view = graph.times(view)
            else:
                view = self.propagation(view, held)
        return view

    def _mixed_graph(self) -> WeightedEdges:
        assert self._item_graphs is not None
        shares = dict(zip(self.modalities, self._shares(), strict=True))
        learned = joined(
            [nearest(self.content(m), self.options.neighbours).scaled(share) for m, share in shares.items()]
        )
        raw = [of_operator(self._item_graphs.operators[m]).scaled(share) for m, share in shares.items()]
        kept = self.options.raw_share
        return joined([learned.normalised(self.num_items).scaled(1 - kept), joined(raw).scaled(kept)])

    def _shares(self) -> tuple[Tensor, ...]:
        """Share of each modality, a scalar each."""
        if len(self.modalities) == 1:
            return (self.item_embedding.new_ones(()),)
        return self.modality_weights.softmax(dim=0).unbind()
