"""One tune: so many trials of one method on one setting, then the selection rule.

Suggestions depend on the losses of the trials before, and finished trials are found in MLflow by key:
a killed tune replays what it had and goes on. Every suggestion counts in the budget of trials, whether it
diverged, was tried before, or is new; in the budget of seconds counts what the method's own clock took.
No torch in here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Protocol

from pydantic import Field

from bench.config.schema import Choice, build
from bench.config.source import options_of
from bench.config.space import Space
from bench.measure.selection import DIVERGED_LOSS, Candidate, Rule, Selected, Target, loss, select
from bench.planning.keys import target_key, trial_key
from bench.planning.planner import PlannedCell, with_seed
from bench.tune.record import RecordedTrial, Trial
from bench.tune.suggest import SamplerName, Suggester


@dataclass(frozen=True)
class TuneConfig(Rule):
    """The selection rule, and how many trials there are and where they come from (conf/tune.yaml)."""

    budget: Annotated[int, Field(ge=1)] = 20
    """Trials, the defaults and diverged ones among them."""
    budget_seconds: Annotated[float, Field(gt=0)] = 3600.0
    """Seconds of the method's own clock over all trials, preparation that is kept counted once: no trial
    starts once they are spent."""
    sampler: SamplerName = "tpe"
    """What suggests trials after the first (``bench/tune/suggest.py``)."""

    def explores(self, number: int, spent: float) -> bool:
        """Whether a trial lies in the first half of the budget, where suggestions are random, so that the
        sampler has something to learn from and the other half to act in."""
        return 2 * number < self.budget and 2 * spent < self.budget_seconds


@dataclass(frozen=True)
class Step:
    """A trial in its place in a tune; ``repeats`` is the number of an earlier step with the same values,
    ``method_seconds`` what it takes from the budget of seconds."""

    number: int
    key: str
    values: dict[str, Any]
    trial: Trial
    found: bool
    repeats: int | None
    method_seconds: float = 0.0

    @property
    def state(self) -> str:
        """For people."""
        if self.repeats is not None:
            return f"repeats {self.repeats}"
        return ("diverged" if self.trial.figures is None else "measured") + (" before" if self.found else "")

    @property
    def candidate(self) -> Candidate | None:
        """What selection sees of it; None where it diverged."""
        figures = self.trial.figures
        if figures is None:
            return None
        return Candidate(self.number, figures.valid_recall, figures.forget_recall)

    @property
    def seconds(self) -> float:
        """What this step took, measuring included: nothing where it only repeats."""
        return 0.0 if self.repeats is not None else self.trial.seconds


class Runner(Protocol):
    """Runs and records one trial that the store does not hold."""

    def __call__(self, number: int, key: str, method: Choice) -> Trial:
        """The trial."""


class Tuning:
    """One method on one setting.

    Args:
        cell: of the setting, the method with its defaults and fixed options.
        space: what varies.
        fixed: options of the method that were given and stay.
        plan: budget, sampler and selection rule.
        recorded: finished trials by key.
    """

    def __init__(
        self,
        cell: PlannedCell,
        space: Space,
        fixed: Sequence[str],
        plan: TuneConfig,
        recorded: dict[str, RecordedTrial],
    ) -> None:
        self.cell, self.config, self.space, self.plan = cell, cell.config, space, plan
        options = cell.config.method.options
        self.fixed = {option: getattr(options, option) for option in fixed}
        self._defaults = {option: getattr(options, option) for option in space}
        self._recorded = recorded

    def with_recorded(self, recorded: dict[str, RecordedTrial]) -> Tuning:
        """The same tune on a newer record."""
        return Tuning(self.cell, self.space, list(self.fixed), self.plan, recorded)

    @cached_property
    def target_cells(self) -> list[PlannedCell]:
        """The cell with each training seed whose models aims and units come from, its own first."""
        first = self.config.seed
        return [with_seed(self.cell, seed) for seed in range(first, first + self.plan.seeds)]

    @cached_property
    def target_key(self) -> str:
        """The key of the aims and units: the same for every method of the setting."""
        rule = {field.name: getattr(self.plan, field.name) for field in dataclasses.fields(Rule)}
        del rule["floor"]
        return target_key(self.config, [cell.keys for cell in self.target_cells], rule)

    def steps(self, target: Target, run: Runner) -> Iterator[Step]:
        """The steps in order, until the budget is spent; each is run unless it is finished."""
        suggester = Suggester(self.space, self._defaults, self.plan.sampler, self.config.seed)
        first_with: dict[str, Step] = {}
        prepared: set[str] = set()
        spent = 0.0
        for number in range(self.plan.budget):
            if spent >= self.plan.budget_seconds:
                return
            values = suggester.ask(explore=self.plan.explores(number, spent))
            step = self._step(number, values, first_with, run)
            if step.repeats is None:
                step = dataclasses.replace(step, method_seconds=step.trial.clock_beside(prepared))
                prepared.add(step.trial.prepared)
            spent += step.method_seconds
            first_with.setdefault(step.key, step)
            suggester.tell(self.loss(step, target))
            yield step

    def _step(self, number: int, values: dict[str, Any], before: dict[str, Step], run: Runner) -> Step:
        method = self.method_with(values)
        key = self.key_of(method)
        if key in before:
            first = before[key]
            return Step(number, key, values, first.trial, found=first.found, repeats=first.number)
        if key in self._recorded:
            return Step(number, key, values, self._recorded[key].trial, found=True, repeats=None)
        return Step(number, key, values, run(number, key, method), found=False, repeats=None)

    def finished_steps(self, target: Target) -> list[Step]:
        """The steps that the store holds, up to the first that it does not. Runs nothing."""
        found: list[Step] = []
        try:
            for step in self.steps(target, _refuse):
                found.append(step)
        except _NotFinished:
            pass
        return found

    def selected(self, steps: Sequence[Step], target: Target) -> Selected | None:
        """What the rule chooses; None where every trial diverged."""
        candidates = [step.candidate for step in steps if step.candidate is not None]
        return select(candidates, target, self.plan) if candidates else None

    def loss(self, step: Step, target: Target) -> float:
        """The loss of a step by the rule."""
        return DIVERGED_LOSS if step.candidate is None else loss(step.candidate, target, self.plan)

    def method_with(self, values: dict[str, Any]) -> Choice:
        """The method with these values. Raises ``InputError`` where they do not fit."""
        name, options = self.config.method.name, self.config.method.identity()
        del options["name"]
        return Choice(name, build(options_of("method", name), {**options, **values}, "method"))

    def key_of(self, method: Choice) -> str:
        """The key of a trial with these options."""
        return trial_key(self.config, self.cell.keys, method)


class _NotFinished(Exception):
    """The store does not hold a trial."""


def _refuse(number: int, key: str, method: Choice) -> Trial:
    raise _NotFinished(key)


def total_seconds(steps: Sequence[Step]) -> float:
    """What the trials took, those found in the store and measuring included."""
    return sum(step.seconds for step in steps)


def method_seconds(steps: Sequence[Step]) -> float:
    """What the trials took of the method's own clock, those found in the store included."""
    return sum(step.method_seconds for step in steps)
