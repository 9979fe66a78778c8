"""Shared passes: losses of pairs, mixing and cycling."""

from __future__ import annotations

import itertools

import pytest
import torch

from datasets.sampling import Batch
from tests.unlearning.cells import private_copy, problem, trained
from unlearning.passes import cycle, mixed, pair_losses, whole_pass


@pytest.mark.parametrize("backbone", ["lightgcn", "mgcn", "bpr"])
def test_pair_losses_are_the_ranking_loss_of_a_bpr_backbone(backbone: str) -> None:
    task = problem()
    model = private_copy(trained(backbone), task)
    batch = whole_pass(task.retain_sampler())
    assert torch.allclose(pair_losses(model, batch).mean(), model.loss(batch).ranking, rtol=1e-4)


def test_a_mixed_pass_holds_every_triple_once_with_its_source() -> None:
    first = Batch(*(torch.arange(5) + 10 * column for column in range(3)))
    second = Batch(*(torch.arange(3) + 100 + 10 * column for column in range(3)))
    batches = list(mixed([first, second], 3, torch.Generator().manual_seed(0)))
    assert [len(batch.users) for batch in batches] == [3, 3, 2]
    rows = {
        tuple(row) for batch in batches for row in torch.stack([*batch.triples, batch.source], dim=1).tolist()
    }
    expected = {(i, i + 10, i + 20, 0) for i in range(5)} | {(i, i + 10, i + 20, 1) for i in range(100, 103)}
    assert rows == expected
    assert len({int(s) for s in batches[0].source} | {int(s) for s in batches[1].source}) == 2


def test_a_whole_pass_is_one_batch_and_a_cycle_has_no_end() -> None:
    task = problem()
    sampler = task.forget_sampler()
    assert len(whole_pass(sampler).users) == len(sampler)
    sizes = [len(batch.users) for batch in itertools.islice(cycle(sampler, 20), 4)]
    assert sizes == [20, len(sampler) - 20] * 2
