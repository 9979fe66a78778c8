"""Trying options of a method on one setting, and what the tries are held against, on validation data alone.

The setting is loaded once, without a test pair, and unlearned from as often as asked.

Targets, each over the training seeds of ``Rule.seeds``:

- ``gold``: validation and forget recall of the gold models of the request.
- ``proxy``: what can be known without retraining. Validation recall is aimed at the original's. Forget
  recall is aimed at that of ``reset`` where users leave (their rows are drawn afresh, their edges gone), at
  zero where items leave (they shall not be ranked), and at the original's validation recall where pairs go
  (a forgotten pair shall be ranked like one that was never trained on). No gold model is trained or loaded.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

from bench.cache.content import digest
from bench.cache.models import CachedModel
from bench.cache.prepared import preparing
from bench.cell.setting import CellSetting, Role, SettingStage
from bench.cell.unlearn import UnlearningDiverged, UnlearnStage, users_of
from bench.config.registry import load_class
from bench.config.schema import Choice
from bench.config.source import options_of
from bench.machine.seeding import deterministic
from bench.measure.selection import Figures, Rule, Target, target_of
from bench.measure.yardstick import Measurement
from bench.planning.planner import PlannedCell
from bench.record.names import FORGET_RECALL, VALID_RECALL
from bench.record.progress import phase
from bench.tune.record import Trial
from models.base import Recommender
from unlearning.base import UnlearningMethod


class TuneStage(SettingStage):
    """The setting of a tune, or parts of it."""

    def without_gold(self) -> CellSetting:
        """The setting with the original in the place of gold, which is neither trained nor loaded."""
        read, request = self._read()
        full, retain = self._data_of("original", read, request), self._data_of("gold", read, request)
        original = self._trained("original", full)
        return CellSetting(full, retain, request, original, original)

    def model_of(self, role: Role) -> CachedModel:
        """One of the two models."""
        return self._trained(role, self._data_of(role, *self._read()))


class TrialPipeline:
    """The stages of a cell up to unlearning, then two validation figures instead of a measurement.

    Args:
        cell: of the setting.
        gold: whether the setting has its gold model; else the original stands in its place.
    """

    def __init__(self, cell: PlannedCell, gold: bool = True) -> None:
        self._cell, self._stage = cell, TuneStage(cell)
        self.config = cell.config
        self.device = self._stage.device
        with self._deterministic():
            loaded = self._stage.load() if gold else self._stage.without_gold()
        self.setting = loaded.without_test()
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

    def target(self, cells: Sequence[PlannedCell], rule: Rule) -> Target:
        """What trials are held against.

        Args:
            cells: the setting with each training seed whose models are measured.
            rule: says which models, and what the units are.
        """
        with self._deterministic():
            if rule.target == "gold":
                models = (TuneStage(cell).model_of("gold").model for cell in cells)
                return target_of([self._figures(model) for model in models], rule)
            found = [self._proxy(cell) for cell in cells]
        return target_of(found, rule, 0.0 if len(self.setting.request.items) else None)

    def attempt(self, method: Choice) -> Trial:
        """Unlearn with these options and measure; diverged weights make a trial without figures.

        Raises ``InputError`` where the method refuses the options.
        """
        config = dataclasses.replace(self._cell.config, method=method)
        began, original = time.perf_counter(), self.setting.original.model
        own = load_class("method", method.name)(method.options)
        own.accept(method.name, original)
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
            prepared_by(own),
        )

    def further(self, model: Recommender) -> dict[str, float]:
        """Other figures of an unlearned model, by MLflow name: none but for studies that ask for some."""
        return {}

    def _proxy(self, cell: PlannedCell) -> Figures:
        """With one training seed, what stands in for gold's figures."""
        stage = TuneStage(cell)
        setting = stage.without_gold().without_test()
        valid = self._figures(setting.original.model).valid_recall
        if not (len(setting.request.users) or len(setting.request.items)):
            return Figures(valid, valid)
        reset = Choice("reset", options_of("method", "reset")())
        own = dataclasses.replace(cell, config=dataclasses.replace(cell.config, method=reset))
        model = UnlearnStage(own, stage).run(setting, None).result.model
        return Figures(valid, self._figures(model).forget_recall)

    def _deterministic(self) -> AbstractContextManager[None]:
        return deterministic(self._cell.config.run.deterministic)

    def _figures(self, model: Recommender) -> Figures:
        point = self._yardstick.trajectory_point(model)
        return Figures(valid_recall=point[VALID_RECALL], forget_recall=point[FORGET_RECALL])


def prepared_by(method: UnlearningMethod) -> str:
    """Names what a method prepares and keeps, by the options that preparing reads; "" where it keeps none."""
    if type(method).prepare is UnlearningMethod.prepare or not method.keeps_prepared:
        return ""
    options = preparing(method).options
    return digest("prepared", Choice(type(method).__name__, options).identity())
