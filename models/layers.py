"""The hook between propagation layers: what a backbone lets others change while ID embeddings propagate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from models.graph import Propagation, SparseOperator, mean_over_layers

LayerEdit = Callable[[int, Tensor], Tensor]
"""Takes l = 1..L and the output z^l [users + items, d] of layer l; gives what is propagated on instead."""


@runtime_checkable
class Layered(Protocol):
    """A backbone that propagates ID embeddings over the interaction graph, layer by layer."""

    layer_edit: LayerEdit | None
    """Applied after each layer, in ``id_view`` and wherever that enters; None changes nothing."""

    @property
    def id_layers(self) -> int:
        """L, the number of layers."""

    def id_view(self) -> Tensor:
        """The propagated ID embeddings, read out over layers: [users + items, d]."""


def mean_over_edited_layers(
    step: Propagation, operator: SparseOperator, x: Tensor, layers: int, edit: LayerEdit | None
) -> Tensor:
    """``mean_over_layers`` of [nodes, d] with ``edit`` after each layer; without one, that function."""
    if edit is None:
        return mean_over_layers(step, operator, x, layers)
    total = x
    for layer in range(1, layers + 1):
        x = edit(layer, step(x, operator))
        total = total + x
    return total / (layers + 1)


@contextmanager
def edited(model: Layered, edit: LayerEdit | None) -> Iterator[None]:
    """Inside, ``edit`` is applied after each layer of ``model``."""
    before = model.layer_edit
    model.layer_edit = edit
    try:
        yield
    finally:
        model.layer_edit = before


@torch.no_grad()
def recorded_layers(model: Layered) -> list[Tensor]:
    """z^1 .. z^L as the model has them, its own edit included: each [users + items, d]."""
    found: list[Tensor] = []
    inner = model.layer_edit

    def record(layer: int, z: Tensor) -> Tensor:
        z = z if inner is None else inner(layer, z)
        found.append(z)
        return z

    with edited(model, record):
        model.id_view()
    return found
