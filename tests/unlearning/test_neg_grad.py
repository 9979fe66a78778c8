"""NegGrad: it forgets, its two rules stop it, and its steps have no unit."""

from __future__ import annotations

import functools

import pytest
import torch

from datasets.errors import InputError
from datasets.sampling import Batch
from tests.unlearning.cells import REGIMES, private_copy, problem, run, same, trained, weights
from tests.unlearning.content_only import ContentOnly
from tests.unlearning.forgetting import assert_forgets
from unlearning import stopping
from unlearning.neg_grad import Climb, NegGrad, NegGradOptions
from unlearning.stopping import validation_recall


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("backbone", ["lightgcn", "mgcn"])
def test_forgets(regime: str, backbone: str) -> None:
    task = problem(regime, backbone=backbone)
    result, _, _ = run("neg_grad", backbone, task, max_valid_loss=None)
    unlinked, _, _ = run("graph_only", backbone, problem(regime, backbone=backbone))
    assert_forgets(result.model, unlinked.model, task)


def test_no_epochs_are_graph_only() -> None:
    idle, tape, _ = run("neg_grad", epochs=0)
    unlinked, _, _ = run("graph_only")
    assert same(weights(idle.model), weights(unlinked.model))
    assert tape.curves == []


def test_goes_back_where_validation_recall_has_suffered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "validation_recall", functools.partial(validation_recall, k=5))
    free, _, task = run("neg_grad", task=problem("interaction"), max_valid_loss=None)
    held, _, _ = run("neg_grad", task=problem("interaction"), max_valid_loss=0.05)
    floor = 0.95 * validation_recall(private_copy(trained("lightgcn"), task), task, k=5)
    assert validation_recall(free.model, task, k=5) < floor <= validation_recall(held.model, task, k=5)
    assert held.notes == {"stopped_by": "max_valid_loss"}


def test_the_bound_ends_the_climb() -> None:
    bounded, tape, _ = run("neg_grad", max_valid_loss=None, epochs=100)
    assert bounded.notes == {"stopped_by": "loss_bound"}
    assert len(tape.curves) < 100
    endless, _, _ = run("neg_grad", max_valid_loss=None, loss_bound=None, epochs=3)
    assert endless.notes == {"stopped_by": "epochs"}


def test_counts_every_forgotten_pair_of_every_pass() -> None:
    _, tape, task = run("neg_grad", max_valid_loss=None, loss_bound=None, epochs=3)
    assert tape.count == 3 * task.request.forget.shape[1]
    assert all(values.keys() == {"loss/forget"} for values in tape.curves)


def test_a_relative_step_is_as_long_as_the_rows_say() -> None:
    model = private_copy(trained("lightgcn"), problem())
    batch = Batch(torch.tensor([0, 0, 1]), torch.tensor([3, 4, 3]), torch.tensor([8, 9, 10]))
    before = weights(model)
    rows = torch.cat([before["user_embedding"][[0, 1]], before["item_embedding"][[3, 4]]])
    Climb(model, NegGradOptions(step=0.25), 1.0)(-model.loss(batch).ranking * 1e-4, batch)
    moved = torch.cat([(after - before[name]).reshape(-1) for name, after in weights(model).items()])
    assert moved.norm() == pytest.approx(0.25 * float(rows.norm()), rel=1e-5)


def test_without_a_slope_nothing_moves() -> None:
    model = private_copy(trained("lightgcn"), problem())
    batch = Batch(torch.tensor([0]), torch.tensor([3]), torch.tensor([8]))
    before = weights(model)
    Climb(model, NegGradOptions(), 1.0)(model.loss(batch).ranking * 0.0, batch)
    assert same(before, weights(model))


def test_adam_is_another_method() -> None:
    relative, _, _ = run("neg_grad", epochs=2, max_valid_loss=None)
    adam, _, _ = run("neg_grad", epochs=2, max_valid_loss=None, optimiser="adam")
    assert not same(weights(relative.model), weights(adam.model))


def test_a_relative_step_without_an_id_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ContentOnly(problem().full)
    NegGrad(NegGradOptions()).check(model)
    monkeypatch.setattr(model, "id_tables", dict)
    with pytest.raises(InputError, match=r"set method\.optimiser=adam\."):
        NegGrad(NegGradOptions()).check(model)
    NegGrad(NegGradOptions(optimiser="adam")).check(model)
