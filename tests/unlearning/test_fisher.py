"""The diagonal Fisher information against gradients taken one by one."""

from __future__ import annotations

import pytest
import torch

from datasets.sampling import Batch
from tests.unlearning.cells import Tape, private_copy, problem, same, trained, weights
from tests.unlearning.content_only import ContentOnly
from unlearning.base import trainable
from unlearning.fisher import diagonal_fisher
from unlearning.passes import pair_losses, whole_pass


def one_by_one(model: torch.nn.Module, batch: Batch) -> list[torch.Tensor]:
    """Squared gradients of single triples, averaged."""
    parameters = list(model.parameters())
    total = [torch.zeros_like(p) for p in parameters]
    for row in range(len(batch.users)):
        triple = Batch(*(column[row : row + 1] for column in batch))
        gradients = torch.autograd.grad(pair_losses(model, triple).sum(), parameters)  # type: ignore[arg-type]
        for t, g in zip(total, gradients, strict=True):
            t += g.square() / len(batch.users)
    return total


def test_the_signs_give_the_mean_of_squared_gradients() -> None:
    task = problem()
    model = private_copy(trained("lightgcn"), task)
    batch = whole_pass(task.forget_sampler())
    expected = one_by_one(model, batch)
    measured = diagonal_fisher(model, [batch] * 400, "per_example", task.generator)
    for m, e in zip(measured, expected, strict=True):
        assert float((m - e).norm() / e.norm()) < 0.15


def test_the_batch_form_squares_the_gradient_of_the_mean() -> None:
    task = problem()
    model = private_copy(trained("lightgcn"), task)
    batch = whole_pass(task.forget_sampler())
    gradients = torch.autograd.grad(pair_losses(model, batch).mean(), trainable(model))
    measured = diagonal_fisher(model, [batch, batch], "batch", task.generator)
    assert all(torch.allclose(m, g.square()) for m, g in zip(measured, gradients, strict=True))


@pytest.mark.parametrize("form", ["per_example", "batch"])
def test_leaves_no_trace_and_counts(form: str) -> None:
    task, tape = problem(), Tape()
    model = ContentOnly(task.full)
    before, buffers = weights(model), [b.clone() for b in model.buffers()]
    state = task.generator.get_state()
    batch = whole_pass(task.forget_sampler())
    task.generator.set_state(state)
    fisher = diagonal_fisher(model, [batch, batch], form, task.generator, tape)  # type: ignore[arg-type]
    assert same(before, weights(model))
    assert all(torch.equal(a, b) for a, b in zip(buffers, model.buffers(), strict=True))
    assert torch.equal(task.generator.get_state(), state)
    assert tape.count == 2 * len(batch.users)
    # A parameter without a gradient has importance zero.
    assert not fisher[[name for name, _ in model.named_parameters()].index("unused")].any()
