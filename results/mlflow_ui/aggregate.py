"""The mean over requests and seeds of a group of cells as one run: MLflow's run list has no such row.

A metric keeps the name it has in the cells, so that columns line up; its standard deviation over seeds within
a request is beside it under ``std/``, that of the means of requests under ``std_requests/``. The same cells
give the same content, whatever the order they were run in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from bench.record.names import HEADLINES, KIND_TAG, TUNED_TAG
from results.mlflow_ui.names import (
    AGGREGATE,
    AGGREGATE_KEY_TAG,
    BETWEEN,
    DEVIATION,
    FLAGS_TAG,
    NOTE_TAG,
    REQUESTS,
    SEEDS,
)
from results.names.headlines import LIST_EXCESS
from results.runs.at import counted
from results.runs.frame import CellRun
from results.runs.groups import SETTING, Group
from results.runs.settings import compared

CURVE = "curve/"
"""Points of curves are no figures of a run: their mean says nothing."""


@dataclass(frozen=True)
class Aggregate:
    """What the run of a group says. ``tags`` include its kind and key."""

    name: str
    tags: dict[str, str]
    params: dict[str, str]
    metrics: dict[str, float]

    @property
    def key(self) -> str:
        """What tells it from every other aggregate."""
        return self.tags[AGGREGATE_KEY_TAG]

    @property
    def digest(self) -> str:
        """Digest of the whole content."""
        text = json.dumps([self.name, self.tags, self.params, self.metrics], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def aggregate(group: Group, note: str) -> Aggregate:
    """The aggregate of a group; ``note`` is its description."""
    runs = group.last_runs()
    labels = dict(zip(SETTING, group.setting, strict=True)) | {"method": group.method}
    left = f"{counted(len(group.left_out), 'run')} of other code left out"
    flags = [*group.flags, *([left] if group.left_out else [])]
    tags = {
        KIND_TAG: AGGREGATE,
        AGGREGATE_KEY_TAG: group_key(group),
        **labels,
        REQUESTS: ", ".join(map(str, group.requests)),
        SEEDS: ", ".join(map(str, group.seeds)),
        FLAGS_TAG: "; ".join(flags) or "none",
        "options": group.options or "default",
        NOTE_TAG: note,
        **_common_tags(runs),
    }
    return Aggregate(f"{group_key(group)} ({group.coverage})", tags, _params(runs), _metrics(group))


def group_key(group: Group) -> str:
    """Setting, method and options, e.g. ``baby/mgcn/user/tru gate=False``."""
    return "/".join((*group.setting, group.name))


def _metrics(group: Group) -> dict[str, float]:
    """The headlines first: MLflow's pages list metrics as they were written, and compare by the first."""
    found: dict[str, float] = {}
    every = {name for run in group.runs for name in run.metrics}
    first = (*HEADLINES, LIST_EXCESS)
    for name in [*(one for one in first if one in every), *sorted(every - set(first))]:
        own = None if name.startswith(CURVE) else group.summary(name)
        if own is not None:
            found[name] = own.mean
            spreads = {DEVIATION: own.deviation, BETWEEN: own.between}
            found |= {prefix + name: value for prefix, value in spreads.items() if value is not None}
    return {**found, REQUESTS: float(len(group.requests)), SEEDS: float(len(group.seeds))}


def _params(runs: Iterable[CellRun]) -> dict[str, str]:
    """What was run, as far as all cells agree."""
    every = [compared(run.params) for run in runs]
    return {key: every[0][key] for key in sorted(every[0]) if all(p.get(key) == every[0][key] for p in every)}


def _common_tags(runs: Iterable[CellRun]) -> dict[str, str]:
    """Code, device and tuning, where all cells have the same."""
    names = ("lethe.commit", "device.name", "device.type", "device.threads", TUNED_TAG)
    found = {name: {run.tags.get(name) for run in runs} for name in names}
    return {name: value for name, values in found.items() if len(values) == 1 for value in values if value}
