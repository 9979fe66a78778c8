"""Weighted matrix factorisation: the loss without visiting absent pairs, and what it learns."""

from __future__ import annotations

import torch

from tests.tiny import tiny_data
from tests.unlearning.cells import membership
from unlearning.factorisation import _by_batch, _loss, factorised


def test_the_loss_is_that_of_all_pairs_up_to_a_constant() -> None:
    data = tiny_data()
    known = membership(data.train).float()
    found, expected = [], []
    for seed in (0, 1):
        generator = torch.Generator().manual_seed(seed)
        users, items = torch.randn(40, 5, generator=generator), torch.randn(24, 5, generator=generator)
        found.append(_loss(users, items, torch.arange(40), data.train, 0.05))
        weight = torch.where(known > 0, 1.0, 0.05)
        expected.append((weight * (known - users @ items.t()).square()).sum())
    assert torch.allclose(found[0] - found[1], expected[0] - expected[1], rtol=1e-4)


def test_batches_hold_the_pairs_of_their_users() -> None:
    data = tiny_data()
    batch_of = torch.arange(40) % 3
    batches = _by_batch(data.train, batch_of)
    assert [set(batch_of[pairs[0]].tolist()) for pairs in batches] == [{0}, {1}, {2}]
    assert sum(pairs.shape[1] for pairs in batches) == data.train.shape[1]


def test_known_pairs_come_above_the_others_and_the_seed_decides() -> None:
    data = tiny_data()
    users, items = factorised(data, 8, 0.05, 60, 0.05, 16, seed=0)
    scores, known = users @ items.t(), membership(data.train)
    assert float(scores[known].mean()) > float(scores[~known].mean()) + 0.2
    again = factorised(data, 8, 0.05, 60, 0.05, 16, seed=0)
    assert torch.equal(users, again.users)
    assert not torch.equal(users, factorised(data, 8, 0.05, 60, 0.05, 16, seed=1).users)
