"""A cell run by the pipeline itself, watched at its seams: what training, the method, the yardstick and the
audits are handed. Nothing of the way is rebuilt here."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.audits import base as audits_base
from bench.cell import pipeline as pipeline_module
from bench.cell import setting as setting_module
from bench.cell.pipeline import CellPipeline, CellResult
from bench.config.registry import load_class
from bench.measure.yardstick import Measured, Measurement
from bench.planning.planner import PlannedCell
from datasets.interactions import InteractionData, RawDataset
from models.base import Recommender
from tests.bench.cell.test_pipeline import planned
from unlearning.base import Problem, Recorder, UnlearnResult

Change = Callable[[RawDataset], RawDataset]


@dataclass
class Observed:
    """What was seen: data by role of each training, what the method got and left, what was measured."""

    cell: PlannedCell
    trained_on: dict[str, InteractionData] = field(default_factory=dict)
    problem: Problem | None = None
    entry_model: Recommender | None = None
    measured_model: Recommender | None = None
    measured_graph: str = ""
    measured_gold: Recommender | None = None
    audited: dict[str, Recommender] = field(default_factory=dict)
    read: RawDataset | None = None
    result: CellResult | None = None

    @property
    def task(self) -> Problem:
        """The problem that the method got."""
        assert self.problem is not None
        return self.problem

    @property
    def outcome(self) -> CellResult:
        """What the pipeline returned."""
        assert self.result is not None
        return self.result


def observe(
    folder: Path,
    *overrides: str,
    change: Change | None = None,
    audited: bool = False,
) -> Observed:
    """Run a planned tiny cell and watch it; ``change`` alters the data set as it is read."""
    seen = Observed(planned(folder, *overrides))
    with pytest.MonkeyPatch.context() as patch:
        _watch_reading(patch, seen, change)
        _watch_training(patch, seen)
        _watch_method(patch, seen)
        _watch_measuring(patch, seen)
        if audited:
            _watch_audits(patch, seen)
        seen.result = CellPipeline(seen.cell).run()
    return seen


def _watch_reading(patch: pytest.MonkeyPatch, seen: Observed, change: Change | None) -> None:
    read = setting_module.read_checked

    def changed(reader: Any) -> RawDataset:
        seen.read = change(read(reader)) if change else read(reader)
        return seen.read

    patch.setattr(setting_module, "read_checked", changed)


def _watch_training(patch: pytest.MonkeyPatch, seen: Observed) -> None:
    train, trained = setting_module.train, setting_module.SettingStage._trained

    def noted(self: Any, role: str, data: InteractionData, **keys: Any) -> Any:
        seen.trained_on[f"asked {role}"] = data
        return trained(self, role, data, **keys)  # type: ignore[arg-type]

    def spied(model: Recommender, data: InteractionData, *rest: Any, **named: Any) -> Any:
        role = list(seen.trained_on)[-1].removeprefix("asked ")
        seen.trained_on[role] = data
        return train(model, data, *rest, **named)

    patch.setattr(setting_module.SettingStage, "_trained", noted)
    patch.setattr(setting_module, "train", spied)


def _watch_method(patch: pytest.MonkeyPatch, seen: Observed) -> None:
    kind = load_class("method", seen.cell.config.method.name)
    unlearn = kind.unlearn

    def spied(self: Any, original: Recommender, problem: Problem, recorder: Recorder) -> UnlearnResult:
        seen.problem, seen.entry_model = problem, copy.deepcopy(original)
        result: UnlearnResult = unlearn(self, original, problem, recorder)
        return result

    patch.setattr(kind, "unlearn", spied)


def _watch_measuring(patch: pytest.MonkeyPatch, seen: Observed) -> None:
    apply = Measurement.apply

    def spied(self: Measurement, model: Recommender, graph: str, gold: Recommender) -> Measured:
        if seen.measured_model is None:  # what is beside the unlearned model comes after it
            seen.measured_model, seen.measured_graph = copy.deepcopy(model), graph
        seen.measured_gold = copy.deepcopy(gold)
        return apply(self, model, graph, gold)

    patch.setattr(Measurement, "apply", spied)


def _watch_audits(patch: pytest.MonkeyPatch, seen: Observed) -> None:
    def spied(kinds: Sequence[Any], models: Mapping[str, Recommender], context: Any) -> Any:
        seen.audited = {role: copy.deepcopy(model) for role, model in models.items()}
        return audits_base.run_audits(kinds, models, context)

    patch.setattr(pipeline_module, "run_audits", spied)


def outputs(model: Recommender) -> Tensor:
    """Scores of all users on all items [num_users, num_items], in evaluation mode."""
    with torch.no_grad():
        return model.eval().scores(torch.arange(model.num_users))


def bound_outputs(model: Recommender, data: InteractionData) -> Tensor:
    """The same of a copy that is bound to ``data`` anew."""
    own = copy.deepcopy(model)
    own.bind(data)
    return outputs(own)


def keys(pairs: Tensor, num_items: int) -> set[int]:
    """Pairs [2, P] as single numbers."""
    return set((pairs[0] * num_items + pairs[1]).tolist())


def moved_pairs(raw: RawDataset, users: Sequence[int], seed: int) -> RawDataset:
    """The data set with other training items for ``users``, as many as before and none of their own."""
    generator, train = np.random.default_rng(seed), raw.train.copy()
    for user in users:
        own = train[0] == user
        others = [np.unique(split[1][split[0] == user]) for split in (raw.train, raw.valid, raw.test)]
        free = np.setdiff1d(np.unique(raw.train[1]), np.concatenate(others))
        train[1, own] = generator.choice(free, own.sum(), replace=False)
    return replace(raw, train=train)
