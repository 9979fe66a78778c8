"""One cell, from left to right: setting (data, request, original, gold), unlearn, evaluate, audit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from bench.audits.base import AuditContext, Audited, run_audits
from bench.audits.statistics import mean_with_interval
from bench.cell.setting import CellSetting, SettingStage
from bench.cell.unlearn import Spent, Unlearned, UnlearnStage, repair_reason, users_of
from bench.config.registry import load_class
from bench.config.schema import CellConfig
from bench.machine.devices import describe
from bench.machine.seeding import derive, deterministic
from bench.machine.timing import Stopwatch
from bench.measure.yardstick import Measured, Measurement
from bench.planning.planner import PlannedCell
from bench.planning.request import regime_of
from bench.record.names import (
    BASE_SECONDS_PER_LIST,
    BREAK_EVEN,
    BREAK_EVEN_LISTS,
    CONTENDED,
    SECONDS_PER_LIST,
    SPEEDUP,
    SPEEDUP_TO_END,
)
from bench.record.progress import phase
from bench.train.record import TrainingRecord
from datasets.requests import DeletionRequest
from models.base import Recommender
from unlearning import GOLD_METHOD
from unlearning.base import Workshop

CONTENDED_BELOW = 0.8
"""Processor share of a clock under which its seconds are those of a machine that had other things to do."""


@dataclass(frozen=True)
class CellResult:
    """What one cell measured, and the model that it measured."""

    model: Recommender
    measured: Measured
    request: DeletionRequest
    original: TrainingRecord
    gold: TrainingRecord
    trajectory: list[dict[str, float]]
    notes: dict[str, Any]
    audit_arrays: dict[str, Tensor]


class CellPipeline:
    """The stages of one cell; ``run`` goes through them in order."""

    def __init__(self, cell: PlannedCell) -> None:
        self.config: CellConfig = cell.config
        self.setting = SettingStage(cell)
        self.unlearning = UnlearnStage(cell, self.setting)

    def run(self) -> CellResult:
        """Run the cell. Nothing is recorded in MLflow here."""
        with deterministic(self.config.run.deterministic):
            setting = self.setting.load()
            users = users_of(self.config, setting)
            yardstick = yardstick_of(self.config, setting, users)
            probe = yardstick.trajectory_point if self.config.evaluate.trajectory else None
            phase("unlearning")
            unlearned = self.unlearning.run(setting, probe)
            return self._measured(setting, yardstick, unlearned, users)

    def _measured(
        self, setting: CellSetting, yardstick: Measurement, unlearned: Unlearned, users: Tensor | None
    ) -> CellResult:
        phase("evaluating")
        model = unlearned.result.model
        graph = self.config.method.options.graph_at_evaluation
        measured = yardstick.apply(model, graph, setting.gold.model)
        beside = unlearned.result.beside
        figures = dict(measured.metrics)
        for role, other in beside.items():
            others = yardstick.apply(other, graph, setting.gold.model).metrics
            figures |= {f"{role}/{name}": value for name, value in others.items()}
        if users is not None:
            figures |= intervals(measured.per_user, self.config.seed)
        workshop = self.unlearning.workshop(Stopwatch(self.setting.device))  # off the method's clock
        audited = audited_by(self.config, setting, {"": model, **beside}, workshop, users)
        figures |= audited.metrics
        served = unlearned.result.served
        figures |= costs_of(
            self.config,
            unlearned.spent,
            setting.gold.record,
            self.setting.device,
            {} if served is None else served(),
        )
        reasons = measured.not_applicable | audited.not_applicable
        if self.config.applied_repair.batches and repair_reason(model):
            reasons["repair"] = repair_reason(model)
        return CellResult(
            model,
            dataclasses.replace(measured, metrics=figures, not_applicable=reasons),
            setting.request,
            setting.original.record,
            setting.gold.record,
            unlearned.recorder.points,
            unlearned.result.notes,
            audited.arrays,
        )


def yardstick_of(
    config: CellConfig, setting: CellSetting, users: Tensor | None, watched: Tensor | None = None
) -> Measurement:
    """What is measured on any model of a request; ``users`` and ``watched`` as ``Measurement`` has them."""
    rules = config.evaluate
    own = rules.chunk_scores, rules.candidates, rules.lists, users, watched
    return Measurement(setting.full, setting.retain, setting.request, *own)


def audited_by(
    config: CellConfig,
    setting: CellSetting,
    models: Mapping[str, Recommender],
    workshop: Workshop,
    users: Tensor | None,
) -> Audited:
    """The audits of a cell on what its method left, by role ("" is the model), the original and gold."""
    options = config.audit.options
    kinds = [partial(load_class("audit", name), options=options[name]) for name in config.audit.audits]
    if not kinds:
        return Audited()
    phase("auditing")
    references = {"original": setting.original.model, "gold": setting.gold.model}
    context = AuditContext(
        setting.full,
        setting.retain,
        setting.request,
        config.seed,
        config.evaluate.chunk_scores,
        config.train,
        references,
        lambda data, purpose: workshop.trained(data, purpose).model,
        config.evaluate.candidates,
        users,
    )
    return run_audits(kinds, {**models, **references}, context)


def costs_of(
    config: CellConfig,
    spent: Spent,
    gold: TrainingRecord,
    device: torch.device,
    served: Mapping[str, float],
) -> dict[str, float]:
    """Seconds and device-free cost (docs/protocol.md); what is not known is absent.

    Gold as a method is its recorded training, by every clock and count. ``served`` are figures of a model's
    use, by MLflow name.
    """
    own: Spent | TrainingRecord = gold if config.method.name == GOLD_METHOD else spent
    costs = {
        "time/unlearn_seconds": spent.online_seconds,
        "time/offline_seconds": spent.offline_seconds,
        "time/warmup_seconds": spent.warmup_seconds,
        "time/gold_train_seconds": gold.seconds,
        "time/gold_train_seconds_to_best": gold.seconds_to_best,
        "time/processor_share": own.processor_share,
        "cost/unlearn_examples": spent.examples,
        "cost/unlearn_steps": spent.steps,
        "cost/unlearn_propagations": own.propagations,
        "cost/gold_examples": gold.examples,
        "cost/gold_steps": gold.steps,
        "cost/gold_propagations": gold.propagations,
    }
    forgets = regime_of(config.regime).forgets
    if forgets and spent.online_seconds > 0 and gold.device == describe(device):
        costs |= {SPEEDUP: 1.0, SPEEDUP_TO_END: 1.0} if own is gold else speedups(spent, gold)
        costs[CONTENDED] = contended(own.processor_share, gold.processor_share)
    if served:
        costs |= {**served, **break_even_lists(gold.seconds_to_best - spent.online_seconds, served)}
    return {name: float(value) for name, value in costs.items() if value is not None}


def speedups(spent: Spent, gold: TrainingRecord) -> dict[str, float]:
    """Gold's seconds over the method's, per request, and the number of requests after which a preparation has
    paid off: absent where there was none, or where retraining is as fast."""
    online, offline = spent.online_seconds / spent.requests, spent.offline_seconds
    found = {SPEEDUP: gold.seconds_to_best / online, SPEEDUP_TO_END: gold.seconds / online}
    if offline > 0 and online < gold.seconds_to_best:
        found[BREAK_EVEN] = offline / (gold.seconds_to_best - online)
    return found


def break_even_lists(saved: float, served: Mapping[str, float]) -> dict[str, float]:
    """After how many served lists retraining would have been cheaper: the ``saved`` seconds over those that a
    list takes longer than the base's. Absent where a list takes no longer; 0 where nothing was saved."""
    longer = served.get(SECONDS_PER_LIST, 0.0) - served.get(BASE_SECONDS_PER_LIST, 0.0)
    return {BREAK_EVEN_LISTS: max(saved, 0.0) / longer} if longer > 0 else {}


def intervals(per_user: Mapping[str, Tensor], seed: int) -> dict[str, float]:
    """95 % intervals over the users of a sample, by bootstrap: ``<metric>_low`` and ``<metric>_high``."""
    found: dict[str, float] = {}
    for name, values in per_user.items():
        if not name.endswith("/users") and len(values) > 1:
            ends = mean_with_interval(name, values.double().numpy(), derive(seed, f"measured users: {name}"))
            found |= {end: value for end, value in ends.items() if end != name}
    return found


def contended(*shares: float | None) -> bool | None:
    """Whether one of two clocks had to share its processors; None where that is not known."""
    if any(share is not None and share < CONTENDED_BELOW for share in shares):
        return True
    return None if None in shares else False
