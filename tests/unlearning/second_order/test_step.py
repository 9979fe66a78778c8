"""The influence step: its sign, what it is at the edges, noise, trust region, costs and refusals."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from datasets.errors import InputError
from datasets.requests import DeletionRequest
from tests.unlearning.cells import (
    REGIMES,
    Tape,
    forget_recall,
    private_copy,
    problem,
    run,
    same,
    trained,
    weights,
)
from tests.unlearning.linear_backbone import (
    RIDGE,
    LinearBackbone,
    features,
    known_triples,
    linear_problem,
    optimum,
)
from unlearning.gif import GIF, GIFOptions
from unlearning.scif import SCIF, SCIFOptions
from unlearning.second_order.method import certificate, noise_deviation
from unlearning.second_order.objective import RANKING, MarginLoss

METHODS = ("scif", "ifru", "gif", "ceu", "idea")
LAMBDA = 0.05
EXACT: dict[str, Any] = {
    "modules": "all",
    "damping": LAMBDA,
    "damping_unit": "absolute",
    "curvature_pairs": None,
    "affected_cap": None,
    "max_step": None,
    "iterations": 2000,
    "solver": "cg",
}
"""The system of a convex problem as it stands: lambda is the weight of its regulariser."""


class PlainInfluence(SCIF):
    margin_loss: MarginLoss = RANKING

    def rows(self, scene: object) -> None:  # type: ignore[override]
        return None


def distances(loss: MarginLoss, step: float, **options: Any) -> tuple[float, float]:
    """How far from the retrained optimum a linear model is before and after."""
    task = linear_problem()
    model, triples = LinearBackbone(task.full), known_triples(task)
    rows = [features(model, part) for part in triples]
    before = optimum(torch.cat(rows), triples.size, LAMBDA, loss)
    target = optimum(rows[1], triples.size, LAMBDA, loss)
    model.weight.data = before.clone()
    method = PlainInfluence(SCIFOptions(**{**EXACT, "step": abs(step), **options}))
    method.margin_loss = loss  # type: ignore[misc]
    method.unlearn(model, task, Tape())
    moved = model.weight.detach() - before
    return float((before - target).norm()), float((before + math.copysign(1, step) * moved - target).norm())


@pytest.mark.parametrize("solver", ["cg", "neumann"])
@pytest.mark.parametrize("loss", [RANKING, RIDGE])
@pytest.mark.parametrize("curvature", ["gauss_newton", "hessian"])
def test_the_step_leads_to_the_retrained_optimum_and_its_negative_away(
    loss: MarginLoss, solver: str, curvature: str
) -> None:
    before, after = distances(loss, 1.0, solver=solver, curvature=curvature)
    assert after < before / 5
    _, away = distances(loss, -1.0, solver=solver, curvature=curvature)
    assert away > 1.5 * before


def test_ridge_is_solved_exactly() -> None:
    before, after = distances(RIDGE, 1.0)
    assert after < 1e-3 * before


def test_leaving_the_curvature_out_lands_far_away() -> None:
    """A hundred and one gradients with next to no curvature, as stored code has it: a scale of 1000 on a
    mean loss and damping .01 over 100 iterations."""
    before, after = distances(RANKING, 1.0)
    task = linear_problem()
    model, triples = LinearBackbone(task.full), known_triples(task)
    rows = [features(model, part) for part in triples]
    model.weight.data = optimum(torch.cat(rows), triples.size, LAMBDA, RANKING)
    target = optimum(rows[1], triples.size, LAMBDA, RANKING)
    g = rows[0].t() @ -torch.sigmoid(-rows[0] @ model.weight.detach()) / triples.size
    flat = float((model.weight.detach() + 101 * g - target).norm())
    assert after < before / 5
    assert flat > 5 * before


@pytest.mark.parametrize("loss", [RANKING, RIDGE])
def test_the_spillover_leads_to_the_optimum_on_the_changed_features(loss: MarginLoss) -> None:
    """Removing pairs rescales the users' features; A = R, and the gradient on D is included."""
    task = linear_problem()
    model, triples = LinearBackbone(task.full, spread=0.2), known_triples(task)
    rows = torch.cat([features(model, part) for part in triples])
    before = optimum(rows, triples.size, LAMBDA, loss)
    model.bind(task.retain)
    target = optimum(features(model, triples.retain), triples.size, LAMBDA, loss)

    class Everyone(GIF):
        margin_loss = loss

    def stepped(**options: Any) -> float:
        own = linear_problem()
        moving = LinearBackbone(own.full, spread=0.2)
        moving.bind(own.retain)
        moving.weight.data = before.clone()
        Everyone(GIFOptions(**{**EXACT, "hops": 9, **options})).unlearn(moving, own, Tape())
        return float((moving.weight.detach() - target).norm())

    start = float((before - target).norm())
    assert stepped() < start / 5
    blind = stepped(graph_at_unlearning="full", hops=0)
    assert stepped() < blind / 2


