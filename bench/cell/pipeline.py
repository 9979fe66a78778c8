"""One cell, from left to right: setting (data, request, original, gold), unlearn, evaluate, audit."""

from __future__ import annotations

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
from bench.record.names import SPEEDUP
from bench.record.progress import phase
from bench.train.loop import TrainingRecord
from datasets.requests import DeletionRequest
from models.base import Recommender


@dataclass(frozen=True)
class CellResult:
    """What one cell measured."""

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
            yardstick = Measurement(
                setting.full, setting.retain, setting.request, self.config.evaluate.chunk_scores
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
            Measured({**measured.metrics, **costs, **audited.metrics}, measured.per_user),
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
        )
        return run_audits(kinds, {"": model, **references}, context)

    def _costs(self, unlearned: Unlearned, gold: TrainingRecord) -> dict[str, float]:
        """Seconds and examples; the speed-up only where both times are of the same device and threads."""
        online = unlearned.online_seconds
        costs = {
            "time/unlearn_seconds": online,
            "time/offline_seconds": unlearned.offline_seconds,
            "time/warmup_seconds": unlearned.warmup_seconds,
            "time/gold_train_seconds": gold.seconds,
            "time/gold_train_seconds_to_best": gold.seconds_to_best,
            "cost/unlearn_examples": float(unlearned.recorder.num_examples),
            "cost/gold_examples": float(gold.examples),
        }
        if online > 0 and gold.device == describe(self.setting.device):
            costs[SPEEDUP] = gold.seconds / online
        return costs
