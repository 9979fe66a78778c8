"""Gradients and products against explicit matrices on twenty parameters."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.unlearning.cells import Tape, private_copy, problem, trained
from tests.unlearning.linear_backbone import (
    RIDGE,
    WIDTH,
    LinearBackbone,
    features,
    known_triples,
    linear_problem,
)
from unlearning.second_order.coordinates import Coordinates, Entry, coordinates, dot
from unlearning.second_order.curvature import GaussNewton, Hessian, gradient
from unlearning.second_order.objective import RANKING, MarginLoss, margins
from unlearning.second_order.solvers import largest_eigenvalue

IDENTITY = torch.eye(WIDTH)


def explicit(model: LinearBackbone, x: Tensor, loss: MarginLoss, factor: float) -> Tensor:
    return factor * x.t() @ (loss.bend(x @ model.weight.detach())[:, None] * x)


@pytest.mark.parametrize("loss", [RANKING, RIDGE])
def test_products_of_a_linear_model_are_those_of_the_matrix(loss: MarginLoss) -> None:
    task, tape = linear_problem(), Tape()
    model, triples = LinearBackbone(task.full), known_triples(task).retain
    model.weight.data = torch.linspace(-0.3, 0.3, WIDTH)
    place = coordinates(model, "all", None)
    matrix = explicit(model, features(model, triples), loss, 0.01)
    newton = GaussNewton(model, loss, triples, 0.01, place, tape)
    size = len(triples.users)
    assert (tape.count, tape.steps) == (size, 1)
    assert torch.allclose(torch.stack([newton(row) for row in IDENTITY]), matrix, atol=1e-5)
    assert (tape.count, tape.steps) == (size * (1 + 2 * WIDTH), 1 + 2 * WIDTH)
    hessian = Hessian(model, loss.total, triples, 0.01, place, Tape())
    assert torch.allclose(torch.stack([hessian(row) for row in IDENTITY]), matrix, atol=1e-5)


def small_place(model: nn.Module) -> Coordinates:
    """Twenty numbers: five rows of LightGCN's user table cut to width 4."""
    return Coordinates([Entry("user", model.user_embedding, torch.tensor([0, 3, 4, 8, 9]))])


def test_products_through_a_graph_are_those_of_explicit_derivatives() -> None:
    """On rows of a table: the Gauss-Newton matrix from single gradients, the Hessian from autograd's."""
    from models.lightgcn import LightGCN, LightGCNOptions

    task = problem("interaction")
    torch.manual_seed(0)
    model = LightGCN(task.retain, LightGCNOptions(embedding_dim=4))
    model.user_embedding.data *= 3
    triples, place = known_triples(task).retain, small_place(model)
    assert place.size == 20
    x = margins(model, triples)
    jacobian = torch.stack(
        [place.gather(torch.autograd.grad(one, place.parameters, retain_graph=True)) for one in x]
    )
    expected = jacobian.t() @ (RANKING.bend(x.detach())[:, None] * jacobian) / len(x)
    newton = GaussNewton(model, RANKING, triples, 1 / len(x), place, Tape())
    assert torch.allclose(torch.stack([newton(row) for row in IDENTITY]), expected, atol=1e-6)
    summed = gradient(model, RANKING.total, triples, place, Tape())
    slopes = -torch.sigmoid(-x.detach())
    assert torch.allclose(summed, jacobian.t() @ slopes, atol=1e-5)

    def loss_at(rows: Tensor) -> Tensor:
        table = model.user_embedding.detach().index_copy(0, place.entries[0].rows, rows.view(5, 4))
        return torch.func.functional_call(Total(model), {"model.user_embedding": table}, (triples,))

    hessian = Hessian(model, RANKING.total, triples, 1.0, place, Tape())
    second = torch.autograd.functional.hessian(loss_at, place.values())
    assert torch.allclose(torch.stack([hessian(row) for row in IDENTITY]), second, atol=1e-4)


class Total(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, triples: object) -> Tensor:
        return RANKING.total(self.model, triples)  # type: ignore[arg-type]


def test_the_hessian_of_a_product_of_embeddings_is_indefinite_and_gauss_newton_is_not() -> None:
    task = problem("interaction")
    model = private_copy(trained("bpr"), task)
    triples, place = known_triples(task).retain, coordinates(model, "id", None)
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(30, place.size, generator=generator)
    newton = GaussNewton(model, RANKING, triples, 1.0, place, Tape())
    hessian = Hessian(model, RANKING.total, triples, 1.0, place, Tape())
    assert all(dot(v, newton(v)) >= 0 for v in vectors)
    shift, v = 1.1 * largest_eigenvalue(hessian, vectors[0], generator), vectors[0]
    for _ in range(60):  # power iterations towards the lowest eigenvalue
        v = shift * v - hessian(v)
        v = v / v.norm()
    assert dot(v, hessian(v)) < 0
    assert dot(v, newton(v)) >= 0


def test_coordinates_scatter_what_they_gather_and_move_nothing_else() -> None:
    task = problem()
    model = private_copy(trained("lightgcn"), task)
    rows = {"user": torch.tensor([1, 5]), "item": torch.tensor([0, 7, 9])}
    place = coordinates(model, "id", rows)
    assert place.size == 5 * 64
    values = place.values()
    assert torch.equal(place.gather(place.scatter(values)), values)
    before = model.user_embedding.detach().clone()
    place.move(torch.ones(place.size))
    moved = (model.user_embedding.detach() != before).any(dim=1).nonzero().squeeze(1)
    assert moved.tolist() == [1, 5]
    assert place.norms(torch.ones(place.size)) == pytest.approx(
        {"user_embedding": (2 * 64) ** 0.5, "item_embedding": (3 * 64) ** 0.5}
    )


def test_modules_name_what_moves() -> None:
    model = trained("mgcn")
    sizes = {m: coordinates(model, m, None).size for m in ("id", "fusion", "small", "all")}
    assert sizes["id"] < sizes["fusion"] < sizes["small"] < sizes["all"]
    tables = sum(p.numel() for p in model.feature_tables.parameters())
    assert sizes["all"] - sizes["small"] == tables
    assert sizes["all"] == sum(p.numel() for p in model.parameters())
