"""One cell, from left to right: setting (data, request, original, gold), unlearn, evaluate, audit."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from bench.audits.base import AuditContext, Audited, run_audits
from bench.cell.setting import CellSetting, SettingStage
from bench.cell.unlearn import Unlearned, UnlearnStage
from bench.config.registry import load_class
from bench.config.schema import CellConfig
from bench.machine.devices import describe
from bench.machine.seeding import deterministic
from bench.machine.timing import Stopwatch
from bench.measure.yardstick import Measured, Measurement
from bench.plan.planner import PlannedCell
from bench.plan.request import regime_of
from bench.record.names import BREAK_EVEN, CONTENDED, SPEEDUP, SPEEDUP_TO_END
from bench.record.progress import phase
from bench.train.loop import TrainingRecord
from datasets.requests import DeletionRequest
from models.base import Recommender
from unlearning import GOLD_METHOD

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
            rules = self.config.evaluate
            yardstick = Measurement(
                setting.full,
                setting.retain,
                setting.request,
                rules.chunk_scores,
                rules.candidates,
                rules.lists,
            )
            probe = yardstick.trajectory_point if self.config.evaluate.trajectory else None
            phase("unlearning")
            unlearned = self.unlearning.run(setting, probe)
            return self._measured(setting, yardstick, unlearned)

    def _measured(self, setting: CellSetting, yardstick: Measurement, unlearned: Unlearned) -> CellResult:
        phase("evaluating")
        model = unlearned.result.model
        graph = self.config.method.options.graph_at_evaluation
        measured = yardstick.apply(model, graph, setting.gold.model)
        audited = self._audited(setting, model)
        costs = self._costs(unlearned, setting.gold.record)
        return CellResult(
            model,
            dataclasses.replace(measured, metrics={**measured.metrics, **costs, **audited.metrics}),
            setting.request,
            setting.original.record,
            setting.gold.record,
            unlearned.recorder.points,
            unlearned.result.notes,
            audited.arrays,
        )

    def _audited(self, setting: CellSetting, model: Recommender) -> Audited:
        options = self.config.audit.options
        kinds = [
            partial(load_class("audit", name), options=options[name]) for name in self.config.audit.audits
        ]
        if not kinds:
            return Audited()
        phase("auditing")
        references = {"original": setting.original.model, "gold": setting.gold.model}
        workshop = self.unlearning.workshop(Stopwatch(self.setting.device))  # off the method's clock
        context = AuditContext(
            setting.full,
            setting.retain,
            setting.request,
            self.config.seed,
            self.config.evaluate.chunk_scores,
            self.config.train,
            references,
            lambda data, purpose: workshop.trained(data, purpose).model,
            self.config.evaluate.candidates,
        )
        return run_audits(kinds, {"": model, **references}, context)

    def _costs(self, unlearned: Unlearned, gold: TrainingRecord) -> dict[str, float]:
        """Seconds and device-free cost (docs/protocol.md); what is not known is absent.

        Gold as a method is its recorded training, by every clock and count.
        """
        own: Unlearned | TrainingRecord = unlearned
        if self.config.method.name == GOLD_METHOD:
            own = gold
        costs = {
            "time/unlearn_seconds": unlearned.online_seconds,
            "time/offline_seconds": unlearned.offline_seconds,
            "time/warmup_seconds": unlearned.warmup_seconds,
            "time/gold_train_seconds": gold.seconds,
            "time/gold_train_seconds_to_best": gold.seconds_to_best,
            "time/processor_share": own.processor_share,
            "cost/unlearn_examples": unlearned.recorder.num_examples,
            "cost/unlearn_steps": unlearned.recorder.num_steps,
            "cost/unlearn_propagations": own.propagations,
            "cost/gold_examples": gold.examples,
            "cost/gold_steps": gold.steps,
            "cost/gold_propagations": gold.propagations,
        }
        forgets = regime_of(self.config.regime).forgets
        if forgets and unlearned.online_seconds > 0 and gold.device == describe(self.setting.device):
            costs |= {SPEEDUP: 1.0, SPEEDUP_TO_END: 1.0} if own is gold else speedups(unlearned, gold)
            costs[CONTENDED] = contended(own.processor_share, gold.processor_share)
        return {name: float(value) for name, value in costs.items() if value is not None}


def speedups(unlearned: Unlearned, gold: TrainingRecord) -> dict[str, float]:
    """Gold's seconds over the method's, and the number of requests after which a preparation has paid off:
    absent where there was none, or where retraining is as fast."""
    online, offline = unlearned.online_seconds, unlearned.offline_seconds
    found = {SPEEDUP: gold.seconds_to_best / online, SPEEDUP_TO_END: gold.seconds / online}
    if offline > 0 and online < gold.seconds_to_best:
        found[BREAK_EVEN] = offline / (gold.seconds_to_best - online)
    return found


def contended(*shares: float | None) -> bool | None:
    """Whether one of two clocks had to share its processors; None where that is not known."""
    if any(share is not None and share < CONTENDED_BELOW for share in shares):
        return True
    return None if None in shares else False
