"""UnlearnRec before any request: what moves, what it may know, and which state it hands over."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from models.base import Recommender
from tests.unlearning.cells import (
    REGIMES,
    changed,
    private_copy,
    problem,
    same,
    trained,
    weights,
)
from tests.unlearning.unlearnrec_runs import BACKBONES, method, prepared, watch_adam
from unlearning import unlearnrec
from unlearning.base import Setting
from unlearning.influence_checkpoints import Checkpoints, Figures
from unlearning.simulated_requests import SimulatedRequest, simulate
from unlearning.unlearnrec import UnlearnRec


@pytest.mark.parametrize("backbone", BACKBONES)
def test_pre_training_moves_the_encoders_alone(backbone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given, unlearner = watch_adam(monkeypatch), method()
    task = problem("interaction", backbone=backbone)
    own = private_copy(trained(backbone), task, "full")
    setting = Setting(task.full, torch.Generator().manual_seed(0), 64, 0.01, task.workshop)
    state = unlearner.prepare(own, setting)
    assert same(weights(own), weights(trained(backbone)))
    assert all(p.grad is None for p in own.parameters())
    assert [p.requires_grad for p in own.parameters()] == [
        p.requires_grad for p in trained(backbone).parameters()
    ]
    (moving,) = given
    assert {id(p) for p in moving}.isdisjoint(id(p) for p in own.parameters())
    start = unlearner._influence(own, setting.generator.initial_seed()).state_dict()
    still = {
        n for n, value in start.items() if n.startswith("encoders.") and torch.equal(value, state.tensors[n])
    }
    assert not still, "H0, the rates and every layer of the perceptron learn"


def test_the_seed_of_preparation_decides_where_the_perceptrons_start() -> None:
    first, again, other = (method()._influence(trained("lightgcn"), seed) for seed in (1, 1, 2))
    assert same(weights(first), weights(again))
    assert set(changed(weights(first), weights(other))) == {
        f"encoders.id.perceptron.weights.{layer}" for layer in range(2)
    }


@pytest.mark.parametrize("backbone", BACKBONES)
def test_preparation_is_bit_equal_whatever_the_request(backbone: str) -> None:
    states = []
    for regime in REGIMES:
        torch.manual_seed(0)
        states.append(prepared(backbone, regime))
    assert all(same(states[0].tensors, other.tensors) for other in states[1:])
    assert all(states[0].figures == other.figures for other in states[1:])


def test_preparation_does_without_the_options_that_act_on_request() -> None:
    other = {
        "finetune_epochs": 7,
        "finetune_batches": None,
        "finetune_rate": 0.5,
        "finetune_unlearn_weight": 3.0,
        "finetune_preserve_weight": 3.0,
        "refresh_every": 3,
        "graph_at_unlearning": "full",
        "graph_at_evaluation": "full",
    }
    assert set(other) == set(UnlearnRec.online_options)
    assert same(prepared().tensors, prepared(**other).tensors)


@pytest.mark.parametrize(
    "option",
    [
        {"readout": "last"},
        {"simulate": "user"},
        {"reduction": "sum"},
        {"withdraw_source": "id"},
        {"layers": 2},
        {"withdraw_weight": 1.0},
        {"max_rate": 0.5},
        {"redraw_every": 1},
        {"steps_per_epoch": 1},
        {"learning_rate": 0.01},
        {"unlearn_weight": 0.1},
        {"preserve_weight": 0.1},
        {"contrast_weight": 0.1},
        {"temperature": 1.0},
        {"edge_dropout": 0.5},
    ],
)
def test_every_other_option_acts_in_preparation(option: dict[str, Any]) -> None:
    assert not same(prepared().tensors, prepared(**option).tensors)


def test_the_checkpoint_is_chosen_on_requests_that_training_never_saw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[SimulatedRequest] = []
    learned: list[Tensor] = []
    lesson = UnlearnRec._lesson

    def spied_draw(*arguments: Any) -> SimulatedRequest:
        drawn.append(simulate(*arguments))
        return drawn[-1]

    def spied_lesson(
        self: UnlearnRec, backbone: Any, influence: Any, one: SimulatedRequest, *rest: Any
    ) -> Any:
        learned.append(one.request.forget)
        return lesson(self, backbone, influence, one, *rest)

    monkeypatch.setattr(unlearnrec, "simulate", spied_draw)
    monkeypatch.setattr(UnlearnRec, "_lesson", spied_lesson)
    figures = prepared(epochs=7, redraw_every=3, judge_every=2, patience=None).figures
    assert len(drawn) == 3 + 3
    assert [one.request.forget for one in drawn[3:]] == learned
    assert not any(torch.equal(one.request.forget, other) for one in drawn[:3] for other in learned)
    assert figures["rate"] == pytest.approx(sum(one.rate for one in drawn[:3]) / 3)
    assert figures["epochs"] == 7
    assert figures["best_epoch"] in (2, 4, 6, 7)


def test_each_epoch_learns_on_the_graph_without_its_simulated_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bound: list[Any] = []
    used: list[Any] = []
    kind, descend = type(trained("lightgcn")), unlearnrec.descend
    bind = kind.bind

    def spied_bind(self: Recommender, data: Any) -> None:
        bound.append(data)
        bind(self, data)

    def spied_descend(model: Recommender, batches: Any, *rest: Any) -> float:
        seen = []

        def told() -> Any:
            for batch in batches:
                seen.append(batch.users * model.num_items + batch.positives)
                yield batch

        loss = descend(model, told(), *rest)
        used.append((bound[-1], torch.cat(seen)))
        return loss

    monkeypatch.setattr(kind, "bind", spied_bind)
    monkeypatch.setattr(unlearnrec, "descend", spied_descend)
    prepared(epochs=6, redraw_every=4, judge_every=1, patience=None)
    assert len(used) == 6
    for data, keys in used:
        pairs = data.train[0] * data.num_items + data.train[1]
        assert torch.equal(keys.sort().values, pairs.sort().values)
        assert data.train.shape[1] < problem().full.train.shape[1]
    assert len({id(data) for data, _ in used}) == 2


def judged(monkeypatch: pytest.MonkeyPatch, *gaps: float) -> None:
    """Let the judgements come out like this, with all recall kept."""
    found = iter(gaps)
    monkeypatch.setattr(Checkpoints, "_measured", lambda self, tables: Figures(next(found), 1.0, 1.0))


def test_patience_ends_pre_training(monkeypatch: pytest.MonkeyPatch) -> None:
    judged(monkeypatch, 1.0, 3.0, 2.0, 2.5, 9.0)
    figures = prepared(epochs=60, judge_every=1, patience=2).figures
    assert (figures["epochs"], figures["best_epoch"], figures["gap"]) == (4, 2, 3.0)


def test_what_is_handed_over_is_the_state_that_was_judged_best(monkeypatch: pytest.MonkeyPatch) -> None:
    judged(monkeypatch, 3.0, 2.0, 1.0)
    longer = prepared(epochs=3, judge_every=1, patience=None)
    judged(monkeypatch, 3.0)
    assert same(longer.tensors, prepared(epochs=1, judge_every=1).tensors)
