"""SSD: what is selected, by how much it is dampened, and the identity at infinite alpha."""

from __future__ import annotations

import math

import pytest
import torch

from tests.unlearning.cells import changed, private_copy, problem, run, same, trained, weights
from tests.unlearning.content_only import ContentOnly
from tests.unlearning.forgetting import assert_forgets, assert_keeps
from unlearning.fisher import diagonal_fisher
from unlearning.passes import whole_pass
from unlearning.ssd import dampen


@pytest.mark.parametrize("backbone", ["lightgcn", "mgcn", "mig_gt", "bm3"])
def test_infinite_alpha_is_graph_only(backbone: str) -> None:
    result, _, _ = run("ssd", backbone, alpha=math.inf)
    unlinked, _, _ = run("graph_only", backbone)
    assert same(weights(result.model), weights(unlinked.model))
    assert result.notes == {"dampened_share": 0.0}


@pytest.mark.parametrize("regime", ["user", "interaction"])
@pytest.mark.parametrize("backbone", ["lightgcn", "mgcn"])
def test_forgets_and_keeps(regime: str, backbone: str) -> None:
    task = problem(regime, backbone=backbone)
    # A tenth of the tiny data goes, so that a parameter can matter ten times more at most.
    result, _, _ = run("ssd", backbone, task, alpha=3.0)
    before = private_copy(trained(backbone), task)
    assert_forgets(result.model, before, task)
    assert_keeps(result.model, before, task, share=0.6)


def test_dampens_what_matters_more_to_the_forget_set() -> None:
    model = ContentOnly(problem().full)
    count = sum(p.numel() for p in model.parameters())
    before = weights(model)
    data = [torch.full_like(p, 2.0) for p in model.parameters()]
    forget = [torch.zeros_like(p) for p in model.parameters()]
    forget[0][:3, 0] = torch.tensor([10.0, 20.1, 80.0])  # bound 20: the first stays
    share = dampen(model, data, forget, alpha=10.0, dampening=4.0)
    factor = (model.users / before["users"])[:3, 0]
    assert torch.allclose(factor, torch.tensor([1.0, 8 / 20.1, 8 / 80]))
    assert share == pytest.approx(2 / count)
    assert list(changed(before, weights(model))) == ["users"]


def test_never_enlarges() -> None:
    model = ContentOnly(problem().full)
    before = weights(model)
    data = [torch.ones_like(p) for p in model.parameters()]
    dampen(model, data, [2 * d for d in data], alpha=1.0, dampening=50.0)
    assert same(before, weights(model))


def test_importance_on_all_data_is_offline() -> None:
    _, tape, task = run("ssd")
    assert tape.count == task.request.forget.shape[1]
    assert [values.keys() for values in tape.curves] == [{"dampened_share"}]


@pytest.mark.parametrize("backbone", ["bpr", "lightgcn"])
def test_a_user_who_leaves_is_shrunk_and_turned_only_where_importances_differ(backbone: str) -> None:
    """On matrix factorisation both importances of his row come from his own pairs on one and the same graph,
    I_D = |F_u| / |D| mean of squares: with the same sampled items every entry shrinks by the same factor, and
    no ranking of his changes. A graph backbone measures I_F on the graph without him."""
    task = problem("user", backbone=backbone)
    model = private_copy(trained(backbone), task)
    full = private_copy(trained(backbone), task, "full")
    batch = whole_pass(task.forget_sampler())
    generator = torch.Generator().manual_seed(0)
    share = len(batch.users) / task.full.train.shape[1]
    on_data = [share * f for f in diagonal_fisher(full, [batch] * 50, "per_example", generator)]
    on_forget = diagonal_fisher(model, [batch] * 50, "per_example", generator)
    users = task.request.users
    before = model.id_tables()["user"].detach().clone()[users]
    dampen(model, on_data, on_forget, alpha=3.0, dampening=1.0)
    cosine = torch.cosine_similarity(model.id_tables()["user"].detach()[users], before)
    if backbone == "bpr":
        assert torch.allclose(cosine, torch.ones(len(users)), atol=1e-4)
        assert float(model.id_tables()["user"].detach()[users].norm() / before.norm()) < 0.2
    else:
        assert float(cosine.min()) < 0.999
