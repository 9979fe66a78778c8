"""Relabel: what a forgotten pair becomes, and that training on it forgets."""

from __future__ import annotations

import pytest
import torch

from tests.unlearning.cells import (
    REGIMES,
    membership,
    private_copy,
    problem,
    run,
    same,
    trained,
    weights,
)
from tests.unlearning.forgetting import assert_forgets, assert_keeps
from unlearning.passes import whole_pass
from unlearning.relabel import relabelled


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("backbone", ["lightgcn", "mgcn"])
def test_forgets_and_keeps(regime: str, backbone: str) -> None:
    task = problem(regime, backbone=backbone)
    result, _, _ = run("relabel", backbone, task, epochs=20, learning_rate=0.01)
    before = private_copy(trained(backbone), task)
    assert_forgets(result.model, before, task)
    assert_keeps(result.model, before, task, share=0.6)


def test_an_exchanged_pair_is_the_negative() -> None:
    task = problem()
    sampler = task.forget_sampler()
    batch = whole_pass(sampler)
    wrong = relabelled(batch, "exchanged", sampler)
    assert torch.equal(wrong.negatives, batch.positives)
    assert torch.equal(wrong.positives, batch.negatives)


def test_a_random_label_is_an_item_the_user_never_touched() -> None:
    task = problem()
    sampler, known = task.forget_sampler(), membership(task.full.train)
    wrong = relabelled(whole_pass(sampler), "random", sampler)
    assert not known[wrong.users, wrong.positives].any()
    assert not known[wrong.users, wrong.negatives].any()


def test_a_pass_holds_both_sets_and_the_repeats() -> None:
    _, tape, task = run("relabel", epochs=2, repeats=3)
    pairs = task.retain.train.shape[1] + 3 * task.request.forget.shape[1]
    assert tape.count == 2 * pairs
    assert [values.keys() for values in tape.curves] == [{"loss/relabelled"}] * 2


def test_no_epochs_are_graph_only() -> None:
    idle, _, _ = run("relabel", epochs=0)
    unlinked, _, _ = run("graph_only")
    assert same(weights(idle.model), weights(unlinked.model))
