"""Score lists: their shape, their divergence, and teachers that later changes do not reach."""

from __future__ import annotations

import pytest
import torch

from tests.registered import TRAINED
from tests.unlearning.cells import forget_recall, private_copy, problem, same, trained, weights
from unlearning.distillation import (
    Embeddings,
    divergence,
    frozen,
    sample_items,
    score_lists,
    spread,
    untrained,
)
from unlearning.passes import whole_pass


def test_lists_hold_the_own_item_and_the_candidates() -> None:
    task = problem()
    model = private_copy(trained("lightgcn"), task).eval()
    batch, candidates = whole_pass(task.retain_sampler()), torch.tensor([4, 0, 9])
    with torch.no_grad():
        lists, scores = score_lists(frozen(model), batch, candidates), model.scores(batch.users)
    assert torch.allclose(lists[:, 0], scores.gather(1, batch.positives[:, None])[:, 0], atol=1e-6)
    assert torch.allclose(lists[:, 1:], scores[:, candidates], atol=1e-6)


def test_divergence_is_kullback_leibler_per_row() -> None:
    teacher, student = torch.randn(5, 7), torch.randn(5, 7)
    p, q = (teacher / 2).softmax(1), (student / 2).softmax(1)
    assert torch.allclose(divergence(teacher, student, 2.0), (p * (p / q).log()).sum(1), atol=1e-6)
    assert divergence(teacher, teacher, 1.0).abs().max() < 1e-6


def test_spread_makes_a_divergence_scale_free() -> None:
    teacher, student = torch.randn(5, 7), torch.randn(5, 7)
    once = divergence(teacher, student, spread(teacher))
    assert torch.allclose(divergence(1000 * teacher, 1000 * student, spread(1000 * teacher)), once, rtol=1e-4)
    assert torch.isfinite(divergence(torch.zeros(2, 3), torch.zeros(2, 3), spread(torch.zeros(2, 3)))).all()


def test_candidates_are_different_items_of_the_pool() -> None:
    pool = torch.tensor([3, 5, 8, 9])
    assert sorted(sample_items(pool, 9, torch.Generator()).tolist()) == pool.tolist()
    assert len(set(sample_items(pool, 3, torch.Generator()).tolist())) == 3


def test_a_frozen_teacher_does_not_follow() -> None:
    model = private_copy(trained("lightgcn"), problem()).train()
    teacher = frozen(model)
    before = Embeddings(teacher.users.clone(), teacher.items.clone())
    assert model.training
    with torch.no_grad():
        model.id_tables()["user"].zero_()
    assert torch.equal(teacher.users, before.users)
    assert torch.equal(teacher.items, before.items)


@pytest.mark.parametrize("backbone", TRAINED)
def test_an_untrained_network_knows_nothing_and_leaves_the_original_alone(backbone: str) -> None:
    task = problem("interaction")
    model = private_copy(trained(backbone), task)
    before, known = weights(model), forget_recall(model, task)
    users, items = untrained(model, seed=3)
    assert same(before, weights(model))
    assert torch.isfinite(users).all()
    assert torch.isfinite(items).all()
    forgotten = task.request.forget
    scores = users @ items.t()
    beaten = (scores[forgotten[0], forgotten[1]][:, None] > scores[forgotten[0]]).float().mean()
    assert beaten < 0.8
    assert known > 0.3
    again, _ = untrained(model, seed=3)
    other, _ = untrained(model, seed=4)
    assert torch.equal(users, again)
    assert not torch.equal(users, other)
