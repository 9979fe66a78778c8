"""Preparing and unlearning with UnlearnRec on the tiny data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import nn

from models.base import Recommender
from models.optimiser import adam
from tests.unlearning.cells import (
    Tape,
    private_copy,
    problem,
    ready,
    trained,
)
from unlearning import unlearnrec
from unlearning.base import PreparedState, Problem
from unlearning.unlearnrec import UnlearnRec, UnlearnRecOptions

BACKBONES = ("lightgcn", "mgcn", "freedom", "bm3", "mig_gt")


def method(**options: Any) -> UnlearnRec:
    return UnlearnRec(UnlearnRecOptions(**{"epochs": 2, **options}))


def prepared(backbone: str = "lightgcn", regime: str = "interaction", **options: Any) -> PreparedState:
    state = ready(method(**options), trained(backbone), problem(regime, backbone=backbone)).prepared
    assert isinstance(state, PreparedState)
    return state


def unlearn(
    backbone: str = "lightgcn",
    task: Problem | None = None,
    state: PreparedState | None = None,
    **options: Any,
) -> tuple[Recommender, Problem, Tape, dict[str, Any]]:
    """A request on a copy of the trained backbone; the state is prepared unless given."""
    unlearner, tape = method(**options), Tape()
    task = task or problem("interaction", backbone=backbone)
    torch.manual_seed(0)
    if state is None:
        task = ready(unlearner, trained(backbone), task)
    else:
        task = dataclasses.replace(task, prepared=state)
    torch.manual_seed(0)
    model = private_copy(trained(backbone), task)
    result = unlearner.unlearn(model, task, tape)
    assert result.model is model
    return model, task, tape, result.notes


def watch_adam(monkeypatch: pytest.MonkeyPatch) -> list[list[nn.Parameter]]:
    """The parameters that each optimiser was given."""
    given: list[list[nn.Parameter]] = []

    def spied(parameters: Iterable[nn.Parameter], learning_rate: float) -> torch.optim.Adam:
        given.append(list(parameters))
        return adam(given[-1], learning_rate)

    monkeypatch.setattr(unlearnrec, "adam", spied)
    return given
