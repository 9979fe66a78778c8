"""A stream from left to right: each request is served on the model that the one before it left.

Request n gets the data after request n - 1 as the whole data, the data after itself as the rest, the model
and the state that request n - 1 left, and nothing else. At a checkpoint the model is measured against all
that was asked so far, beside a gold model of the same rest.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from bench.cache.models import CachedModel
from bench.cell.pipeline import audited_by, costs_of, intervals, yardstick_of
from bench.cell.setting import CellSetting
from bench.cell.unlearn import Unlearned, UnlearnStage, repair_reason, users_of
from bench.cell.workshop import fresh_model
from bench.config.registry import load_class
from bench.config.schema import CellConfig
from bench.machine.devices import peak_memory, reset_peak_memory
from bench.machine.seeding import deterministic
from bench.machine.timing import Stopwatch
from bench.measure.yardstick import Measured
from bench.planning.planner import PlannedCell
from bench.record.progress import phase
from bench.stream.kept import KeptStream, SoFar
from bench.stream.served import Served, latency, spent_on
from bench.stream.setting import Rest, StreamSetting, StreamSettingStage, one_request
from bench.train.record import TrainingRecord
from datasets.interactions import InteractionData
from datasets.requests import DeletionRequest
from models.base import Recommender
from unlearning import REFERENCE_METHODS


@dataclass(frozen=True)
class StreamResult:
    """What a stream measured: ``metrics`` by number of requests served, ``last`` at the last checkpoint."""

    metrics: dict[int, dict[str, float]]
    last: Measured
    model: Recommender
    asked: DeletionRequest
    served: list[Served]
    original: TrainingRecord
    gold: TrainingRecord
    notes: dict[str, Any] = field(default_factory=dict)
    audit_arrays: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class _Checkpoint:
    setting: CellSetting
    measured: Measured
    arrays: dict[str, Tensor]


class StreamPipeline:
    """The stages of a cell that serves a stream; ``run`` goes through them in order."""

    def __init__(self, cell: PlannedCell) -> None:
        self.config: CellConfig = cell.config
        self.setting = StreamSettingStage(cell)
        self.unlearning = UnlearnStage(cell, self.setting)
        method = load_class("method", self.config.method.name)(self.config.method.options)
        about: dict[str, Any] = {
            "role": f"stream of {self.config.method.name}",
            "dataset": self.config.dataset.name,
        }
        about |= {"backbone": self.config.backbone.identity(), "seed": self.config.seed}
        self.kept = KeptStream(self.config.cache.dir, cell.keys.cell, method, about)

    def run(self) -> StreamResult:
        """Serve the stream. Nothing is recorded in MLflow here."""
        with deterministic(self.config.run.deterministic):
            stream = self.setting.load_stream()
            if self.config.method.name in REFERENCE_METHODS:
                return self._reference(stream)
            return self._served(stream)

    def _served(self, stream: StreamSetting) -> StreamResult:
        so_far = self.kept.latest(lambda count: self._blank(stream, count), self.setting.device)
        so_far = so_far or SoFar(stream.original.model)
        rest = Rest(self.setting, stream)
        for request in stream.requests[: len(so_far.served)]:
            rest.without(request)
        checkpoint = None
        for number in range(len(so_far.served), len(stream.requests)):
            so_far = self._serve(stream, rest, number, so_far)
            if number in stream.checkpoints:
                setting, last = self.setting.at(stream, number), number == stream.checkpoints[-1]
                checkpoint = self._checkpoint(setting, stream.watched, so_far, last)
                so_far.metrics[number + 1] = checkpoint.measured.metrics
            if number + 1 < len(stream.requests):  # lists and arrays of the last go to MLflow alone
                self.kept.offer(so_far, at_once=number in stream.checkpoints)
        assert checkpoint is not None, "the last request is a checkpoint"
        return self._result(stream, checkpoint, so_far)

    def _serve(self, stream: StreamSetting, rest: Rest, number: int, so_far: SoFar) -> SoFar:
        """One more request; the model stays as it was where it was not served in time."""
        phase(f"serving request {number + 1} of {len(stream.requests)}")
        limit, request = self.config.stream.max_seconds, stream.requests[number]
        spent = sum(one.seconds for one in so_far.served)
        before, after = rest.data, rest.without(request)
        if limit is not None and spent >= limit:
            return dataclasses.replace(so_far, served=[*so_far.served, Served.never(number + 1, request)])
        kept = copy.deepcopy(so_far.model) if limit is not None and number else so_far.model
        reset_peak_memory(self.setting.device)
        model = CachedModel(so_far.model, stream.original.record, found=True)
        unlearned = self.unlearning.run(
            one_request(before, after, request, model),
            None,
            number,
            so_far.state,
            thorough=number == 0 or number in stream.checkpoints,
        )
        in_time = limit is None or spent + unlearned.online_seconds <= limit
        memory = peak_memory(self.setting.device)
        served = [*so_far.served, Served.of(number + 1, request, unlearned, memory, in_time)]
        before_first = so_far.spent_before
        if number == 0:
            before_first = unlearned.offline_seconds, unlearned.warmup_seconds
        result, metrics = unlearned.result, so_far.metrics
        if not in_time:
            return SoFar(kept, so_far.state, served, metrics, before_first)
        return SoFar(result.model, result.state, served, metrics, before_first)

    def _reference(self, stream: StreamSetting) -> StreamResult:
        """A reference system serves nobody between checkpoints: at each it faces the one request for all."""
        served: list[Served] = []
        metrics: dict[int, dict[str, float]] = {}
        for index in stream.checkpoints:
            setting = self.setting.at(stream, index)
            unlearned = self.unlearning.run(setting, None)
            memory = peak_memory(self.setting.device)
            served.append(Served.of(index + 1, setting.request, unlearned, memory, in_time=True))
            so_far = SoFar(unlearned.result.model, served=served[-1:], spent_before=_before(unlearned))
            checkpoint = self._checkpoint(setting, stream.watched, so_far, index == stream.checkpoints[-1])
            metrics[index + 1] = checkpoint.measured.metrics
        return self._result(stream, checkpoint, SoFar(unlearned.result.model, None, served, metrics))

    def _checkpoint(
        self, setting: CellSetting, watched: Tensor | None, so_far: SoFar, last: bool
    ) -> _Checkpoint:
        """Everything that a one-shot cell measures, on all that was asked so far; audits at the end alone."""
        phase("evaluating")
        graph = self.config.method.options.graph_at_evaluation
        users = users_of(self.config, setting)
        yardstick = yardstick_of(self.config, setting, users, watched)
        measured = yardstick.apply(so_far.model, graph, setting.gold.model)
        spent = spent_on(so_far.served, *so_far.spent_before)
        metrics = {**measured.metrics, **latency(so_far.served)}
        if users is not None:
            metrics |= intervals(measured.per_user, self.config.seed)
        metrics |= costs_of(self.config, spent, setting.gold.record, self.setting.device, {})
        reasons = dict(measured.not_applicable)
        if self.config.applied_repair.batches and repair_reason(so_far.model):
            reasons["repair"] = repair_reason(so_far.model)
        arrays: dict[str, Tensor] = {}
        if last:
            workshop = self.unlearning.workshop(Stopwatch(self.setting.device))
            audited = audited_by(self.config, setting, {"": so_far.model}, workshop, users)
            metrics, arrays = metrics | audited.metrics, audited.arrays
            reasons |= audited.not_applicable
        whole = dataclasses.replace(measured, metrics=metrics, not_applicable=reasons)
        return _Checkpoint(setting, whole, arrays)

    def _blank(self, stream: StreamSetting, count: int) -> tuple[Recommender, InteractionData]:
        """An untrained model, bound to what ``count`` requests left."""
        rest = Rest(self.setting, stream)
        for request in stream.requests[:count]:
            rest.without(request)
        return fresh_model(self.config.backbone, rest.data, self.config.seed), rest.data

    def _result(self, stream: StreamSetting, checkpoint: _Checkpoint, so_far: SoFar) -> StreamResult:
        return StreamResult(
            so_far.metrics,
            checkpoint.measured,
            so_far.model,
            checkpoint.setting.request,
            list(so_far.served),
            stream.original.record,
            checkpoint.setting.gold.record,
            dict(so_far.served[-1].notes),
            checkpoint.arrays,
        )


def _before(unlearned: Unlearned) -> tuple[float, float]:
    return unlearned.offline_seconds, unlearned.warmup_seconds
