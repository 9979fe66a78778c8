"""One method on one setting: preparation on the offline clock, then the request on the online clock.

A method receives no test pair and, unless it is a reference system, cannot reach gold; what it changes in
place outside its own model fails the cell.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.cache.models import CachedModel
from bench.cache.prepared import Prepared, PreparedCache, preparing
from bench.cell.recorder import Lent, Probe, TrajectoryRecorder
from bench.cell.repair import repair_stage
from bench.cell.setting import RequestSetting, SettingStage
from bench.cell.workshop import CellWorkshop
from bench.config.registry import load_class
from bench.config.schema import CellConfig, Choice, as_json
from bench.machine.devices import describe
from bench.machine.seeding import generator, seed_everything
from bench.machine.timing import Stopwatch
from bench.measure.targets import measured_users
from bench.planning.keys import prepared_key
from bench.planning.planner import PlannedCell
from bench.train.loop import warm_up
from bench.train.objective import matmul_precision
from datasets.errors import place
from models.base import Recommender
from models.capabilities import Capability, reason_against
from unlearning import REFERENCE_METHODS
from unlearning.base import Problem, Setting, Trained, UnlearningMethod, UnlearnResult

FITTED_ON_VALIDATION = "fitted_on_validation"
"""Note of a cell whose weights were fitted on validation labels (``UnlearningMethod``)."""


class UnlearningDiverged(RuntimeError):
    """The method left weights that are not numbers: there is nothing to measure.

    ``online_seconds`` is what it took nevertheless.
    """

    def __init__(self, online_seconds: float) -> None:
        super().__init__("the unlearned weights are not finite: take smaller steps or fewer epochs")
        self.online_seconds = online_seconds


class ProblemChanged(RuntimeError):
    """The method changed, in place, what it was only lent."""


class WrongResult(TypeError):
    """The method returned something else than an ``UnlearnResult`` with a model."""


@dataclass(frozen=True)
class Spent:
    """What unlearning took, in seconds and without a device, over ``requests`` requests."""

    online_seconds: float
    offline_seconds: float
    warmup_seconds: float
    examples: int
    steps: int
    propagations: int | None
    processor_share: float | None
    requests: int = 1


@dataclass(frozen=True)
class Unlearned:
    """What a method left, and what it took.

    ``online_seconds`` is the method's own clock (for reference systems the recorded one), with its
    ``propagations`` and ``processor_share`` (None: not known), ``offline_seconds`` what can happen before any
    request, ``warmup_seconds`` a discarded pass before the clock.
    """

    result: UnlearnResult
    online_seconds: float
    offline_seconds: float
    warmup_seconds: float
    recorder: TrajectoryRecorder
    propagations: int | None
    processor_share: float | None

    @property
    def spent(self) -> Spent:
        """What it took."""
        return Spent(
            self.online_seconds,
            self.offline_seconds,
            self.warmup_seconds,
            self.recorder.num_examples,
            self.recorder.num_steps,
            self.propagations,
            self.processor_share,
        )


class UnlearnStage:
    """Runs the method of a cell, on its one request or on each of a stream.

    Args:
        cell: its method and options.
        stage: where its setting came from.
    """

    def __init__(self, cell: PlannedCell, stage: SettingStage) -> None:
        self._config: CellConfig = cell.config
        self._data_key, self._original_key = cell.keys.data, cell.keys.original
        self._states = PreparedCache(cell.config.cache.dir)
        self._graphs, self._models, self._device = stage.graphs, stage.models, stage.device
        self._lent = Lent()

    def run(
        self,
        setting: RequestSetting,
        probe: Probe | None,
        number: int = 0,
        state: Any = None,
        thorough: bool = True,
    ) -> Unlearned:
        """Unlearn.

        Args:
            setting: of the request; later than the first, its original is handed over and changed in place.
            probe: measures each epoch, off the clock.
            number: of the request in its stream, from 0. Before the first the method may prepare.
            state: what the method handed to this request, later than the first.
            thorough: whether all content that the method was lent is read again.

        Raises:
            UnlearningDiverged: if the weights that are left are not finite.
            ProblemChanged: if data or request are no longer what they were.
            WrongResult: if the method returns no ``UnlearnResult``.
        """
        lent = setting.without_test()
        method: UnlearningMethod = load_class("method", self._config.method.name)(self._config.method.options)
        prepared, offline_seconds = self._prepared(method, lent) if number == 0 else (state, 0.0)
        watch = Stopwatch(self._device)
        problem = dataclasses.replace(self._problem(lent, watch, number), prepared=prepared)
        recorder = TrajectoryRecorder(watch, probe)
        before = self._lent.digest(problem, thorough=False)
        result, warmup_seconds = self._unlearn(method, lent.original.model, problem, watch, recorder, number)
        if self._lent.digest(problem, thorough) != before:
            raise ProblemChanged(
                f"method {self._config.method.name} changed the data or the request in place: "
                "let it work on copies"
            )
        if method.fitted_on_validation:
            result.notes[FITTED_ON_VALIDATION] = True
        online = watch.seconds if result.online_seconds is None else result.online_seconds
        return Unlearned(
            result=result,
            online_seconds=online,
            offline_seconds=result.offline_seconds + offline_seconds,
            warmup_seconds=warmup_seconds,
            recorder=recorder,
            propagations=watch.propagations,
            processor_share=watch.processor_share,
        )

    def workshop(self, watch: Stopwatch, number: int = 0) -> CellWorkshop:
        """Where further backbones are trained; what that took goes on ``watch``.

        What is trained for a later request of a stream serves nobody else: it stays out of the cache.
        """
        return CellWorkshop(self._config, self._data_key, None if number else self._models, watch)

    def _unlearn(
        self,
        method: UnlearningMethod,
        original: Recommender,
        problem: Problem,
        watch: Stopwatch,
        recorder: TrajectoryRecorder,
        number: int,
    ) -> tuple[UnlearnResult, float]:
        options = self._config.method.options
        model, warmup_seconds = original, 0.0
        if number == 0:
            model = copy.deepcopy(original)
            if not reason_against(model, [Capability.TRAINING]):
                warmup_seconds = warm_up(model, problem.retain, problem.batch_size)
        else:  # as it would be found again after an interruption
            model.train()
            if options.graph_at_unlearning == "full":
                model.bind(problem.full)
        seed_everything(self._config.seed, self._purpose(number))
        bound_to = {"full": problem.full, "retain": problem.retain}
        if "retain" in (options.graph_at_unlearning, options.graph_at_evaluation):
            watch.add(self._graphs.seconds(problem.retain, besides=problem.full))
        with watch.running(), matmul_precision(self._config.train.matmul_precision):
            if options.graph_at_unlearning != "full":
                model.bind(bound_to[options.graph_at_unlearning])
            result = checked(method.unlearn(model, problem, recorder), method)
            result.model.zero_grad(set_to_none=True)  # a method need not clear up after itself
            self._repair(result, problem, watch, recorder)
            if options.graph_at_evaluation != options.graph_at_unlearning:
                result.model.bind(bound_to[options.graph_at_evaluation])
        if not all(bool(torch.isfinite(parameter).all()) for parameter in result.model.parameters()):
            raise UnlearningDiverged(watch.seconds)
        return result, warmup_seconds

    def _prepared(self, method: UnlearningMethod, setting: RequestSetting) -> tuple[object, float]:
        """What the method makes ready before any request, and the seconds that took."""
        if type(method).prepare is UnlearningMethod.prepare:
            return None, 0.0
        method = preparing(method)
        if not method.keeps_prepared:
            made = self._prepare(method, setting)
        else:
            device = dataclasses.asdict(describe(self._device))
            choice = Choice(self._config.method.name, method.options)
            key = prepared_key(self._original_key, choice, device)
            about = {
                "role": f"preparation of {choice.name}",
                "dataset": self._config.dataset.name,
                "backbone": self._config.backbone.identity(),
                "method": as_json(method.options),
                "seed": self._config.seed,
                "device": device,
            }
            made = self._states.get_or_prepare(
                key, self._device, lambda: self._prepare(method, setting), about
            )
        return made.state, made.seconds

    def _prepare(self, method: UnlearningMethod, setting: RequestSetting) -> Prepared:
        config, watch = self._config, Stopwatch(self._device)
        purpose = f"prepare:{config.method.name}"
        known = Setting(
            data=setting.full,
            generator=generator(config.seed, purpose, self._device),
            batch_size=config.train.batch_size,
            learning_rate=config.train.learning_rate,
            workshop=self.workshop(watch),
        )
        own = copy.deepcopy(setting.original.model)
        seed_everything(config.seed, purpose)
        with watch.running():
            state = method.prepare(own, known)
        return Prepared(state, watch.seconds)

    def _repair(
        self, result: UnlearnResult, problem: Problem, watch: Stopwatch, recorder: TrajectoryRecorder
    ) -> None:
        """The repair stage, on the method's clock; its batches are the same for every method."""
        stage, seed, before = self._config.applied_repair, self._config.seed, watch.seconds
        if stage.batches == 0 or repair_reason(result.model):
            return
        seed_everything(seed, "repair")
        own = dataclasses.replace(problem, generator=generator(seed, "repair", self._device))
        repair_stage(result.model, own, stage, recorder)
        if result.online_seconds is not None:
            result.online_seconds += watch.seconds - before

    def _problem(self, setting: RequestSetting, watch: Stopwatch, number: int) -> Problem:
        return Problem(
            full=setting.full,
            retain=setting.retain,
            request=setting.request,
            generator=generator(self._config.seed, self._purpose(number), self._device),
            batch_size=self._config.train.batch_size,
            learning_rate=self._config.train.learning_rate,
            gold=gold_for(self._config.method.name, setting.gold),
            workshop=self.workshop(watch, number),
            users=users_of(self._config, setting),
            keeps=self._config.cache.dir / "kept" / self._config.method.name,
        )

    def _purpose(self, number: int) -> str:
        """Of the random streams of a request; a stream of one is the one request."""
        return f"unlearn:{self._config.method.name}" + (f":{number}" if number else "")


