"""A frozen backbone with one linear operator per propagation layer, which acts on chosen nodes only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datasets.interactions import InteractionData
from datasets.sampling import Batch
from models.base import LossTerms, Recommender, Side
from models.layers import Layered, LayerEdit, edited
from unlearning.base import PreparedState

Start = Literal["identity", "constant"]
CONSTANT = 1e-3
"""Every entry of an operator that starts constant (released code)."""


class OperatedRecommender(Recommender):
    """A backbone whose layer outputs z^l become z^l[S_l] W^l on the nodes S_l, and stay elsewhere.

    It is layered itself: operators of a later request stand on top of these, which is how they stack.
    Everything but the operators (tables, branches, graphs) is the backbone's.

    Args:
        backbone: a recommender that is ``Layered``.
        nodes: S_l by layer, LongTensors of ids over [users; items].
        start: W^l at the start.
    """

    def __init__(
        self, backbone: Recommender, data: InteractionData, nodes: Sequence[Tensor], width: int, start: Start
    ) -> None:
        super().__init__(data, backbone.options)
        assert isinstance(backbone, Layered)
        self.backbone = backbone
        self.layer_edit: LayerEdit | None = None
        self.nodes = list(nodes)
        device = data.train.device
        first = torch.eye(width) if start == "identity" else torch.full((width, width), CONSTANT)
        self.operators = nn.ParameterList([nn.Parameter(first.clone().to(device)) for _ in nodes])

    @property
    def id_layers(self) -> int:
        """Layers of the backbone."""
        return self._layered.id_layers

    def operated(self, layer: int, z: Tensor) -> Tensor:
        """z^l [nodes, d] with its rows S_l multiplied by W^l."""
        rows = self.nodes[layer - 1]
        return z.index_copy(0, rows, F.embedding(rows, z) @ self.operators[layer - 1])

    def id_view(self) -> Tensor:
        """The backbone's, under the operators."""
        with edited(self._layered, self._edit):
            return self._layered.id_view()

    def bind(self, data: InteractionData) -> None:
        """Bind the backbone."""
        self.backbone.bind(data)

    def start_epoch(self) -> None:
        """As the backbone."""
        self.backbone.start_epoch()

    def embeddings(self) -> tuple[Tensor, Tensor]:
        """The backbone's, under the operators."""
        with edited(self._layered, self._edit):
            return self.backbone.embeddings()

    def loss(self, batch: Batch) -> LossTerms:
        """The backbone's, under the operators."""
        with edited(self._layered, self._edit):
            return self.backbone.loss(batch)

    def id_tables(self) -> dict[Side, nn.Parameter]:
        """The backbone's."""
        return self.backbone.id_tables()

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        """The backbone's, and the operators in the ID branch."""
        branches = dict(self.backbone.modules_by_branch())
        depth = sum(name.startswith("operators") for name in branches["id"])
        name = f"operators.{depth}" if depth else "operators"
        return branches | {"id": {**branches["id"], name: list(self.operators)}}

    def fusion_parameters(self) -> list[nn.Parameter]:
        """The backbone's."""
        return self.backbone.fusion_parameters()

    def reinitialise_rows(self, side: Side, ids: Tensor, generator: torch.Generator) -> None:
        """As the backbone."""
        self.backbone.reinitialise_rows(side, ids, generator)

    @property
    def _layered(self) -> Layered:
        assert isinstance(self.backbone, Layered)
        return self.backbone

    def _edit(self, layer: int, z: Tensor) -> Tensor:
        z = self.operated(layer, z)
        return z if self.layer_edit is None else self.layer_edit(layer, z)


def pack_operators(model: Recommender) -> PreparedState:
    """Weights of a backbone and of the operators that were stacked on it, with the nodes that they act on."""
    tensors, depth = {}, 0
    while isinstance(model, OperatedRecommender):
        for layer, (operator, nodes) in enumerate(zip(model.operators, model.nodes, strict=True)):
            tensors[f"operators.{depth}.{layer}"] = operator.detach()
            tensors[f"nodes.{depth}.{layer}"] = nodes
        model, depth = model.backbone, depth + 1
    tensors |= {f"backbone.{name}": value for name, value in model.state_dict().items()}
    return PreparedState(tensors, {"depth": depth})


def unpack_operators(packed: PreparedState, backbone: Recommender, data: InteractionData) -> Recommender:
    """What ``pack_operators`` packed, on an untrained ``backbone`` that is bound to ``data``."""
    tensors = packed.tensors
    prefix = "backbone."
    own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    backbone.load_state_dict(own)
    model = backbone
    for depth in reversed(range(packed.figures["depth"])):  # the first request's stand lowest
        layers = sum(name.startswith(f"nodes.{depth}.") for name in tensors)
        operators = [tensors[f"operators.{depth}.{layer}"] for layer in range(layers)]
        nodes = [tensors[f"nodes.{depth}.{layer}"] for layer in range(layers)]
        model = OperatedRecommender(model, data, nodes, operators[0].shape[0], "identity")
        with torch.no_grad():
            for parameter, value in zip(model.operators, operators, strict=True):
                parameter.copy_(value)
    return model
