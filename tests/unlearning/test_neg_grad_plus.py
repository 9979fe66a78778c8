"""NegGrad+: it forgets, it keeps, and without weight on forgetting it is fine-tuning."""

from __future__ import annotations

import pytest

from tests.unlearning.cells import REGIMES, private_copy, problem, run, same, trained, weights
from tests.unlearning.forgetting import assert_forgets, assert_keeps, forget_loss


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("backbone", ["lightgcn", "mgcn"])
def test_forgets_and_keeps(regime: str, backbone: str) -> None:
    task = problem(regime, backbone=backbone)
    result, _, _ = run("neg_grad_plus", backbone, task, epochs=10, learning_rate=0.01)
    before = private_copy(trained(backbone), task)
    assert_forgets(result.model, before, task)
    assert_keeps(result.model, before, task)


@pytest.mark.parametrize("backbone", ["lightgcn", "mgcn"])
def test_without_weight_on_forgetting_it_is_fine_tuning(backbone: str) -> None:
    budget = {"epochs": 2, "learning_rate": 0.003}
    joint, joint_tape, _ = run("neg_grad_plus", backbone, forget_weight=0.0, batches_per_epoch=2, **budget)
    tuned, tuned_tape, _ = run("finetune", backbone, batches_per_epoch=2, **budget)
    assert same(weights(joint.model), weights(tuned.model))
    assert joint_tape.count == tuned_tape.count


def test_counts_the_forget_batch_beside_each_retain_batch() -> None:
    _, tape, task = run("neg_grad_plus", epochs=2, batches_per_epoch=3)
    assert tape.count == 2 * 3 * (task.batch_size + task.request.forget.shape[1])
    assert all(values.keys() == {"loss/joint"} for values in tape.curves)


def test_the_bound_ends_the_push() -> None:
    def loss(bound: float | None) -> float:
        result, _, task = run("neg_grad_plus", epochs=40, loss_bound=bound, forget_weight=0.9)
        return forget_loss(result.model, task)

    assert loss(0.7) < 3 < loss(None)