def test_with_stationarity_included_the_step_is_newtons_on_the_retain_loss() -> None:
    """From anywhere, optimum or not: with A = R all else cancels."""
    task = linear_problem()
    model = LinearBackbone(task.full, spread=0.2)
    triples = known_triples(task)
    model.bind(task.retain)
    model.weight.data = torch.linspace(-0.2, 0.3, len(model.weight))
    x, w = features(model, triples.retain), model.weight.detach().clone()
    slope = -torch.sigmoid(-x @ w)
    gradient = x.t() @ slope / triples.size
    bend = RANKING.bend(x @ w)[:, None]
    hessian = x.t() @ (bend * x) / triples.size + LAMBDA * torch.eye(len(w))
    options = GIFOptions(**{**EXACT, "hops": 9, "stationarity": "include"})
    GIF(options).unlearn(model, task, Tape())
    assert torch.allclose(model.weight.detach(), w - torch.linalg.solve(hessian, gradient), atol=1e-3)


def empty_request() -> Any:
    task = problem("interaction")
    nothing = torch.empty(0, dtype=torch.long)
    asked = DeletionRequest("interaction", nothing, nothing, task.full.train[:, :0])
    return dataclasses.replace(task, request=asked, retain=asked.apply(task.full))


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_request_changes_nothing(method: str) -> None:
    result, tape, _ = run(method, task=empty_request())
    assert same(weights(result.model), weights(trained("lightgcn")))
    assert tape.count == 0
    assert result.notes == {"certificate": "none"}


@pytest.mark.parametrize("method", METHODS)
def test_no_step_and_no_noise_is_graph_only(method: str) -> None:
    result, _, _ = run(method, step=0.0)
    unlinked, _, _ = run("graph_only")
    assert same(weights(result.model), weights(unlinked.model))


@pytest.mark.parametrize("method", METHODS)
def test_noise_moves_what_moves_by_its_deviation(method: str) -> None:
    result, _, _ = run(method, step=0.0, noise=0.25)
    unlinked = weights(run("graph_only")[0].model)
    gaps = torch.cat([(weights(result.model)[n] - old).reshape(-1) for n, old in unlinked.items()])
    drawn = gaps[gaps != 0]
    assert float(drawn.std()) == pytest.approx(0.25, rel=0.1)


