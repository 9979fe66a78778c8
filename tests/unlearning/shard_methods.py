"""Shard methods on the tiny data: what they are given to train on, and requests one after another."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from bench.config.registry import load_class
from datasets.interactions import InteractionData
from datasets.requests import DeletionRequest
from models.base import Recommender
from tests.unlearning.cells import Tape, TinyWorkshop, private_copy, problem, ready, trained
from unlearning.base import Problem, Trained, UnlearningMethod, UnlearnResult
from unlearning.ensemble import ShardEnsemble
from unlearning.shard_training import ShardState

SHARDS = 3
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "sisa": ("sisa", {}),
    "sisa of pairs": ("sisa", {"partition": "interaction", "aggregate": "mean"}),
    "sisa in slices": ("sisa", {"slices": 2, "shard_epochs": 6}),
    "receraser": ("receraser", {"combiner_epochs": 2}),
    "receraser of users": ("receraser", {"unit": "user", "combiner_epochs": 2}),
    "ultrare": ("ultrare", {"combiner_epochs": 2}),
}
"""Methods that share the training of shards, by what is special about them."""


class Watched(TinyWorkshop):
    """Keeps what it was given to train on, and from where it was to start."""

    def __init__(self, backbone: str) -> None:
        super().__init__(backbone)
        self.data: list[InteractionData] = []
        self.epochs: list[int | None] = []
        self.starts: list[Recommender | None] = []

    def trained(
        self,
        data: InteractionData,
        purpose: str,
        epochs: int | None = None,
        start: Recommender | None = None,
    ) -> Trained:
        self.data.append(data)
        self.epochs.append(epochs)
        self.starts.append(start)
        return super().trained(data, purpose, epochs, start)


def variant(name: str, **options: Any) -> UnlearningMethod:
    """The method of a variant."""
    method, own = VARIANTS[name]
    kind = load_class("method", method)
    made: UnlearningMethod = kind(kind.Options(**{"shards": SHARDS, **own, **options}))
    return made


def prepared(
    unlearner: UnlearningMethod, backbone: str = "lightgcn", regime: str = "interaction"
) -> tuple[Problem, Watched]:
    """A task whose shards are trained, and the workshop that trained them."""
    workshop = Watched(backbone)
    task = dataclasses.replace(problem(regime, backbone=backbone), workshop=workshop)
    unlearner.check(trained(backbone))
    return ready(unlearner, trained(backbone), task), workshop


def asked(task: Problem, pairs: Tensor) -> Problem:
    """The task with the request to forget single pairs [2, F]."""
    nobody = torch.empty(0, dtype=torch.long)
    request = DeletionRequest("interaction", nobody, nobody, pairs)
    return dataclasses.replace(task, request=request, retain=request.apply(task.full))


def served(unlearner: UnlearningMethod, task: Problem, backbone: str = "lightgcn") -> UnlearnResult:
    """What the method makes of the task."""
    result = unlearner.unlearn(private_copy(trained(backbone), task), task, Tape())
    assert isinstance(result.model, ShardEnsemble)
    return result


def state_of(task: Problem) -> ShardState:
    assert isinstance(task.prepared, ShardState)
    return task.prepared
