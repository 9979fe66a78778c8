"""The reference systems and controls: what they touch, and what they leave alone."""

from __future__ import annotations

import pytest
import torch

from models.base import Recommender
from tests.unlearning.cells import (
    Tape,
    changed,
    forget_recall,
    membership,
    private_copy,
    problem,
    run,
    same,
    trained,
    weights,
)
from unlearning.original import Original, OriginalOptions
from unlearning.retrain import Retrain, RetrainOptions


def test_original_keeps_weights_and_graph() -> None:
    result, _, task = run("original")
    users = torch.arange(6)
    assert torch.equal(result.model.scores(users), trained("lightgcn").scores(users))
    assert Original(OriginalOptions()).options.graph_at_evaluation == "full"
    assert forget_recall(result.model, task) > 0.5


def test_retrain_is_gold_at_its_recorded_cost() -> None:
    task, tape = problem(), Tape()
    model = private_copy(trained("lightgcn"), task)
    result = Retrain(RetrainOptions()).unlearn(model, task, tape)
    assert result.model is not model
    assert result.online_seconds == 12.5
    assert tape.count == 321


def test_graph_only_changes_scores_but_no_weight() -> None:
    result, _, _ = run("graph_only")
    assert same(weights(result.model), weights(trained("lightgcn")))
    users = torch.arange(6)
    assert not torch.equal(result.model.scores(users), trained("lightgcn").scores(users))


@pytest.mark.parametrize(("regime", "table"), [("user", "user_embedding"), ("item", "item_embedding")])
def test_reset_redraws_exactly_the_requested_rows(regime: str, table: str) -> None:
    task = problem(regime)
    result, _, _ = run("reset", task=task)
    before, after = weights(trained("lightgcn")), weights(result.model)
    moved = (before[table] != after[table]).any(dim=1).nonzero().squeeze(1)
    assert torch.equal(moved, torch.cat([task.request.users, task.request.items]))
    assert list(changed(before, after)) == [table]
    assert result.notes == {f"{regime}_rows": len(moved)}


def test_reset_rows_look_like_a_fresh_table() -> None:
    result, _, task = run("reset")
    table = result.model.id_tables()["user"]
    bound = (6.0 / sum(table.shape)) ** 0.5
    assert table[task.request.users].abs().max() <= bound
    assert trained("lightgcn").id_tables()["user"][task.request.users].abs().max() > bound


def test_reset_in_the_interaction_regime_equals_graph_only_and_says_so() -> None:
    result, _, _ = run("reset", task=problem("interaction"))
    assert same(weights(result.model), weights(trained("lightgcn")))
    assert result.notes == {"equals": "graph_only"}


def test_finetune_for_no_epochs_keeps_the_model() -> None:
    result, tape, task = run("finetune", epochs=0)
    assert same(weights(result.model), weights(trained("lightgcn")))
    assert tape.curves == []
    assert forget_recall(result.model, task) > 0.5


def test_finetune_reports_each_epoch_and_every_example() -> None:
    result, tape, task = run("finetune", epochs=3, batches_per_epoch=2)
    assert len(tape.curves) == 3
    assert tape.count == 3 * 2 * task.batch_size
    assert not same(weights(result.model), weights(trained("lightgcn")))


def test_finetune_takes_its_own_learning_rate() -> None:
    slow, _, _ = run("finetune", epochs=1, batches_per_epoch=1, learning_rate=1e-4)
    default, _, task = run("finetune", epochs=1, batches_per_epoch=1)
    start = trained("lightgcn").id_tables()["user"].detach()

    def step(model: Recommender) -> float:
        return float((model.id_tables()["user"].detach() - start).abs().max())

    assert step(slow.model) < 1.1e-4
    # The first step of Adam has the size of its learning rate, here the backbone's.
    assert step(default.model) == pytest.approx(task.learning_rate, rel=1e-2)


def test_the_tasks_hold_what_they_claim() -> None:
    for regime, pairs in (("user", 24), ("interaction", 27)):
        task = problem(regime)
        assert task.request.forget.shape[1] == pairs
        assert task.retain.train.shape[1] == task.full.train.shape[1] - pairs
        assert not (membership(task.request.forget) & membership(task.retain.train)).any()
