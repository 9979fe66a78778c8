"""Running the study on one setting: the limits, then a search with a stated budget. Killed, it goes on.

Every run is a trial of tuning: keyed, on data without test pairs, an MLflow run of its own in the
experiment of the trials. A reading that forgets and keeps its utility is run with its ablations; every
other reading is drawn at random, the rest is suggested by Optuna's TPE for what fits the paper best.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from bench.audits.behaviour.representation import shifts
from bench.cell.run import setting_tags
from bench.config.schema import Choice, build
from bench.config.source import code_digest, options_of
from bench.disk.locks import held, lock_file
from bench.disk.space import require_space
from bench.machine.devices import describe
from bench.planning.keys import trial_key
from bench.planning.planner import PlannedCell
from bench.record.names import FORGET_RECALL, TRIAL_KEY_TAG, VALID_RECALL
from bench.record.progress import reporting
from bench.record.store import Store
from bench.tune.record import metrics_of, tuning
from bench.tune.run import run_trial
from bench.tune.suggest import Suggester
from bench.tune.trial import TrialPipeline
from models.base import Recommender
from results.runs.frame import trials
from tests.programs.tru_readings.claims import (
    CAP,
    GOLD_SECONDS,
    GOLD_SHIFT,
    ORIGINAL_VALID,
    SHIFT,
    Claim,
    Metrics,
    Role,
    claims,
    misfit,
)
from tests.programs.tru_readings.names import (
    BUDGET_TAG,
    CODE_TAG,
    LIMIT_TAG,
    READING_TAG,
    STUDY,
    STUDY_TAG,
    printed_as,
)
from tests.programs.tru_readings.readings import PARTS, SPACE, Reading, limits
from unlearning.gradients import modules_of

log = logging.getLogger(__name__)


class StudyPipeline(TrialPipeline):
    """Trials that also say how far each module moved, what gold cost, and where the original was."""

    def further(self, model: Recommender) -> dict[str, float]:
        """See ``TrialPipeline``."""
        loaded = self.setting
        found = {ORIGINAL_VALID: self.reference("original").valid_recall}
        if loaded.gold.record.device == describe(self.device):
            found[GOLD_SECONDS] = loaded.gold.record.seconds
        for prefix, own in ((SHIFT, model), (GOLD_SHIFT, loaded.gold.model)):
            moved = shifts(own, loaded.original.model)
            found |= {f"{prefix}{name}": value for name, value in moved.items()}
        return found


class Study:
    """One setting of the study.

    Args:
        cell: of the setting.
        budget: trials of the search; the limits come on top.
        against: data set whose printed numbers are searched for.
    """

    def __init__(self, cell: PlannedCell, budget: int, against: str | None = None) -> None:
        self.cell, self.config, self.budget = cell, cell.config, budget
        self._claims: list[Claim] = claims(
            cell.config.backbone.name, against or printed_as(cell.config.data_name)
        )
        self.ran = 0

    def run(self) -> None:
        """Run what is missing."""
        config, own = self.config, tuning(self.config.tracking)
        with held(
            lock_file(config.cache.dir, f"study-{self.cell.keys.gold}"), f"the study on {config.label}"
        ):
            self._store = Store(own)
            for line in self._store.close_lost():
                log.info("left over from a process that died, marked as killed: %s", line)
            self._known = {
                run.tags[TRIAL_KEY_TAG]: run.metrics
                for run in trials(config.tracking.uri, config.tracking.experiment)
                if run.finished and run.tags.get(STUDY_TAG) == STUDY
            }
            with reporting(config.label, config.cache.dir / "progress"):
                require_space(config.cache.dir)
                self._pipeline = StudyPipeline(self.cell)
                self._gold = self._pipeline.reference("gold")
                self._limits()
                self._search()

    def _limits(self) -> None:
        modules = [module.name for module in modules_of(self._pipeline.setting.original.model)]
        for name, options in limits(modules).items():
            self._trial(name, options, {LIMIT_TAG: name})

    def _search(self) -> None:
        """Readings until the budget is spent: by turns suggested and drawn at random."""
        defaults = Reading().as_dict()
        # Of different seeds: what explores is drawn alike.
        suggested = Suggester(SPACE, defaults, "tpe", self.config.seed)
        drawn = Suggester(SPACE, defaults, "random", self.config.seed + 1)
        drawn.ask()  # the defaults, which the other one begins with
        drawn.tell(0.0)
        self._spent: set[str] = set()
        for number in range(4 * self.budget):
            if len(self._spent) >= self.budget:
                break
            source = drawn if number % 2 else suggested
            # The first ten of either source are random.
            reading = Reading(**source.ask(explore=number < 20))
            fit = misfit(self._claims, self._tried(reading))
            source.tell(fit)
            log.info(
                "%d of %d trials: misfit %.1f: %s", len(self._spent), self.budget, fit, reading.in_words()
            )

    def _tried(self, reading: Reading) -> dict[Role, Metrics]:
        """The trials of a reading by role; ablations only where it could be what the paper ran."""
        found: dict[Role, Metrics] = {"full": self._read(reading)}
        if not self._promising(found["full"]):
            return found
        for part in PARTS:
            if reading.has(part):
                found[part] = self._read(reading.without([part]))
        found["all"] = self._read(reading.without(PARTS))
        return found

    def _promising(self, trial: Metrics) -> bool:
        """Whether a reading comes near Table 1: it forgot most, and nine tenths of the utility are left."""
        if FORGET_RECALL not in trial or trial[VALID_RECALL] < 0.9 * trial[ORIGINAL_VALID]:
            return False
        first = next(iter(self._claims), None)
        return first is None or (first.distance(trial) or 0.0) <= CAP

    def _read(self, reading: Reading) -> Metrics:
        words = json.dumps(reading.as_dict(), sort_keys=True)
        return self._trial(reading.in_words(), reading.options(), {READING_TAG: words})

    def _trial(self, name: str, options: Mapping[str, Any], tags: Mapping[str, str]) -> Metrics:
        """The metrics of a trial, from the store or run now."""
        method = Choice("tru", build(options_of("method", "tru"), options, "method"))
        key = trial_key(self.config, self.cell.keys, method)
        if READING_TAG in tags:
            self._spent.add(key)
        if key not in self._known:
            tags = {**setting_tags(self.cell), **tags, TRIAL_KEY_TAG: key, STUDY_TAG: STUDY}
            tags |= {CODE_TAG: code_digest("method", "tru"), BUDGET_TAG: str(self.budget)}
            trial = run_trial(self._store, self._pipeline, method, name, tags, self._gold, self.ran)
            self._known[key] = metrics_of(trial, self._gold)
            self.ran += 1
        return self._known[key]
