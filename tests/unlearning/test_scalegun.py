"""ScaleGUN: its derivatives, the Newton step against closed forms, and what it leaves alone."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from datasets.errors import InputError
from models.base import Scorer
from models.lightgcn import LightGCN
from tests.unlearning.cells import (
    REGIMES,
    Tape,
    forget_recall,
    private_copy,
    problem,
    ready,
    run,
    same,
    trained,
    weights,
)
from unlearning.linear_head import HeadedRecommender, logistic_gradient, logistic_hessian
from unlearning.scalegun import ScaleGUN, ScaleGUNOptions


def examples(heads: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    return torch.randn(heads, 3), torch.arange(50) % heads, torch.randn(50, 3)


def objective(w: Tensor, owner: Tensor, x: Tensor) -> Tensor:
    return F.softplus(-(w[owner] * x).sum(dim=1)).sum()


@pytest.mark.parametrize("heads", [1, 4])
def test_gradient_and_hessian_agree_with_autograd(heads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlearning.linear_head._CHUNK", 9 * 7)  # several chunks, the last one short
    w, owner, x = examples(heads)
    gradient = torch.autograd.functional.jacobian(lambda v: objective(v, owner, x), w)
    assert torch.allclose(logistic_gradient(w, owner, x), gradient, atol=1e-5)
    hessian = torch.autograd.functional.hessian(lambda v: objective(v, owner, x), w)
    blocks = torch.stack([hessian[h, :, h] for h in range(heads)])
    assert torch.allclose(logistic_hessian(w, owner, x), blocks, atol=1e-5)


def test_the_step_goes_to_the_optimum_without_the_removed_examples() -> None:
    """The sign of the correction: from the optimum on D towards the optimum on D'."""
    _, owner, x = examples(1)
    kept = torch.arange(50) >= 5

    def optimum(rows: Tensor) -> Tensor:
        w = torch.zeros(1, 3)
        for _ in range(30):
            gradient = logistic_gradient(w, owner[: len(rows)], rows) + 0.5 * w
            hessian = logistic_hessian(w, owner[: len(rows)], rows) + 0.5 * torch.eye(3)
            w = w - torch.linalg.solve(hessian, gradient)
        return w

    before, after = optimum(x), optimum(x[kept])
    gap = logistic_gradient(before, owner, x) - logistic_gradient(before, owner[kept], x[kept])
    hessian = logistic_hessian(before, owner[kept], x[kept]) + 0.5 * torch.eye(3)
    stepped = before + torch.linalg.solve(hessian, gap)
    assert (stepped - after).norm() < 0.1 * (before - after).norm()


@pytest.mark.parametrize("head", ["shared", "user"])
@pytest.mark.parametrize("regime", REGIMES)
def test_no_weight_of_the_backbone_moves(regime: str, head: str) -> None:
    result, tape, task = run("scalegun", task=problem(regime), head=head)
    model = result.model
    assert isinstance(model, HeadedRecommender)
    unlinked = private_copy(trained("lightgcn"), task)
    assert same(weights(model.backbone), weights(unlinked))
    moved = {"scale": bool((model.scale != 1).any()), "shift": bool((model.shift != 0).any())}
    assert moved == {"scale": head == "shared", "shift": head == "user"}
    assert set(tape.curves[0]) == {"newton/mean_step"}
    assert result.notes["certificate"] == "none"


def test_user_heads_move_touched_users_only_and_forget() -> None:
    result, _, task = run("scalegun", task=problem("user"), head="user")
    model = result.model
    assert isinstance(model, HeadedRecommender)
    rows = model.shift.detach().abs().sum(dim=1).nonzero().squeeze(1)
    assert torch.equal(rows, task.request.users)
    unlinked, _, _ = run("graph_only")
    assert forget_recall(model, task) < forget_recall(unlinked.model, task)


def test_a_fully_forgotten_user_takes_the_regularised_step() -> None:
    """No pair is left: H = lambda m I, so the step is the summed gradient over lambda m."""
    result, _, task = run("scalegun", task=problem("user"), head="user", regularisation=0.5)
    model = result.model
    assert isinstance(model, HeadedRecommender)
    other, _, _ = run("scalegun", task=problem("user"), head="user", regularisation=1.0)
    assert isinstance(other.model, HeadedRecommender)
    old = ready(ScaleGUN(ScaleGUNOptions()), trained("lightgcn"), task).prepared.users
    new = private_copy(trained("lightgcn"), task).embeddings()[0]
    start = (old - new)[task.request.users]
    first, second = (m.shift[task.request.users] - start for m in (model, other.model))
    assert torch.allclose(first, 2 * second, atol=1e-4)


def test_without_a_change_there_is_no_step() -> None:
    task = problem("user")
    nothing = dataclasses.replace(
        task, retain=task.full, request=dataclasses.replace(task.request, forget=task.full.train[:, :0])
    )
    unlearner = ScaleGUN(ScaleGUNOptions())
    nothing = ready(unlearner, trained("lightgcn"), nothing)
    model = unlearner.unlearn(private_copy(trained("lightgcn"), nothing), nothing, Tape()).model
    assert torch.allclose(model.scores(torch.arange(9)), trained("lightgcn").scores(torch.arange(9)))


def test_the_headed_model_keeps_the_contract_of_its_backbone() -> None:
    result, _, task = run("scalegun", "mgcn", problem("item"))
    model, plain = result.model, private_copy(trained("mgcn"), problem("item"))
    assert list(model.id_tables()) == list(plain.id_tables())
    assert len(model.fusion_parameters()) == len(plain.fusion_parameters())
    own, theirs = model.modules_by_branch(), plain.modules_by_branch()
    assert {m: list(own[m]) for m in theirs if m != "shared"} == {
        m: list(theirs[m]) for m in theirs if m != "shared"
    }
    assert [*theirs["shared"], "head"] == list(own["shared"])
    model.train()
    terms = model.loss(next(task.retain_sampler().epoch(8)))
    assert terms.auxiliary.keys() == {"contrastive"}
    terms.total.backward()


class Peculiar(LightGCN):
    """Scores by something else than inner products."""

    def scorer(self) -> Scorer:
        return lambda users: torch.zeros(len(users), self.num_items)


def test_a_backbone_that_does_not_score_by_inner_products_is_refused() -> None:
    model = Peculiar(problem().full, LightGCN.Options())
    with pytest.raises(InputError, match=r"method\.name=scalegun puts a linear head on inner products"):
        ScaleGUN(ScaleGUNOptions()).check(model)
