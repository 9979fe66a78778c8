"""One cell, from left to right: data, request, original, gold, unlearn, evaluate, record."""

from __future__ import annotations

import copy
import dataclasses
import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bench.audits.base import AuditContext, Audited, run_audits
from bench.cache import CachedModel, ModelCache
from bench.config import CellConfig, Choice, as_json
from bench.dataset import in_words, read_checked, reader_of
from bench.devices import describe, resolve, share_threads
from bench.item_graph_cache import ItemGraphCache
from bench.keys import prepared_key
from bench.measure import Measured, Measurement
from bench.names import BREAK_EVEN, OFFLINE_SECONDS, SPEEDUP
from bench.objective import matmul_precision
from bench.plan import PlannedCell
from bench.prepared_cache import Prepared, PreparedCache, preparing
from bench.progress import phase, progress
from bench.recorder import TrajectoryRecorder
from bench.registry import load_class
from bench.repair import repair_stage
from bench.seeding import deterministic, generator, seed_everything
from bench.timing import Stopwatch
from bench.train import TrainingRecord, train, warm_up
from bench.workshop import CellWorkshop, fresh_model
from datasets.interactions import InteractionData, to_torch
from datasets.requests import DeletionRequest, draw
from models.base import Recommender
from unlearning.base import Problem, Setting, Trained, UnlearningMethod, UnlearnResult

log = logging.getLogger(__name__)


