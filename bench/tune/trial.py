"""Trying options of a method on one setting, on validation data alone.

The setting is loaded once, without a test pair, and unlearned from as often as asked.
"""

from __future__ import annotations

import dataclasses
import time
from contextlib import AbstractContextManager

from bench.cell.setting import SettingStage
from bench.cell.unlearn import UnlearningDiverged, UnlearnStage, users_of
from bench.config.registry import load_class
from bench.config.schema import Choice
from bench.machine.seeding import deterministic
from bench.measure.selection import Figures
from bench.measure.yardstick import Measurement
from bench.plan.planner import PlannedCell
from bench.record.names import FORGET_RECALL, VALID_RECALL
from bench.record.progress import phase
from bench.tune.record import Trial
from models.base import Recommender


class TrialPipeline:
    """The stages of a cell up to unlearning, then two validation figures instead of a measurement."""

    def __init__(self, cell: PlannedCell) -> None:
        self._cell, self._stage = cell, SettingStage(cell)
        self.config = cell.config
        self.device = self._stage.device
        with self._deterministic():
            self.setting = self._stage.load().without_test()
        setting, rules = self.setting, cell.config.evaluate
        self._yardstick = Measurement(
            setting.full,
            setting.retain,
            setting.request,
            rules.chunk_scores,
            rules.candidates,
            users=users_of(cell.config, setting),
        )

    def reference(self, role: str) -> Figures:
        """Figures of the ``original`` model (on the full graph) or the ``gold`` model."""
        return self._figures(getattr(self.setting, role).model)

    def attempt(self, method: Choice) -> Trial:
        """Unlearn with these options and measure; diverged weights make a trial without figures.

        Raises ``InputError`` where the method refuses the options.
        """
        config = dataclasses.replace(self._cell.config, method=method)
        began, original = time.perf_counter(), self.setting.original.model
        load_class("method", method.name)(method.options).accept(method.name, original)
        phase("unlearning")
        stage = UnlearnStage(dataclasses.replace(self._cell, config=config), self._stage)
        with self._deterministic():
            try:
                unlearned = stage.run(self.setting, None)
            except UnlearningDiverged as diverged:
                return Trial(None, time.perf_counter() - began, diverged.online_seconds, 0.0)
            phase("evaluating")
            figures = self._figures(unlearned.result.model)
            examples = {"cost/unlearn_examples": float(unlearned.recorder.num_examples)}
            further = {**examples, **self.further(unlearned.result.model)}
        return Trial(
            figures,
            time.perf_counter() - began,
            unlearned.online_seconds,
            unlearned.offline_seconds,
            further,
            unlearned.result.notes,
        )

    def further(self, model: Recommender) -> dict[str, float]:
        """Other figures of an unlearned model, by MLflow name: none but for studies that ask for some."""
        return {}

    def _deterministic(self) -> AbstractContextManager[None]:
        return deterministic(self._cell.config.run.deterministic)

    def _figures(self, model: Recommender) -> Figures:
        point = self._yardstick.trajectory_point(model)
        return Figures(valid_recall=point[VALID_RECALL], forget_recall=point[FORGET_RECALL])