def test_the_gaussian_mechanism_multiplies() -> None:
    options = GIFOptions(epsilon=0.5, delta=0.01, bound=0.1)
    assert noise_deviation(options) == pytest.approx(0.1 * math.sqrt(2 * math.log(125)) / 0.5)
    # More privacy (smaller epsilon or delta) is more noise, never less.
    assert noise_deviation(GIFOptions(epsilon=0.1, delta=0.01, bound=0.1)) > noise_deviation(options)
    assert noise_deviation(GIFOptions(epsilon=0.5, delta=1e-4, bound=0.1)) > noise_deviation(options)
    assert noise_deviation(GIFOptions()) == 0
    assert certificate(GIFOptions()) == "none"
    assert "assumed" in certificate(options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("regime", REGIMES)
def test_the_trust_region_bounds_the_step(method: str, regime: str) -> None:
    result, tape, task = run(method, task=problem(regime), max_step=0.05, damping=1e-4)
    before = weights(private_copy(trained("lightgcn"), task))
    after = weights(result.model)
    moved = math.sqrt(sum(float((after[n] - before[n]).square().sum()) for n in before))
    assert moved == pytest.approx(tape.curves[0]["step_norm"], rel=1e-3)
    whole = math.sqrt(sum(float(before[n].square().sum()) for n in before))
    assert moved <= 0.0501 * whole
    assert result.notes["trust_region"] <= 1


def test_only_the_rows_asked_for_move() -> None:
    for sides in ("user", "both"):
        result, _, task = run("scif", task=problem("interaction"), sides=sides)
        before = weights(private_copy(trained("lightgcn"), task))
        for row, name in enumerate(("user_embedding", "item_embedding")):
            asked = task.request.forget[row].unique() if sides == "both" or row == 0 else torch.tensor([])
            gap = (weights(result.model)[name] - before[name]).any(dim=1).nonzero().squeeze(1)
            assert torch.isin(gap, asked).all()


def test_on_matrix_factorisation_the_affected_change_nothing() -> None:
    """Without a graph their two gradients are the same, so GIF is the plain step over all rows."""
    first, _, _ = run("gif", "bpr", task=problem("user"))
    second, _, _ = run("gif", "bpr", task=problem("user"), graph_at_unlearning="full")
    gaps = [
        float((a - b).detach().abs().max())
        for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True)
    ]
    assert max(gaps) < 1e-5
    assert run("ifru", "bpr", task=problem("user"))[0].notes["affected"] == 0


@pytest.mark.parametrize("regime", ["user", "interaction"])
def test_idea_without_noise_is_gif_where_no_content_changes(regime: str) -> None:
    gif, _, _ = run("gif", task=problem(regime), iterations=7)
    idea, _, _ = run("idea", task=problem(regime), iterations=7)
    assert same(weights(gif.model), weights(idea.model))


def test_gradients_up_lower_the_forgotten_pairs() -> None:
    task = problem("interaction")
    options: dict[str, Any] = {"damping": 1.0, "max_step": 0.5}
    before = forget_recall(private_copy(trained("lightgcn"), task), task)
    for method in ("scif", "ifru", "gif", "ceu"):
        own = {"solver": "cg"} if method == "gif" else {}
        result, _, _ = run(method, task=problem("interaction"), **options, **own)
        assert forget_recall(result.model, task) < before, method


def test_repair_counts_as_many_examples_as_it_says() -> None:
    _, without, _ = run("gif", task=problem("user"))
    _, repaired, _ = run("gif", task=problem("user"), repair_examples=50)
    assert repaired.count - without.count == 50
    _, ruled, task = run("gif", task=problem("user"), repair_examples="erase")
    assert ruled.count - without.count == task.full.train.shape[1] // 10  # below 8 |F|


def refused(match: str, **options: Any) -> None:
    with pytest.raises(InputError, match=match):
        GIF(GIFOptions(**options)).check(trained("lightgcn"))


def test_refuses_options_that_contradict_each_other() -> None:
    refused(r"set method\.curvature=hessian", loss="training")
    refused("set both, or both to null", epsilon=1.0)
    refused(r"set method\.noise=0", epsilon=1.0, bound=1.0, noise=0.1)
    linear = LinearBackbone(problem().full)
    with pytest.raises(InputError, match=r"set method\.modules=small"):
        SCIF(SCIFOptions()).check(linear)


def test_the_training_loss_can_be_differentiated() -> None:
    plain, _, _ = run("gif", "mgcn", curvature="hessian")
    whole, _, _ = run("gif", "mgcn", curvature="hessian", loss="training")
    assert not same(weights(plain.model), weights(whole.model))
    assert all(torch.isfinite(value).all() for value in weights(whole.model).values())


def test_full_curvature_is_that_of_all_data() -> None:
    task = linear_problem()
    model, triples = LinearBackbone(task.full), known_triples(task)
    x = torch.cat([features(model, part) for part in triples])
    g: Tensor = features(model, triples.forget).t() @ torch.full((len(triples.forget.users),), -0.5)
    expected = torch.linalg.solve(0.25 * x.t() @ x / triples.size + LAMBDA * torch.eye(20), g / triples.size)
    PlainInfluence(SCIFOptions(**{**EXACT, "curvature_data": "full"})).unlearn(model, task, Tape())
    assert torch.allclose(model.weight.detach(), expected, atol=1e-4)
