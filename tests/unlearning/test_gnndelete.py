"""GNNDelete: its regions, its losses by hand, who trains which operator, identities and stacking."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from models.base import Recommender
from models.layers import Layered, recorded_layers
from models.lightgcn import LightGCN, LightGCNOptions
from tests.unlearning.cells import Tape, private_copy, problem, run, same, trained, weights
from tests.unlearning.forgetting import forget_loss
from tests.unlearning.second_order.test_step import empty_request
from unlearning.base import Problem
from unlearning.deletion_operators import OperatedRecommender
from unlearning.gnndelete import GNNDelete, GNNDeleteOptions, _regions, _unlinked

LAYERED = ("lightgcn", "mgcn", "freedom", "mig_gt")


def embeddings(model: Recommender) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return torch.cat(model.embeddings())


def layered(model: Recommender) -> Layered:
    assert isinstance(model, Layered)
    return model


@pytest.mark.parametrize("backbone", LAYERED)
@pytest.mark.parametrize("regime", ["user", "item", "interaction"])
def test_without_steps_it_serves_what_graph_only_serves(backbone: str, regime: str) -> None:
    result, _, task = run("gnndelete", backbone, problem(regime, backbone=backbone), epochs=0)
    unlinked = private_copy(trained(backbone), task)
    assert torch.allclose(embeddings(result.model), embeddings(unlinked), atol=1e-5)


def test_an_empty_request_leaves_the_model() -> None:
    result, tape, _ = run("gnndelete", task=empty_request())
    assert same(weights(result.model), weights(trained("lightgcn")))
    assert tape.count == 0


@pytest.mark.parametrize("form", ["embedding", "pair"])
def test_only_operators_move_and_they_are_two_small_matrices(form: str) -> None:
    result, tape, task = run("gnndelete", epochs=5, form=form)
    model = result.model
    assert isinstance(model, OperatedRecommender)
    assert same(weights(model.backbone), weights(private_copy(trained("lightgcn"), task)))
    assert [tuple(w.shape) for w in model.operators] == [(64, 64)] * 2
    assert all(not torch.equal(w.detach(), torch.eye(64)) for w in model.operators)
    assert (tape.steps, tape.count) == (5, 5 * task.request.forget.shape[1])
    assert result.notes["operators"] == 2
    assert result.notes["state_bytes"] >= 2 * 64 * 64 * 4


def test_nodes_grow_by_hops_and_others_are_not_operated() -> None:
    task = one_pair()
    regions = _regions(layered(private_copy(trained("lightgcn"), task)), task)
    user, item = task.request.forget[:, 0].tolist()
    pairs = task.full.train
    mine = set((pairs[1][pairs[0] == user] + 40).tolist()) | set(pairs[0][pairs[1] == item].tolist())
    assert set(regions[0].nodes.tolist()) == mine | {user, item + 40}
    assert set(regions[0].beside.tolist()) == mine - {user, item + 40}
    assert set(regions[0].nodes.tolist()) < set(regions[1].nodes.tolist())
    model = OperatedRecommender(trained("lightgcn"), task.retain, [regions[0].nodes], 64, "constant")
    z = torch.randn(64, 64)
    kept = ~torch.isin(torch.arange(64), regions[0].nodes)
    out = model.operated(1, z)
    assert torch.equal(out[kept], z[kept])
    assert torch.allclose(out[regions[0].nodes], z[regions[0].nodes] @ torch.full((64, 64), 1e-3))


def one_pair() -> Problem:
    task = problem("interaction")
    asked = dataclasses.replace(task.request, forget=task.request.forget[:, :1])
    return dataclasses.replace(task, request=asked, retain=asked.apply(task.full))


def losses(**options: Any) -> tuple[list[torch.Tensor], OperatedRecommender, Problem]:
    task = problem("interaction")
    method = GNNDelete(GNNDeleteOptions(**options))
    original = private_copy(trained("lightgcn"), task).eval()
    regions = _regions(layered(original), task)
    model = OperatedRecommender(original, task.retain, [r.nodes for r in regions], 64, "identity")
    torch.manual_seed(0)
    for operator in model.operators:
        operator.data += 0.1 * torch.randn(64, 64)
    apart = _unlinked(dataclasses.replace(task, generator=torch.Generator().manual_seed(3)))
    return method._losses(model, regions, apart, task), model, task


def test_the_losses_are_those_of_the_equations() -> None:
    found, model, task = losses(alpha=0.3)
    regions = _regions(layered(copy.deepcopy(model.backbone)), task)
    original, operated = recorded_layers(layered(model.backbone)), recorded_layers(model)
    apart = _unlinked(dataclasses.replace(task, generator=torch.Generator().manual_seed(3)))
    users, items = task.request.forget
    for loss, z, z0, region in zip(found, operated, original, regions, strict=True):
        pairs = torch.cat([z[users], z[items + 40]], dim=1)
        others = torch.cat([z0[apart[0]], z0[apart[1]]], dim=1)
        ni = F.mse_loss(z[region.beside], z0[region.beside]) if len(region.beside) else torch.tensor(0.0)
        assert loss.item() == pytest.approx(float(0.3 * F.mse_loss(pairs, others) + 0.7 * ni), rel=1e-4)


def test_pairs_without_an_edge_are_none_of_the_data() -> None:
    task = problem()
    apart = _unlinked(task)
    keys = apart[0] * 24 + apart[1] - 40
    assert not torch.isin(keys, task.full.train[0] * 24 + task.full.train[1]).any()
    assert apart.shape == task.request.forget.shape


def test_each_operator_is_trained_by_its_own_layer() -> None:
    for layerwise, reached in ((True, [False, True]), (False, [True, True])):
        found, model, _ = losses(layerwise=layerwise)
        gradients = torch.autograd.grad(found[1], list(model.operators), allow_unused=True)
        assert [g is not None for g in gradients] == reached


@pytest.mark.parametrize("form", ["embedding", "pair"])
@pytest.mark.parametrize("backbone", ["lightgcn", "mgcn"])
def test_forgotten_pairs_lose_margin(backbone: str, form: str) -> None:
    task = problem("interaction", backbone=backbone)
    options = {"epochs": 60, "learning_rate": 0.03, "alpha": 0.99, "form": form}
    result, _, _ = run("gnndelete", backbone, task, **options)
    assert forget_loss(result.model, task) > 1.1 * forget_loss(private_copy(trained(backbone), task), task)


def test_operators_do_not_reach_a_user_who_has_left() -> None:
    """Without edges his layers are zero, whatever they are multiplied with: only his ID row is read."""
    result, _, task = run("gnndelete", task=problem("user"), epochs=20, learning_rate=0.03)
    unlinked = private_copy(trained("lightgcn"), task)
    after, before = embeddings(result.model), embeddings(unlinked)
    gone = task.request.users
    assert torch.allclose(after[gone], before[gone], atol=1e-6)
    assert not torch.allclose(after[40:], before[40:], atol=1e-3)


def test_a_second_request_stacks_its_operators_on_the_first() -> None:
    first, _, task = run("gnndelete", epochs=5)
    served = embeddings(first.model)
    again = GNNDelete(GNNDeleteOptions(epochs=0))
    again.check(first.model)
    stacked = again.unlearn(copy.deepcopy(first.model), problem("interaction"), Tape()).model
    stacked.bind(task.retain)
    assert torch.allclose(embeddings(stacked), served, atol=1e-5)
    moved = GNNDelete(GNNDeleteOptions(epochs=5)).unlearn(first.model, problem("interaction"), Tape()).model
    assert len([name for name in weights(moved) if "operators" in name]) == 4
    method = GNNDelete(GNNDeleteOptions())
    blank = LightGCN(task.retain, LightGCNOptions())
    found, _ = method.unpacked(method.packed(moved, None), blank, task.retain)
    moved.bind(task.retain)
    assert torch.equal(embeddings(found), embeddings(moved))
    names = list(moved.modules_by_branch()["id"])
    assert names == ["user_embedding", "item_embedding", "operators", "operators.1"]
