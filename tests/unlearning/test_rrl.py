"""RRL: the preconditioner spares what the retain set needs, and the step needs no unit."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

from datasets.sampling import Batch
from tests.unlearning.cells import REGIMES, private_copy, problem, run, same, trained, weights
from tests.unlearning.forgetting import assert_forgets, assert_keeps
from unlearning import stopping
from unlearning.passes import pair_losses
from unlearning.rrl import RRLOptions, polyak_step, preconditioner
from unlearning.stopping import validation_recall


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("backbone", ["lightgcn", "mgcn"])
def test_forgets_and_keeps(regime: str, backbone: str) -> None:
    task = problem(regime, backbone=backbone)
    result, _, _ = run("rrl", backbone, task, max_valid_loss=None)
    before = private_copy(trained(backbone), task)
    assert_forgets(result.model, before, task)
    assert_keeps(result.model, before, task, share=0.6)


def test_the_preconditioner_is_one_over_the_relative_fisher_plus_damping() -> None:
    scales = preconditioner([torch.tensor([0.0, 1.0]), torch.tensor([3.0])], damping=0.5)
    # The mean over the two entries above zero is 2.
    assert torch.allclose(scales[0], torch.tensor([1 / 0.5, 1 / 1.0]))
    assert torch.allclose(scales[1], torch.tensor([1 / 2.0]))


def test_it_has_no_unit_and_survives_an_empty_fisher() -> None:
    fisher = [torch.rand(5), torch.rand(2, 2)]
    small = preconditioner([f * 1e-12 for f in fisher], 0.1)
    assert all(torch.allclose(a, b) for a, b in zip(small, preconditioner(fisher, 0.1), strict=True))
    assert torch.allclose(preconditioner([torch.zeros(2)], 0.1)[0], torch.tensor([10.0, 10.0]))


def test_a_polyak_step_goes_its_share_of_the_way_on_a_linear_loss() -> None:
    theta = nn.Parameter(torch.tensor([1.0, 2.0]))
    slope = torch.tensor([3.0, -1.0])
    polyak_step([theta], theta @ slope + 9, [torch.tensor([1.0, 100.0])], step=0.25, target=2.0)
    assert float((theta @ slope + 9).detach()) == pytest.approx(10 - 0.25 * 8)
    before = theta.detach().clone()
    polyak_step([theta], theta @ slope, [torch.ones(2)], step=0.25, target=100.0)
    polyak_step([theta], 0 * theta.sum() + 5, [torch.ones(2)], step=0.25, target=1.0)
    assert torch.equal(theta.detach(), before)


def test_strong_damping_is_plain_reverse_bpr() -> None:
    result, _, task = run("rrl", "bpr", problem("interaction", backbone="bpr"), damping=1e9, epochs=1)
    plain = private_copy(trained("bpr"), task).train()
    again = problem("interaction", backbone="bpr")
    (batch,) = again.forget_sampler().epoch(again.batch_size)
    exchanged = Batch(batch.users, batch.negatives, batch.positives)
    loss = pair_losses(plain, exchanged).mean()
    gradients = torch.autograd.grad(loss, list(plain.parameters()))
    eta = (
        RRLOptions().step
        * (float(loss.detach()) - RRLOptions().target)
        / sum(float(g.square().sum()) for g in gradients)
    )
    for (name, before), gradient in zip(weights(plain).items(), gradients, strict=True):
        assert torch.allclose(weights(result.model)[name], before - eta * gradient, atol=1e-5)


def test_spares_the_rows_that_others_need() -> None:
    def moved(damping: float) -> float:
        """How far items move, against how far the users who leave do."""
        result, _, task = run("rrl", damping=damping, epochs=1)
        change = weights(result.model)["item_embedding"] - weights(trained("lightgcn"))["item_embedding"]
        users = weights(result.model)["user_embedding"] - weights(trained("lightgcn"))["user_embedding"]
        own = users[task.request.users].norm()
        return float(change.norm() / own)

    assert moved(0.01) < 0.8 * moved(1e6)


def test_counts_the_fisher_pass_and_the_forget_passes() -> None:
    _, tape, task = run("rrl", epochs=3, fisher_batches=2)
    assert tape.count == 2 * task.batch_size + 3 * task.request.forget.shape[1]
    assert [values.keys() for values in tape.curves] == [{"loss/reverse"}] * 3


def test_no_epochs_are_graph_only() -> None:
    idle, tape, _ = run("rrl", epochs=0)
    unlinked, _, _ = run("graph_only")
    assert same(weights(idle.model), weights(unlinked.model))
    assert tape.count == 0


def test_goes_back_where_validation_recall_has_suffered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "validation_recall", functools.partial(validation_recall, k=5))
    task = problem("interaction")
    before = validation_recall(private_copy(trained("lightgcn"), task), task, k=5)
    held, tape, _ = run("rrl", task=task, max_valid_loss=0.05)
    assert held.notes == {"stopped_by": "max_valid_loss"}
    assert len(tape.curves) < 25
    assert validation_recall(held.model, task, k=5) >= 0.95 * before
