"""The mean over seeds of a group of cells as one run: MLflow's run list has no such row of its own.

A metric keeps the name it has in the cells, so that columns line up; its sample standard deviation is
beside it under ``std/``. The same cells give the same content, whatever the order they were run in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bench.record.names import HEADLINES, KIND_TAG, TUNED_TAG
from results.mlflow_ui.names import AGGREGATE, AGGREGATE_KEY_TAG, DEVIATION, NOTE_TAG, SEEDS
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
    runs, seeds = group.last_runs(), group.seeds
    labels = dict(zip(SETTING, group.setting, strict=True)) | {"method": group.method}
    tags = {
        KIND_TAG: AGGREGATE,
        AGGREGATE_KEY_TAG: group_key(group),
        **labels,
        SEEDS: ", ".join(map(str, seeds)),
        "options": group.options or "default",
        NOTE_TAG: note,
        **_common_tags(runs),
    }
    return Aggregate(f"{group_key(group)} ({seeds_text(len(seeds))})", tags, _params(runs), _metrics(group))


def group_key(group: Group) -> str:
    """Setting, method and options, e.g. ``baby/mgcn/user/tru gate=False``."""
    return "/".join((*group.setting, group.name))


def seeds_text(count: int) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{count} seed{'' if count == 1 else 's'}"


def _metrics(group: Group) -> dict[str, float]:
    """The headlines first: MLflow's pages list metrics as they were written, and compare by the first."""
    found: dict[str, float] = {}
    every = {name for run in group.runs for name in run.metrics}
    for name in [*(one for one in HEADLINES if one in every), *sorted(every - set(HEADLINES))]:
        values = [] if name.startswith(CURVE) else list(group.values(name).values())
        if values:
            found[name] = float(np.mean(values))
        if len(values) > 1:
            found[DEVIATION + name] = float(np.std(values, ddof=1))
    return {**found, SEEDS: float(len(group.seeds))}


def _params(runs: Iterable[CellRun]) -> dict[str, str]:
    """What was run, as far as all cells agree."""
    every = [compared(run.params) for run in runs]
    return {key: every[0][key] for key in sorted(every[0]) if all(p.get(key) == every[0][key] for p in every)}


def _common_tags(runs: Iterable[CellRun]) -> dict[str, str]:
    """Code, device and tuning, where all cells have the same."""
    names = ("lethe.commit", "device.name", "device.type", "device.threads", TUNED_TAG)
    found = {name: {run.tags.get(name) for run in runs} for name in names}
    return {name: value for name, values in found.items() if len(values) == 1 for value in values if value}
