"""Trying options of a method on one setting, on validation data alone.

The setting (data, request, original, gold) is loaded once and unlearned from as often as asked. Its
data holds no test pair: the split is taken away before anything else sees the data.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from dataclasses import dataclass

from bench.cache import CachedModel
from bench.config import Choice
from bench.dataset import read_checked, reader_of
from bench.measure import Measurement
from bench.names import FORGET_RECALL, VALID_RECALL
from bench.pipeline import CellPipeline, UnlearningDiverged
from bench.plan import PlannedCell
from bench.progress import phase
from bench.recorder import TrajectoryRecorder
from bench.registry import load_class
from bench.seeding import deterministic
from bench.selection import Figures
from bench.timing import Stopwatch
from bench.trial_record import Trial
from datasets.interactions import InteractionData, to_torch
from datasets.requests import DeletionRequest, draw
from models.base import Recommender


def without_test(data: InteractionData) -> InteractionData:
    """The data with an empty test split."""
    return dataclasses.replace(data, test=data.test[:, :0])


@dataclass(frozen=True)
class Loaded:
    """What all trials of a tune share."""

    full: InteractionData
    retain: InteractionData
    request: DeletionRequest
    original: CachedModel
    gold: CachedModel
    measurement: Measurement


class TrialPipeline(CellPipeline):
    """The stages of a cell up to unlearning, then two validation figures instead of a measurement."""

    def __init__(self, cell: PlannedCell) -> None:
        super().__init__(cell)
        with deterministic(self.config.run.deterministic):
            self.loaded = self._load()

    def reference(self, role: str) -> Figures:
        """Figures of the ``original`` model (on the full graph) or the ``gold`` model."""
        return self._figures(getattr(self.loaded, role).model)

    def attempt(self, method: Choice) -> Trial:
        """Unlearn with these options and measure; diverged weights make a trial without figures.

        Raises ``InputError`` where the method refuses the options.
        """
        own = copy.copy(self)
        own.config = dataclasses.replace(self.config, method=method)
        with deterministic(self.config.run.deterministic):
            return own._attempt()

    def _load(self) -> Loaded:
        phase("reading data")
        full = without_test(to_torch(read_checked(reader_of(self.config)), self.keys.data)).to(self.device)
        request = draw(self.config.regime, full)
        # As in a cell: attached only once the request was applied.
        full, retain = self.graphs.attach(full), self.graphs.attach(request.apply(full))
        original = self._trained("original", self.keys.original, full)
        gold = self._trained("gold", self.keys.gold, retain)
        measurement = Measurement(full, retain, request, self.config.evaluate.chunk_scores)
        return Loaded(full, retain, request, original, gold, measurement)

    def _attempt(self) -> Trial:
        loaded, began, watch = self.loaded, time.perf_counter(), Stopwatch(self.device)
        load_class("method", self.config.method.name)(self.config.method.options).check(loaded.original.model)
        problem = self._problem(loaded.full, loaded.retain, loaded.request, loaded.gold, watch)
        recorder = TrajectoryRecorder(watch, None)
        phase("unlearning")
        try:
            result, _ = self._unlearn(problem, loaded.original.model, watch, recorder)
        except UnlearningDiverged:
            return Trial(None, time.perf_counter() - began, watch.seconds, 0.0)
        online = watch.seconds if result.online_seconds is None else result.online_seconds
        phase("evaluating")
        figures = self._figures(result.model)
        further = {"cost/unlearn_examples": float(recorder.num_examples), **self.further(result.model)}
        seconds = time.perf_counter() - began
        return Trial(figures, seconds, online, result.offline_seconds, further, result.notes)

    def further(self, model: Recommender) -> dict[str, float]:
        """Other figures of an unlearned model, by MLflow name: none but for studies that ask for some."""
        return {}

    def _figures(self, model: Recommender) -> Figures:
        point = self.loaded.measurement.trajectory_point(model)
        return Figures(valid_recall=point[VALID_RECALL], forget_recall=point[FORGET_RECALL])
