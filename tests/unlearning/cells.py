"""Small unlearning tasks on the tiny data, and a recorder that keeps what it is told."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from bench.config.registry import load_class
from bench.machine.seeding import derive
from datasets.interactions import InteractionData
from datasets.requests import DeletionRequest
from datasets.sampling import TripleSampler
from models.base import Recommender
from tests.tiny import NUM_ITEMS, tiny_data
from unlearning.base import (
    Problem,
    Recorder,
    Setting,
    Trained,
    UnlearningMethod,
    UnlearnResult,
    Workshop,
)

REGIMES: tuple[str, ...] = ("user", "item", "interaction")
BATCH_SIZE = 64
LEARNING_RATE = 0.01

FORMS: dict[str, dict[str, Any]] = {
    # A user's six items are a quarter of all there are, each firmly memorised: larger steps than the default.
    "swap": {"form": "swap", "epochs": 8, "reverse_lr": 200.0},
    # Ascent starts slowly on memorised pairs and has no end: more and longer steps than the default.
    "ascent": {"form": "ascent", "epochs": 20, "alpha": 0.8, "reverse_lr": 200.0},
}

ASKS_A_SERVER = {"cragru"}
"""Methods that ask a language model: their twin without one stands for them where every method is tested, and
tests/unlearning/test_cragru.py tests the asking."""
QUICK: dict[str, dict[str, Any]] = {
    "unlearnrec": {"epochs": 2},
    "gnndelete": {"epochs": 20},
    "sisa": {"shards": 3},
    "receraser": {"shards": 3, "combiner_epochs": 2},
    "ultrare": {"shards": 3, "combiner_epochs": 2},
}
"""Options that keep a test over all methods quick, where the defaults train for long before any request."""


class Tape(Recorder):
    """Keeps the curves, and the numbers of examples and steps."""

    def __init__(self) -> None:
        self.curves: list[dict[str, float]] = []
        self.count = self.steps = 0

    def epoch(self, model: Recommender, values: dict[str, float] | None = None) -> None:
        model.eval()  # as an evaluation that forgets to restore the mode would leave it
        self.curves.append(dict(values or {}))

    def examples(self, count: int, steps: int = 1) -> None:
        self.count += count
        self.steps += steps


def request(regime: str, data: InteractionData) -> DeletionRequest:
    """Four users, two items, or every ninth training pair."""
    empty = torch.empty(0, dtype=torch.long)
    users = torch.arange(4) if regime == "user" else empty
    items = torch.tensor([2, 5]) if regime == "item" else empty
    if regime == "interaction":
        gone = torch.arange(data.train.shape[1]) % 9 == 0
    else:
        row, ids = (0, users) if regime == "user" else (1, items)
        gone = torch.isin(data.train[row], ids)
    return DeletionRequest(regime, users, items, data.train[:, gone])


class TinyWorkshop(Workshop):
    """Trains for a few epochs, always afresh; ``asked`` lists the purposes in order."""

    def __init__(self, backbone: str) -> None:
        self.backbone = backbone
        self.asked: list[str] = []

    def trained(
        self,
        data: InteractionData,
        purpose: str,
        epochs: int | None = None,
        start: Recommender | None = None,
    ) -> Trained:
        self.asked.append(purpose)
        torch.manual_seed(derive(0, purpose))
        kind = load_class("backbone", self.backbone)
        epochs = epochs or 5
        model: Recommender = kind(data, kind.Options())
        if start is not None:
            model.load_state_dict(start.state_dict())
        model = train(model, data, epochs)
        steps = epochs * math.ceil(data.train.shape[1] / BATCH_SIZE)
        return Trained(model, train_seconds=2.0, examples=epochs * data.train.shape[1], steps=steps)


def problem(regime: str = "user", seed: int = 0, backbone: str = "lightgcn") -> Problem:
    """A task on the tiny data; ``gold`` is not trained but marked. ``backbone`` is the workshop's."""
    data = tiny_data()
    asked = request(regime, data)

    def gold() -> Trained:
        return Trained(copy.deepcopy(trained("lightgcn")), train_seconds=12.5, examples=321, steps=5)

    return Problem(
        full=data,
        retain=asked.apply(data),
        request=asked,
        generator=torch.Generator().manual_seed(seed),
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        gold=gold,
        workshop=TinyWorkshop(backbone),
    )


def ready(unlearner: UnlearningMethod, original: Recommender, task: Problem, seed: int = 0) -> Problem:
    """The task with what the method prepares before any request."""
    generator = torch.Generator().manual_seed(seed)
    setting = Setting(task.full, generator, task.batch_size, task.learning_rate, task.workshop)
    own = private_copy(original, task, "full")
    return dataclasses.replace(task, prepared=unlearner.prepare(own, setting))


def train(model: Recommender, data: InteractionData, epochs: int) -> Recommender:
    """Ordinary training, long enough to memorise the tiny data."""
    sampler = TripleSampler(data.train, data.train, data.num_items, torch.Generator().manual_seed(1))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    model.train()
    for _ in range(epochs):
        for batch in sampler.epoch(BATCH_SIZE):
            optimiser.zero_grad(set_to_none=True)
            model.loss(batch).total.backward()
            optimiser.step()
    return model


@cache
def trained(backbone: str) -> Recommender:
    """A trained backbone on the full tiny data; copy it before use."""
    torch.manual_seed(0)
    kind = load_class("backbone", backbone)
    data = tiny_data()
    return train(kind(data, kind.Options()), data, epochs=60)


def private_copy(model: Recommender, task: Problem, graph: str = "retain") -> Recommender:
    """What the harness hands to a method: a copy on the graph that the options name."""
    own = copy.deepcopy(model)
    own.bind(task.full if graph == "full" else task.retain)
    return own


def run(
    method: str, backbone: str = "lightgcn", task: Problem | None = None, **options: Any
) -> tuple[UnlearnResult, Tape, Problem]:
    """One method on a copy of a trained backbone."""
    kind = load_class("method", method)
    task, tape = task or problem(backbone=backbone), Tape()
    model = private_copy(trained(backbone), task, kind.Options(**options).graph_at_unlearning)
    unlearner = kind(kind.Options(**options))
    unlearner.check(model)
    task = ready(unlearner, trained(backbone), task)
    return unlearner.unlearn(model, task, tape), tape, task


@torch.no_grad()
def forget_recall(model: Recommender, task: Problem, k: int = 5) -> float:
    """Mean recall@k of the forgotten pairs, retained training pairs masked."""
    model.eval()
    forgotten, retained = membership(task.request.forget), membership(task.retain.train)
    users = forgotten.any(dim=1).nonzero().squeeze(1)
    scores = model.scores(users).masked_fill(retained[users], -torch.inf)
    hits = forgotten[users].gather(1, scores.topk(k, dim=1).indices).sum(dim=1)
    return float((hits / forgotten[users].sum(dim=1)).mean())


def membership(pairs: Tensor) -> Tensor:
    """Bool [num_users, num_items] of a set of tiny pairs."""
    table = torch.zeros(tiny_data().num_users, NUM_ITEMS, dtype=torch.bool)
    table[pairs[0], pairs[1]] = True
    return table


def weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters by name."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Bit for bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> Iterator[str]:
    """Names of the parameters that moved."""
    return (name for name in before if not torch.equal(before[name], after[name]))
