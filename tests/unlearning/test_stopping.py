"""The stopping rule sees validation pairs of those who stay, and brings weights back."""

from __future__ import annotations

import dataclasses
import functools

import pytest
import torch

from bench.measure.evaluate import ValidationProbe
from tests.unlearning.cells import private_copy, problem, same, trained, weights
from unlearning import stopping
from unlearning.stopping import ValidationGuard, validation_recall


@pytest.mark.parametrize("chunk", [1, 4_000_000])
@pytest.mark.parametrize("regime", ["user", "item", "interaction"])
def test_recall_is_that_of_the_harness(regime: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "_CHUNK_SCORES", chunk)
    task = problem(regime)  # type: ignore[arg-type]
    model = private_copy(trained("lightgcn"), task).train()
    data = task.retain
    probe = ValidationProbe(data.train, data.valid, data.num_users, data.num_items, 1000)
    assert validation_recall(model, task) == pytest.approx(probe(model))
    assert model.training
    assert validation_recall(model, task, k=3) < validation_recall(model, task, k=8)


def test_never_looks_at_test_pairs_or_at_those_who_left() -> None:
    task = problem("user")
    model = private_copy(trained("lightgcn"), task)
    blind = dataclasses.replace(
        task,
        retain=dataclasses.replace(task.retain, test=task.retain.test[:, :0]),
        full=dataclasses.replace(task.full, valid=task.full.valid[:, :0], test=task.full.test[:, :0]),
    )
    assert validation_recall(model, blind, k=5) == validation_recall(model, task, k=5)
    assert not torch.isin(task.retain.valid[0], task.request.users).any()


def test_the_guard_puts_the_last_good_weights_back(monkeypatch: pytest.MonkeyPatch) -> None:
    # The tiny data has 24 items, too few for recall@20 to tell.
    monkeypatch.setattr(stopping, "validation_recall", functools.partial(validation_recall, k=5))
    task = problem()
    model = private_copy(trained("lightgcn"), task)
    guard = ValidationGuard(model, task, tolerance=0.1)
    with torch.no_grad():
        model.id_tables()["user"].mul_(1.01)
    good = weights(model)
    assert guard.holds(model)
    with torch.no_grad():
        model.id_tables()["user"].neg_()
    assert not guard.holds(model)
    assert same(weights(model), good)
