"""The hook between layers, on every backbone that has it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.graph import normalised_adjacency
from models.layers import Layered, edited, recorded_layers
from tests.models.test_every_backbone import build
from tests.tiny import tiny_data

LAYERED = ("lightgcn", "mgcn", "freedom", "mig_gt")


def embeddings(model: Layered) -> Tensor:
    with torch.no_grad():
        return torch.cat(model.embeddings())  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", LAYERED)
def test_an_edit_that_changes_nothing_leaves_the_model(name: str) -> None:
    model = build(name, tiny_data()).eval()
    assert isinstance(model, Layered)
    before = embeddings(model)
    with edited(model, lambda layer, z: z):
        assert torch.allclose(embeddings(model), before, atol=1e-6)
    assert torch.equal(embeddings(model), before)


@pytest.mark.parametrize("name", LAYERED)
def test_an_edit_sees_every_layer_once_and_reaches_the_embeddings(name: str) -> None:
    model = build(name, tiny_data()).eval()
    assert isinstance(model, Layered)
    before, seen = embeddings(model), []

    def zero(layer: int, z: Tensor) -> Tensor:
        seen.append(layer)
        return torch.zeros_like(z)

    with edited(model, zero):
        after = embeddings(model)
    assert seen == list(range(1, model.id_layers + 1))
    assert not torch.allclose(after, before, atol=1e-3)


def test_the_layers_of_lightgcn_are_powers_of_its_adjacency() -> None:
    data = tiny_data()
    model = build("lightgcn", data)
    assert isinstance(model, Layered)
    adjacency = normalised_adjacency(data.train, data.num_users, data.num_items).matrix
    assert adjacency is not None
    ego = torch.cat([model.user_embedding, model.item_embedding]).detach()
    first, second = recorded_layers(model)
    assert torch.allclose(first, adjacency @ ego, atol=1e-6)
    assert torch.allclose(second, adjacency @ (adjacency @ ego), atol=1e-6)
    assert torch.allclose(model.id_view(), (ego + first + second) / 3, atol=1e-6)


def test_what_an_edit_makes_is_propagated_on() -> None:
    model = build("lightgcn", tiny_data())
    assert isinstance(model, Layered)
    plain = recorded_layers(model)
    with edited(model, lambda layer, z: 2 * z if layer == 1 else z):
        doubled = recorded_layers(model)
    for before, after in zip(plain, doubled, strict=True):
        assert torch.allclose(2 * before, after, atol=1e-6)
