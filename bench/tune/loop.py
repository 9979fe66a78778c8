"""One tune: so many trials of one method on one setting, then the selection rule.

Suggestions depend on the scores of the trials before, and finished trials are found in MLflow by key:
a killed tune replays what it had and goes on. Every suggestion counts in the budget, whether it
diverged, was tried before, or is new.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from pydantic import Field

from bench.config.schema import Choice, build
from bench.config.source import options_of
from bench.config.space import Space
from bench.measure.selection import DIVERGED_SCORE, Candidate, Figures, Rule, Selected, score, select
from bench.plan.keys import trial_key
from bench.plan.planner import PlannedCell
from bench.tune.record import RecordedTrial, Trial
from bench.tune.suggest import SamplerName, Suggester


@dataclass(frozen=True)
class TuneConfig(Rule):
    """The selection rule, and how many trials there are and where they come from (conf/tune.yaml)."""

    budget: Annotated[int, Field(ge=1)] = 20
    """Trials, the defaults and diverged ones among them."""
    sampler: SamplerName = "tpe"
    """What suggests them after the first (``bench/tune/suggest.py``)."""


@dataclass(frozen=True)
class Step:
    """A trial in its place in a tune; ``repeats`` is the number of an earlier step with the same values."""

    number: int
    key: str
    values: dict[str, Any]
    trial: Trial
    found: bool
    repeats: int | None

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
        """What this step cost: nothing where it only repeats."""
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

    def steps(self, gold: Figures, run: Runner) -> Iterator[Step]:
        """The steps in order, up to the budget; each is run unless it is finished."""
        suggester = Suggester(self.space, self._defaults, self.plan.sampler, self.config.seed)
        first_with: dict[str, Step] = {}
        for number in range(self.plan.budget):
            values = suggester.ask()
            method = self.method_with(values)
            key = self.key_of(method)
            before, stored = first_with.get(key), self._recorded.get(key)
            if before is not None:
                step = Step(number, key, values, before.trial, found=before.found, repeats=before.number)
            elif stored is not None:
                step = Step(number, key, values, stored.trial, found=True, repeats=None)
            else:
                step = Step(number, key, values, run(number, key, method), found=False, repeats=None)
            first_with.setdefault(key, step)
            suggester.tell(self._score(step, gold))
            yield step

    def finished_steps(self) -> list[Step]:
        """The steps that the store holds, up to the first that it does not. Runs nothing."""
        first = self._recorded.get(self.key_of(self.config.method))
        if first is None:
            return []
        found: list[Step] = []
        try:
            for step in self.steps(first.gold, _refuse):
                found.append(step)
        except _NotFinished:
            pass
        return found

    def selected(self, steps: Sequence[Step], gold: Figures) -> Selected | None:
        """What the rule chooses; None where every trial diverged."""
        candidates = [step.candidate for step in steps if step.candidate is not None]
        return select(candidates, gold, self.plan) if candidates else None

    def method_with(self, values: dict[str, Any]) -> Choice:
        """The method with these values. Raises ``InputError`` where they do not fit."""
        name, options = self.config.method.name, self.config.method.identity()
        del options["name"]
        return Choice(name, build(options_of("method", name), {**options, **values}, "method"))

    def key_of(self, method: Choice) -> str:
        """The key of a trial with these options."""
        return trial_key(self.config, self.cell.keys, method)

    def _score(self, step: Step, gold: Figures) -> float:
        if step.candidate is None:
            return DIVERGED_SCORE
        return score(step.candidate, gold, self.plan)


class _NotFinished(Exception):
    """The store does not hold a trial."""


def _refuse(number: int, key: str, method: Choice) -> Trial:
    raise _NotFinished(key)


def total_seconds(steps: Sequence[Step]) -> float:
    """What the trials took, those found in the store included: the cost of tuning."""
    return sum(step.seconds for step in steps)
