"""The study as its runs hold it: per setting the limits, the readings, and the ablations of a reading."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bench.config.schema import Choice, build
from bench.config.source import options_of
from results.runs.frame import CellRun, trials
from tests.programs.tru_readings.claims import Role
from tests.programs.tru_readings.names import (
    BUDGET_TAG,
    CODE_TAG,
    LIMIT_TAG,
    READING_TAG,
    STUDY,
    STUDY_TAG,
)
from tests.programs.tru_readings.readings import PARTS, Reading

Signature = frozenset[tuple[str, str]]
"""The options of a trial as MLflow holds them: what a run is found by."""
IDENTITY = ("lethe.original_key", "lethe.gold_key", CODE_TAG)
"""Tags that must agree between the trials of a setting: the models, and the code of the method."""


@dataclass(frozen=True)
class Setting:
    """One data set and backbone: ``runs`` of one identity; ``left_out`` counts those of others."""

    dataset: str
    backbone: str
    runs: Sequence[CellRun]
    left_out: int

    @property
    def limits(self) -> dict[str, CellRun]:
        """The limits by name, in the order they were run in."""
        return {run.tags[LIMIT_TAG]: run for run in self.runs if LIMIT_TAG in run.tags}

    @cached_property
    def tried(self) -> dict[Reading, dict[Role, CellRun]]:
        """Every reading that was run with its trials by role, in the order they were run in."""
        return {reading: self._trials_of(reading) for reading in self._readings}

    def _trials_of(self, reading: Reading) -> dict[Role, CellRun]:
        found: dict[Role, CellRun | None] = {"full": self._find(reading.options())}
        for part in PARTS:
            if reading.has(part):
                found[part] = self._find(reading.without([part]).options())
        found["all"] = self._find(reading.without(PARTS).options())
        return {role: run for role, run in found.items() if run is not None}

    @cached_property
    def _readings(self) -> list[Reading]:
        """Each once, ablations included; the defaults are among the limits and carry no tag."""
        tagged = [Reading(**json.loads(r.tags[READING_TAG])) for r in self.runs if READING_TAG in r.tags]
        parts = [*([part] for part in PARTS), PARTS]
        every = [Reading(), *tagged, *(reading.without(off) for reading in tagged for off in parts)]
        found: dict[Signature, Reading] = {}
        for reading in every:
            signature = signature_of(reading.options())
            if signature in self._by_options:
                found.setdefault(signature, reading)
        return list(found.values())

    @property
    def budget(self) -> str:
        """The budget that was stated, the largest where it was raised."""
        return max((run.tags[BUDGET_TAG] for run in self.runs), key=int)

    @cached_property
    def _by_options(self) -> dict[Signature, CellRun]:
        return {_recorded(run.params): run for run in self.runs}

    def _find(self, options: Mapping[str, Any]) -> CellRun | None:
        return self._by_options.get(signature_of(options))


def settings(uri: str, experiment: str, datasets: Sequence[str] | None = None) -> list[Setting]:
    """The settings that a store holds trials of, sorted; of each the identity that was run last."""
    groups: dict[tuple[str, str], list[CellRun]] = defaultdict(list)
    for run in trials(uri, experiment):
        labels = run.labels["dataset"], run.labels["backbone"]
        wanted = datasets is None or labels[0] in datasets
        if run.finished and wanted and run.tags.get(STUDY_TAG) == STUDY:
            groups[labels].append(run)
    found = []
    for (dataset, backbone), runs in sorted(groups.items()):
        last = _identity(runs[-1])
        kept = [run for run in runs if _identity(run) == last]
        found.append(Setting(dataset, backbone, kept, len(runs) - len(kept)))
    return found


def signature_of(options: Mapping[str, Any]) -> Signature:
    """What a trial with these options is recorded with."""
    method = Choice("tru", build(options_of("method", "tru"), options, "method"))
    return _recorded({f"method.{name}": str(value) for name, value in method.identity().items()})


def _recorded(params: Mapping[str, str]) -> Signature:
    return frozenset((name, value) for name, value in params.items() if name.startswith("method."))


def _identity(run: CellRun) -> tuple[str | None, ...]:
    return tuple(run.tags.get(name) for name in IDENTITY)
