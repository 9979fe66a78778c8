"""The influence encoder against dense matrices, and what an empty request does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from unlearning.influence_encoder import InfluenceEncoder, Readout, request_graph

USERS, ITEMS, WIDTH, LAYERS = 6, 5, 3, 3
NODES = USERS + ITEMS
PAIRS = torch.tensor([[0, 0, 1, 4], [1, 2, 2, 4]])


def encoder(readout: Readout = "sum", withdrawal: float = 0.1) -> InfluenceEncoder:
    """An encoder somewhere in training: nothing is zero."""
    generator = torch.Generator().manual_seed(0)
    made = InfluenceEncoder(NODES, WIDTH, LAYERS, readout, withdrawal, 0.5, generator)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return made


def source() -> Tensor:
    return torch.randn(NODES, WIDTH, generator=torch.Generator().manual_seed(1))


def dense(pairs: Tensor) -> Tensor:
    """D^-1/2 A D^-1/2 of the pairs alone, zero rows outside."""
    adjacency = torch.zeros(NODES, NODES)
    for user, item in pairs.t().tolist():
        adjacency[user, USERS + item] = adjacency[USERS + item, user] = 1.0
    degree = adjacency.sum(dim=1)
    scale = torch.where(degree > 0, degree.clamp(min=1).rsqrt(), degree)
    return scale[:, None] * adjacency * scale[None, :]


@pytest.mark.parametrize("readout", ["sum", "last"])
def test_the_change_equals_the_equations(readout: Readout) -> None:
    one, a, e = encoder(readout), dense(PAIRS), source()
    powers = [torch.linalg.matrix_power(a, layer) @ one.influence for layer in range(LAYERS + 1)]
    read = torch.stack(powers).sum(dim=0) if readout == "sum" else powers[LAYERS]
    x = read - 0.1 * torch.linalg.matrix_power(a, LAYERS) @ (e * one.rates)
    for weight, bias in zip(one.perceptron.weights, one.perceptron.biases, strict=True):
        inner = x @ weight + bias
        x = torch.where(inner > 0, inner, 0.99 * inner) + x
    found = one(request_graph(PAIRS, USERS, ITEMS).adjacency, e)
    assert torch.allclose(found, x, atol=1e-5)


def test_it_starts_with_no_influence_small_rates_and_zero_biases() -> None:
    one = InfluenceEncoder(NODES, WIDTH, LAYERS, "sum", 0.1, 0.002, torch.Generator().manual_seed(0))
    assert not one.influence.any()
    assert one.rates.eq(0.002).all()
    assert not any(bias.any() for bias in one.perceptron.biases)
    bound = (6 / (2 * WIDTH)) ** 0.5
    assert all(0 < weight.abs().max() <= bound for weight in one.perceptron.weights)


def test_an_empty_request_changes_nothing_with_the_last_layer_and_zero_biases() -> None:
    nothing = request_graph(PAIRS[:, :0], USERS, ITEMS).adjacency
    last, every = encoder("last"), encoder("sum")
    for one in (last, every):
        for bias in one.perceptron.biases:
            torch.nn.init.zeros_(bias)
    assert torch.equal(last(nothing, source()), torch.zeros(NODES, WIDTH))
    assert every(nothing, source()).abs().amax(dim=1).gt(0).all(), "H0 itself enters: every node moves"


def test_with_the_last_layer_only_nodes_of_the_request_move() -> None:
    one = encoder("last")
    for bias in one.perceptron.biases:
        torch.nn.init.zeros_(bias)
    moved = one(request_graph(PAIRS, USERS, ITEMS).adjacency, source()).abs().amax(dim=1) > 0
    named = torch.zeros(NODES, dtype=torch.bool)
    named[PAIRS[0]] = named[PAIRS[1] + USERS] = True
    assert torch.equal(moved, named)


def test_thinning_loses_directed_edges_and_leaves_the_rest_as_they_are() -> None:
    users = torch.arange(40).repeat_interleave(10)
    items = torch.arange(10).repeat(40)
    graph = request_graph(torch.stack([users, items]), 40, 10)
    thin = graph.thinned(0.25, torch.Generator().manual_seed(0))
    whole = graph.adjacency
    kept = thin.weights != 0
    assert torch.equal(thin.weights[kept], whole.weights[kept])
    assert 0.65 < kept.float().mean() < 0.85
    x = torch.eye(50)
    assert thin.matrix is not None
    assert thin.transposed is not None
    assert torch.equal(thin.matrix @ x, (thin.transposed @ x).t()), "the backward pass sees the same edges"
    assert torch.equal(graph.thinned(0.0, torch.Generator()).weights, whole.weights)
