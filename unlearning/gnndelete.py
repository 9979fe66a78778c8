"""GNNDelete: a small operator after each propagation layer takes the removed edges out of a frozen model.

Cheng, Dasoulas, He, Agarwal, Zitnik, "GNNDelete: A General Strategy for Unlearning in Graph Neural Networks",
ICLR 2023. S_l are the nodes within min(l, 2) steps of an end of a forgotten pair, z^l the output of layer l:

    z^l[S_l] <- z^l[S_l] W^l,  then on to layer l + 1, over the graph without F

With z~^l the trained model's layers on that graph and N as many random pairs without an edge, drawn once:

    deleted edge consistency    DEC_l = MSE( [z^l_u ; z^l_i] over F,  [z~^l_a ; z~^l_b] over N )
    neighbourhood influence     NI_l  = MSE( z^l, z~^l ) over S_l without the ends of F
    W^l minimises alpha DEC_l + (1 - alpha) NI_l by Adam, each layer by its own loss alone

``form=pair`` holds sigmoids of inner products against each other in place of representations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from datasets.errors import InputError
from datasets.interactions import InteractionData
from models.base import Recommender
from models.layers import Layered, edited, recorded_layers
from models.losses import pair_scores
from models.stable import sigmoid
from unlearning.base import PreparedState, Problem, Recorder, UnlearningMethod, UnlearnResult
from unlearning.deletion_operators import OperatedRecommender, pack_operators, unpack_operators
from unlearning.options import MethodOptions
from unlearning.second_order.reach import within_hops

PORTED = "lightgcn, mgcn, freedom, mig_gt"
MOST_HOPS = 2
REPORT_EVERY = 100
"""Epochs between two points of the trajectory; the release validates as often."""


@dataclass(frozen=True)
class GNNDeleteOptions(MethodOptions):
    """Published: the paper's and the released code's."""

    form: Literal["embedding", "pair"] = "embedding"
    """What the two losses compare: representations (the release's default for knowledge graphs), or
    sigmoids of inner products, of pairs that are sampled because S_l has too many."""

    layerwise: bool = True
    """Whether each W^l is trained by its own loss alone (released default) or by the sum of all."""

    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Weight of deleted edge consistency. Published: .5."""

    epochs: Annotated[int, Field(ge=0)] = 500
    """Steps, each on all of F. Published: at most 3,000."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Of Adam. Published: .001."""

    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    """Of Adam. Published: 5e-4."""

    start: Literal["identity", "constant"] = "identity"
    """W^l at the start: the identity, which leaves the model as it is (ours), or 1/1000 in every entry, which
    nearly erases S_l (released)."""

    ni_rows: Annotated[int, Field(ge=1)] = 8192
    """Nodes (``pair``: pairs of nodes) of S_l in a step's NI, drawn anew. Published: all. Ours."""


class Region(NamedTuple):
    """Of a layer: the nodes S_l, those of them that are no end of F, and z~^l [nodes, d]."""

    nodes: Tensor
    beside: Tensor
    original: Tensor


class GNNDelete(UnlearningMethod):
    """Deletion operators on a frozen backbone."""

    Options = GNNDeleteOptions
    options: GNNDeleteOptions

    def check(self, model: Recommender) -> None:
        """Raise ``InputError`` for a backbone without layers that an operator could follow."""
        if not isinstance(model, Layered) or not model.id_layers:
            raise InputError(
                "method.name=gnndelete puts operators between propagation layers, which "
                f"{type(model).__name__} does not show or does not have: choose one of {PORTED}, with layers."
            )

    def unlearn(self, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        """Train operators on a frozen ``original``; ``notes`` count them and their bytes."""
        options, forget = self.options, problem.request.forget
        if not forget.shape[1]:
            return UnlearnResult(original, notes={"operators": 0})
        assert isinstance(original, Layered)
        original.eval()
        regions = _regions(original, problem)
        width = regions[0].original.shape[1]
        nodes = [region.nodes for region in regions]
        model = OperatedRecommender(original, problem.retain, nodes, width, options.start)
        apart = _unlinked(problem)
        optimiser = torch.optim.Adam(
            model.operators, lr=options.learning_rate, weight_decay=options.weight_decay
        )
        for epoch in range(1, options.epochs + 1):
            model.eval()
            losses = self._losses(model, regions, apart, problem)
            gradients = torch.autograd.grad(torch.stack(losses).sum(), list(model.operators))
            for operator, gradient in zip(model.operators, gradients, strict=True):
                operator.grad = gradient
            optimiser.step()
            recorder.examples(forget.shape[1])
            if epoch % REPORT_EVERY == 0 or epoch == options.epochs:
                values = torch.stack(losses).tolist()
                recorder.epoch(model, {f"loss/layer_{i}": value for i, value in enumerate(values, 1)})
        numbers = sum(operator.numel() * operator.element_size() for operator in model.operators)
        served = sum(len(rows) * rows.element_size() for rows in nodes)
        return UnlearnResult(model, notes={"operators": len(nodes), "state_bytes": numbers + served})

    def packed(self, model: Recommender, state: Any) -> PreparedState:
        """What outlives an interruption between two requests: the backbone and all operators on it."""
        return pack_operators(model)

    def unpacked(
        self, packed: PreparedState, model: Recommender, data: InteractionData
    ) -> tuple[Recommender, Any]:
        """The model as it was, on the untrained backbone ``model``; there is no other state."""
        return unpack_operators(packed, model, data), None

    def _losses(
        self, model: OperatedRecommender, regions: list[Region], apart: Tensor, problem: Problem
    ) -> list[Tensor]:
        """alpha DEC_l + (1 - alpha) NI_l of every layer."""
        layers: list[Tensor] = []

        def operated(layer: int, z: Tensor) -> Tensor:
            # Without its history a layer's output depends on its own operator alone.
            out = model.operated(layer, z.detach() if self.options.layerwise else z)
            layers.append(out)
            return out

        assert isinstance(model.backbone, Layered)
        with edited(model.backbone, operated):
            model.backbone.id_view()
        forgotten = _as_nodes(problem.request.forget, model.num_users)
        found = []
        for z, region in zip(layers, regions, strict=True):
            loss = self.options.alpha * self._consistency(z, forgotten, region.original, apart)
            if len(region.beside):
                influence = self._influence(z, region, problem.generator)
                loss = loss + (1 - self.options.alpha) * influence
            found.append(loss)
        return found

    def _consistency(self, z: Tensor, forgotten: Tensor, original: Tensor, apart: Tensor) -> Tensor:
        """DEC: forgotten pairs [2, F] are to look like pairs without an edge [2, F], nodes both."""
        if self.options.form == "pair":
            return F.mse_loss(_linked(z, forgotten), _linked(z, apart))
        return F.mse_loss(F.embedding(forgotten, z), F.embedding(apart, original))

    def _influence(self, z: Tensor, region: Region, generator: torch.Generator) -> Tensor:
        """NI: nodes near F, or pairs of them, are to stay as they were."""
        nodes, count = region.beside, self.options.ni_rows
        if self.options.form == "pair":
            pairs = nodes[torch.randint(len(nodes), (2, count), generator=generator, device=nodes.device)]
            return F.mse_loss(_linked(z, pairs), _linked(region.original, pairs))
        if len(nodes) > count:
            nodes = nodes[torch.randperm(len(nodes), generator=generator, device=nodes.device)[:count]]
        return F.mse_loss(F.embedding(nodes, z), F.embedding(nodes, region.original))


def _linked(z: Tensor, pairs: Tensor) -> Tensor:
    """sigmoid(<z_a, z_b>) of pairs of nodes [2, P]: [P]."""
    return sigmoid(pair_scores(F.embedding(pairs[0], z), F.embedding(pairs[1], z)))


def _as_nodes(pairs: Tensor, num_users: int) -> Tensor:
    """Pairs of a user and an item as nodes of the graph: [2, P]."""
    return torch.stack([pairs[0], pairs[1] + num_users])


def _unlinked(problem: Problem) -> Tensor:
    """N: as many pairs of a training user and an item without an edge as are forgotten, as nodes [2, F]."""
    full, sampler = problem.full, problem.forget_sampler()
    active = full.train[0].unique()
    count = problem.request.forget.shape[1]
    picks = torch.randint(len(active), (count,), generator=problem.generator, device=active.device)
    users = active[picks]
    return _as_nodes(torch.stack([users, sampler.negatives(users)]), full.num_users)


def _regions(model: Layered, problem: Problem) -> list[Region]:
    """S_l and z~^l of every layer; steps are taken over the edges that were there before the request."""
    ends = torch.cat(within_hops(problem.full, problem.request.forget, 0))
    found = []
    for layer, original in enumerate(recorded_layers(model), 1):
        near = torch.cat(within_hops(problem.full, problem.request.forget, min(layer, MOST_HOPS)))
        nodes, beside = (mask.nonzero().squeeze(1) for mask in (near, near & ~ends))
        found.append(Region(nodes, beside, original))
    return found
