"""Runs of one method with the same options in one setting, by request and seed: what every row starts from.

Of several runs of the same request and seed the latest that has a metric counts for it (which runs are in a
row at all: ``results.runs.identity``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bench.record.names import (
    DATA_KEY_TAG,
    REQUEST_KEY_TAG,
    TUNED_RULE_TAG,
    TUNED_SECONDS_TAG,
    TUNED_TAG,
    TUNED_TRIALS_TAG,
    not_applicable,
)
from results.names.headlines import GOLD
from results.runs.at import At, coverage
from results.runs.frame import CellRun, latest
from results.runs.identity import OLDER, chosen, refuse_other_data
from results.runs.statistics import Summary, summarise
from unlearning import REFERENCE_METHODS

SETTING = ("dataset", "backbone", "regime")
TRAINED_WITH = ("backbone.", "train.")
"""Parameters that gold must share with a method that is held against it."""
SHARED = ("dataset.", "poison.", "regime.", "stream.", *TRAINED_WITH)
"""How the options begin that are no method's own."""


@dataclass(frozen=True)
class Group:
    """One row: a setting, a method, the options that set it apart ("" for the defaults).

    Attributes:
        runs: its finished runs, in the order in which later ones replace earlier ones; at least one.
        left_out: its runs of other code, which count for nothing.
        flags: what has to be said about the runs (``results.runs.identity.FLAGS``).
    """

    setting: tuple[str, ...]
    method: str
    options: str
    runs: tuple[CellRun, ...]
    left_out: tuple[CellRun, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def ats(self) -> list[At]:
        """Its requests and training seeds, sorted."""
        return sorted({run.at for run in self.runs})

    @property
    def seeds(self) -> list[int]:
        """Its training seeds, sorted."""
        return sorted({run.seed for run in self.runs})

    @property
    def requests(self) -> list[int]:
        """The seeds of its deletion requests, sorted."""
        return sorted({run.request for run in self.runs})

    @property
    def coverage(self) -> str:
        """How many requests and seeds it is over, e.g. ``2 requests x 2 seeds``."""
        return coverage(self.ats)

    @property
    def name(self) -> str:
        """The method with its options."""
        return f"{self.method} {self.options}".strip()

    @property
    def method_options(self) -> str:
        """The part of its options that is the method's own."""
        return " ".join(word for word in self.options.split() if not word.startswith(SHARED))

    @property
    def other_options(self) -> str:
        """The part of its options that gold and every method have with it: data, backbone, training."""
        return " ".join(word for word in self.options.split() if word.startswith(SHARED))

    @property
    def key(self) -> tuple[str, ...]:
        """What tells it from every other row."""
        return (*self.setting, self.method, self.options)

    @property
    def is_gold(self) -> bool:
        """Whether this is the gold model."""
        return self.method == GOLD

    @property
    def is_reference(self) -> bool:
        """Whether this is a reference system and no method."""
        return self.method in REFERENCE_METHODS

    @property
    def is_ranked(self) -> bool:
        """Whether it may be marked as best: a method, of today's code as far as that is known."""
        return not self.is_reference and OLDER not in self.flags

    @property
    def is_tuned(self) -> bool:
        """Whether its options come from tuning."""
        return all(run.tags.get(TUNED_TAG) == "true" for run in self.runs)

    @property
    def tunes(self) -> list[str]:
        """How its options were chosen, with the trials and seconds behind them; empty for untuned ones."""
        found = sorted({tune_of(run) for run in self.runs if run.tags.get(TUNED_TAG) == "true"})
        return found if self.is_tuned else [f"in part: {text}" for text in found]

    @property
    def tuned_by(self) -> str:
        """What choosing its options is called, e.g. ``oracle tuning``; "" where that is not one thing."""
        rules = {run.tags.get(TUNED_RULE_TAG, "") for run in self.runs}
        return rules.pop() if self.is_tuned and len(rules) == 1 else ""

    def chosen(self, metric: str) -> dict[At, CellRun]:
        """By request and seed, the run that counts for the metric."""
        having = {run.at: run for run in self.runs if metric in run.metrics}
        return {at: having[at] for at in sorted(having)}

    def values(self, metric: str) -> dict[At, float]:
        """By request and seed, the value of the metric; values that are not finite are left out."""
        found = {at: run.metrics[metric] for at, run in self.chosen(metric).items()}
        return {at: value for at, value in found.items() if math.isfinite(value)}

    def not_applicable(self, metric: str) -> str:
        """Why the metric makes no sense for the models of this row; "" where it does, or nothing is known."""
        return next((why for run in self.runs if (why := not_applicable(run.tags, metric))), "")

    def summary(self, metric: str) -> Summary | None:
        """Mean and spreads; None where there is no finite value."""
        found = self.values(metric)
        return summarise(found) if found else None

    def last_runs(self) -> list[CellRun]:
        """The run of every request and seed that counts."""
        by_at = {run.at: run for run in self.runs}
        return [by_at[at] for at in self.ats]


def tune_of(run: CellRun) -> str:
    """How the tuned options of a run were chosen, and what that took."""
    if TUNED_RULE_TAG not in run.tags:
        return "tuned by a rule that was not recorded"
    trials, seconds = run.tags[TUNED_TRIALS_TAG], float(run.tags[TUNED_SECONDS_TAG])
    return f"{run.tags[TUNED_RULE_TAG]}: {trials} trials, {seconds:,.1f} s of the method's clock"


def grouped(runs: Iterable[CellRun], variants: Mapping[str, str]) -> list[Group]:
    """Groups sorted by setting, method and options; ``variants`` as ``results.runs.settings`` gives them.

    Raises ``InputError`` where runs of one setting are of different data.
    """
    found: dict[tuple[str, ...], list[CellRun]] = {}
    for run in latest(runs):
        key = (*(run.labels[label] for label in SETTING), run.labels["method"], variants.get(run.run_id, ""))
        found.setdefault(key, []).append(run)
    groups = []
    for key, every in sorted(found.items()):
        own = chosen(every)
        groups.append(Group(key[:3], key[3], key[4], own.runs, own.left_out, own.flags))
    for setting in by_setting(groups).values():
        refuse_other_data([group.runs for group in setting])
    return groups


def by_setting(groups: Iterable[Group]) -> dict[tuple[str, ...], list[Group]]:
    """Groups by setting, in their order."""
    found: dict[tuple[str, ...], list[Group]] = {}
    for group in groups:
        found.setdefault(group.setting, []).append(group)
    return found


def gold_of(groups: Iterable[Group]) -> Group | None:
    """The gold model with default options among the groups of one setting, else any gold."""
    golds = [group for group in groups if group.is_gold]
    return next((group for group in golds if not group.options), golds[0] if golds else None)


def gold_for(group: Group, setting: Iterable[Group]) -> Group | None:
    """The gold models that a row is held against; None where there is none.

    They are the ``retrain`` runs of the same data, backbone and training, of every training seed and request;
    where the row has a request of the same number it must be the same request.
    """
    golds = [one for one in setting if one.is_gold]
    runs = [run for one in golds for run in one.runs if _is_gold_of(group, run)]
    return replace(golds[0], options="", runs=tuple(runs)) if runs else None


def _is_gold_of(group: Group, gold: CellRun) -> bool:
    if not group.runs:
        return False
    same = [run for run in group.runs if run.request == gold.request]
    if any(run.tags.get(REQUEST_KEY_TAG) != gold.tags.get(REQUEST_KEY_TAG) for run in same):
        return False
    run = group.runs[-1]
    if run.tags.get(DATA_KEY_TAG) != gold.tags.get(DATA_KEY_TAG):
        return False
    own = {key: value for key, value in run.params.items() if key.startswith(TRAINED_WITH)}
    return all(gold.params.get(key, value) == value for key, value in own.items())