def users_of(config: CellConfig, setting: RequestSetting) -> Tensor | None:
    """The users [U] on whom every model of the cell is measured; None for everybody."""
    asked = config.evaluate.users
    return measured_users(setting.full, setting.request, asked.count, asked.seed)


def repair_reason(model: Recommender) -> str:
    """Why the repair stage cannot be had on a model, "" where it can."""
    return reason_against(model, [Capability.TRAINING])


def checked(result: Any, method: UnlearningMethod) -> UnlearnResult:
    """What ``unlearn`` returned, if it is what the contract says. Raises ``WrongResult``."""
    if isinstance(result, UnlearnResult) and isinstance(result.model, Recommender):
        return result
    inner = f" of {type(result.model).__name__}" if isinstance(result, UnlearnResult) else ""
    unlearn = inspect.unwrap(type(method).unlearn)
    where = place(Path(inspect.getfile(unlearn)), inspect.getsourcelines(unlearn)[1])
    raise WrongResult(
        f"{where}: unlearn returned {type(result).__name__}{inner}: return UnlearnResult(model)."
    )


def gold_for(method: str, gold: CachedModel | None) -> Callable[[], Trained]:
    """How a method asks for gold: reference systems get a copy, all others an error."""

    def copied() -> Trained:
        assert gold is not None, "reference systems are only run beside gold"
        record = gold.record
        return Trained(copy.deepcopy(gold.model), record.seconds, record.examples, record.steps)

    def refused() -> Trained:
        raise RuntimeError(f"method {method} asked for the gold model, which only reference systems get")

    return copied if method in REFERENCE_METHODS else refused
