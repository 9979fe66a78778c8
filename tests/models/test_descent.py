"""The descent loop: a step per batch, the mean of the losses, and no gradient but its own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from datasets.sampling import Batch
from models.descent import descend, step
from models.lightgcn import LightGCN, LightGCNOptions
from tests.tiny import tiny_data


class Tally:
    """Counts."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def examples(self, count: int) -> None:
        self.counts.append(count)


def model() -> LightGCN:
    torch.manual_seed(0)
    return LightGCN(tiny_data(), LightGCNOptions())


def batches(*sizes: int) -> list[Batch]:
    pairs = tiny_data().train
    return [Batch(pairs[0, :size], pairs[1, :size], pairs[1, :size].flip(0)) for size in sizes]


def test_each_batch_is_a_step_and_the_mean_is_over_batches() -> None:
    tally, own = Tally(), model().eval()
    (table,) = [p for name, p in own.named_parameters() if "user" in name]
    before, losses = table.detach().clone(), []

    def objective(batch: Batch) -> Tensor:
        losses.append(float(batch.users.numel()))
        return losses[-1] + 2.0 * table.sum() - 2.0 * before.sum()

    optimiser = torch.optim.SGD([table], lr=0.5)
    mean = descend(own, batches(4, 7, 9), objective, optimiser, tally)
    assert own.training
    assert torch.allclose(table, before - 3 * 0.5 * 2.0)
    drift = 2.0 * 0.5 * 2.0 * table.numel()  # what one step takes off the objective
    assert mean == pytest.approx((20 - drift * (0 + 1 + 2)) / 3, rel=1e-4)
    assert tally.counts == [4, 7, 9]


def test_only_gradients_of_its_own_are_followed_and_none_is_left() -> None:
    first, second = model(), model()
    for parameter in second.parameters():
        parameter.grad = torch.ones_like(parameter)
    for own in (first, second):
        optimiser = torch.optim.SGD(own.parameters(), lr=0.1)
        descend(own, batches(8), lambda batch, own=own: own.loss(batch).total, optimiser)  # type: ignore[misc]
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    assert all(torch.equal(a, b) and a.grad is b.grad is None for a, b in pairs)


def test_losses_that_share_their_memory_are_summed_at_once() -> None:
    """As with graph capture on CUDA, where each call of the objective overwrites what the last one gave."""
    own, memory = model(), torch.zeros(())
    weight = torch.nn.Parameter(torch.zeros(()))

    def objective(batch: Batch) -> Tensor:
        memory.fill_(float(batch.users.numel()))
        return Reused.apply(weight, memory)

    assert descend(own, batches(2, 6), objective, torch.optim.SGD([weight], lr=1.0)) == 4.0


class Reused(torch.autograd.Function):
    """A loss that lives in ``memory``."""

    @staticmethod
    def forward(ctx: object, weight: Tensor, memory: Tensor) -> Tensor:
        return memory.view_as(memory)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def test_a_step_gives_the_loss_before_it() -> None:
    own = model()
    (batch,) = batches(8)
    before = float(own.loss(batch).total)
    optimiser = torch.optim.SGD(own.parameters(), lr=0.1)
    assert float(step(lambda b: own.loss(b).total, optimiser, batch)) == pytest.approx(before)
    assert float(own.loss(batch).total) < before