class UnlearningDiverged(RuntimeError):
    """The method left weights that are not numbers: there is nothing to measure."""


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
        self.keys = cell.keys
        self.summary = cell.summary
        share_threads(cell.config.run.threads, cell.config.launch.jobs)
        self.device = resolve(cell.config.device)
        self.cache = ModelCache(cell.config.cache.dir)
        self.prepared = PreparedCache(cell.config.cache.dir)
        self.graphs = ItemGraphCache(cell.config.cache.dir, cell.config.backbone, cell.config.data_name)

    def run(self) -> CellResult:
        """Run the cell. Nothing is recorded in MLflow here."""
        phase("reading data")
        log.info("%s", in_words(self.config.dataset.name, self.summary))
        with deterministic(self.config.run.deterministic):
            full = to_torch(read_checked(reader_of(self.config)), self.keys.data).to(self.device)
            request = draw(self.config.regime, full)
            # A graph of full's must not come to retain: attached only once the request was applied.
            full, retain = self.graphs.attach(full), self.graphs.attach(request.apply(full))
            original = self._trained("original", self.keys.original, full)
            gold = self._trained("gold", self.keys.gold, retain)
            watch = Stopwatch(self.device)
            problem = self._problem(full, retain, request, gold, watch)
            measurement = Measurement(full, retain, request, self.config.evaluate.chunk_scores)
            return self._unlearn_and_measure(problem, measurement, original, gold, watch)

    def train_model(self, role: str) -> None:
        """Only see to it that the ``original`` or ``gold`` model is in the cache."""
        with deterministic(self.config.run.deterministic):
            full = to_torch(read_checked(reader_of(self.config)), self.keys.data).to(self.device)
            if role == "original":
                self._trained(role, self.keys.original, self.graphs.attach(full))
            else:
                retain = draw(self.config.regime, full).apply(full)
                self._trained(role, self.keys.gold, self.graphs.attach(retain))

    def _unlearn_and_measure(
        self,
        problem: Problem,
        measurement: Measurement,
        original: CachedModel,
        gold: CachedModel,
        watch: Stopwatch,
    ) -> CellResult:
        probe = measurement.trajectory_point if self.config.evaluate.trajectory else None
        recorder = TrajectoryRecorder(watch, probe)
        phase("unlearning")
        result, warmup_seconds = self._unlearn(problem, original.model, watch, recorder)
        phase("evaluating")
        graph = self.config.method.options.graph_at_evaluation
        measured = measurement.apply(result.model, graph, gold.model)
        online = watch.seconds if result.online_seconds is None else result.online_seconds
        times = self._times(online, result.offline_seconds, gold.record)
        times["time/warmup_seconds"] = warmup_seconds
        times["cost/unlearn_examples"] = float(recorder.num_examples)
        times["cost/gold_examples"] = float(gold.record.examples)
        audited = self._audited(problem, original, gold, result.model)
        metrics = {**measured.metrics, **times, **audited.metrics}
        return CellResult(
            Measured(metrics, measured.per_user),
            problem.request,
            original.record,
            gold.record,
            recorder.points,
            result.notes,
            audited.arrays,
        )

    def _audited(
        self, problem: Problem, original: CachedModel, gold: CachedModel, model: Recommender
    ) -> Audited:
        names = self.config.audit.audits
        if not names:
            return Audited()
        phase("auditing")
        chunk_scores = self.config.evaluate.chunk_scores
        references = {"original": original.model, "gold": gold.model}
        context = AuditContext(
            problem.full,
            problem.retain,
            problem.request,
            self.config.seed,
            chunk_scores,
            self.config.train,
            references,
            lambda data, purpose: self._workshop().trained(data, purpose).model,
        )
        return run_audits(names, {"": model, **references}, context)

    def _workshop(self) -> CellWorkshop:
        """Where audits train models of their own, off the method's clock."""
        return CellWorkshop(self.config, self.keys.data, self.cache, Stopwatch(self.device))

    def _unlearn(
        self, problem: Problem, original: Recommender, watch: Stopwatch, recorder: TrajectoryRecorder
    ) -> tuple[UnlearnResult, float]:
        method: UnlearningMethod = load_class("method", self.config.method.name)(self.config.method.options)
        options = self.config.method.options
        problem, offline_seconds = self._prepared(method, original, problem)
        model = copy.deepcopy(original)
        warmup_seconds = warm_up(model, problem.retain, problem.batch_size)
        seed_everything(self.config.seed, f"unlearn:{self.config.method.name}")
        bound_to = {"full": problem.full, "retain": problem.retain}
        if "retain" in (options.graph_at_unlearning, options.graph_at_evaluation):
            watch.add(self.graphs.seconds(problem.retain, besides=problem.full))
        with watch.running(), matmul_precision(self.config.train.matmul_precision):
            if options.graph_at_unlearning != "full":
                model.bind(bound_to[options.graph_at_unlearning])
            result = method.unlearn(model, problem, recorder)
            self._repair(result, problem, watch, recorder)
            if options.graph_at_evaluation != options.graph_at_unlearning:
                result.model.bind(bound_to[options.graph_at_evaluation])
        if not all(bool(torch.isfinite(parameter).all()) for parameter in result.model.parameters()):
            raise UnlearningDiverged(
                "the unlearned weights are not finite: take smaller steps or fewer epochs"
            )
        result.offline_seconds += offline_seconds
        return result, warmup_seconds

    def _prepared(
        self, method: UnlearningMethod, original: Recommender, problem: Problem
    ) -> tuple[Problem, float]:
        """The problem with what the method makes ready before any request, and the seconds that took."""
        if type(method).prepare is UnlearningMethod.prepare:
            return problem, 0.0
        method, name = preparing(method), self.config.method.name
        if not method.keeps_prepared:
            made = self._prepare(method, original, problem)
        else:
            device = dataclasses.asdict(describe(self.device))
            key = prepared_key(self.keys.original, Choice(name, method.options), device)
            about = {
                "role": f"preparation of {name}",
                "dataset": self.config.dataset.name,
                "backbone": self.config.backbone.identity(),
                "method": as_json(method.options),
                "seed": self.config.seed,
                "device": device,
            }
            made = self.prepared.get_or_prepare(
                key, self.device, lambda: self._prepare(method, original, problem), about
            )
        return dataclasses.replace(problem, prepared=made.state), made.seconds

    def _prepare(self, method: UnlearningMethod, original: Recommender, problem: Problem) -> Prepared:
        purpose, watch = f"prepare:{self.config.method.name}", Stopwatch(self.device)
        setting = Setting(
            data=problem.full,
            generator=generator(self.config.seed, purpose, self.device),
            batch_size=problem.batch_size,
            learning_rate=problem.learning_rate,
            workshop=CellWorkshop(self.config, self.keys.data, self.cache, watch),
        )
        own = copy.deepcopy(original)
        seed_everything(self.config.seed, purpose)
        with watch.running():
            state = method.prepare(own, setting)
        return Prepared(state, watch.seconds)

    def _repair(
        self, result: UnlearnResult, problem: Problem, watch: Stopwatch, recorder: TrajectoryRecorder
    ) -> None:
        """The repair stage, on the method's clock; its batches are the same for every method."""
        stage, seed, before = self.config.applied_repair, self.config.seed, watch.seconds
        if stage.batches == 0:
            return
        seed_everything(seed, "repair")
        own = dataclasses.replace(problem, generator=generator(seed, "repair", self.device))
        repair_stage(result.model, own, stage, recorder)
        if result.online_seconds is not None:
            result.online_seconds += watch.seconds - before

    def _trained(self, role: str, key: str, data: InteractionData) -> CachedModel:
        config = self.config

        def run(model: Recommender) -> TrainingRecord:
            with progress(f"training {role} {config.backbone.name} on {config.dataset.name}") as shown:
                spent = self.graphs.seconds(data)
                limit = config.evaluate.chunk_scores
                return train(model, data, config.train, config.seed, limit, shown, spent)

        about = {
            "role": role,
            "dataset": config.dataset.name,
            "backbone": config.backbone.identity(),
            "train": as_json(config.train),
            "regime": as_json(config.regime) if role == "gold" else None,
            "seed": config.seed,
        }
        found = self.cache.get_or_train(key, self._built(data), run, about)
        verb = "found in the cache" if found.found else f"trained in {found.record.seconds:.1f} s"
        log.info("%s %s: %s (valid recall@20 %.4f)", role, key, verb, found.record.best_recall)
        return found

    def _built(self, data: InteractionData) -> Recommender:
        return fresh_model(self.config.backbone, data, self.config.seed)

    def _problem(
        self,
        full: InteractionData,
        retain: InteractionData,
        request: DeletionRequest,
        gold: CachedModel,
        watch: Stopwatch,
    ) -> Problem:
        purpose = f"unlearn:{self.config.method.name}"
        return Problem(
            full=full,
            retain=retain,
            request=request,
            generator=generator(self.config.seed, purpose, self.device),
            batch_size=self.config.train.batch_size,
            learning_rate=self.config.train.learning_rate,
            gold=lambda: Trained(gold.model, gold.record.seconds, gold.record.examples),
            workshop=CellWorkshop(self.config, self.keys.data, self.cache, watch),
        )

    def _times(self, online: float, offline: float, gold: TrainingRecord) -> dict[str, float]:
        """Times in seconds; what compares them only where they are of the same device and threads.

        Break-even: the number of requests r with offline + r * online = r * gold's training.
        """
        times = {
            "time/unlearn_seconds": online,
            OFFLINE_SECONDS: offline,
            "time/gold_train_seconds": gold.seconds,
            "time/gold_train_seconds_to_best": gold.seconds_to_best,
        }
        if gold.device != describe(self.device):
            return times
        if online > 0:
            times[SPEEDUP] = gold.seconds / online
        if offline > 0 and gold.seconds > online:
            times[BREAK_EVEN] = offline / (gold.seconds - online)
        return times
