"""Saved views of the run list: columns, filter and order under a name in MLflow's menu *Views*.

MLflow's run list starts without a single metric, and what it shows is kept in each browser. A view is an
experiment tag that the pages read; its form is that of MLflow 3.17 (``mlflow.sharedViewState.<id>``: a
name, times, and the state of the list as JSON). Older pages ignore what they do not know.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.record.names import FORGET_RECALL, HEADLINES, KIND_TAG, TEST_RECALL
from results.mlflow_ui.names import AGGREGATE, AS_TRAINING, DEVIATION, REQUESTS, SEEDS, SWEEP
from results.names.headlines import LIST_EXCESS
from results.runs.at import REQUEST_PARAM

VIEW_TAG = "mlflow.sharedViewState."
KIND_OF_EXPERIMENT = {"mlflow.experimentKind": "custom_model_development"}
"""Runs of models: without it the pages ask whether this is about language models."""
LABELS = ("dataset", "backbone", "regime", "method")
SECONDS = "time/unlearn_seconds"
SECTION, MOST_RUNS = "lethe-headlines", 100
RUN_NAME = "attributes.`Run Name`"
NAME_WIDTH, LONG_WIDTH, NARROW, LETTER = 380, 420, 70, 6.8
"""Pixels; the last is that of a letter of a header."""
LONG = ("attributes.`Description`", "tags.`lethe.command`", "tags.`lethe.failure`")


@dataclass(frozen=True)
class View:
    """A named state of the run list. ``columns``: canonical names, e.g. ``metrics.`test/recall_at_20```."""

    name: str
    filter: str
    columns: tuple[str, ...]
    order: str
    ascending: bool = False

    @property
    def id(self) -> str:
        """Part of the tag and of the address."""
        return "lethe-" + "-".join(self.name.lower().replace(":", "").split())

    @property
    def tag(self) -> tuple[str, str]:
        """Key and value of the experiment tag."""
        created = len(VIEWS) - VIEWS.index(self)  # MLflow lists the newest first; a clock would change bytes
        envelope = {"name": self.name, "createdAt": created, "updatedAt": created, "state": self._state()}
        return VIEW_TAG + self.id, json.dumps(envelope, sort_keys=True)

    def _state(self) -> str:
        state = {
            "searchFilter": self.filter,
            "orderByKey": self.order,
            "orderByAsc": self.ascending,
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "modelVersionFilter": "All Runs",
            "datasetsFilter": [],
            "selectedColumns": list(self.columns),
            "compareRunCharts": charts(),
            "compareRunSections": [section()],
            "isAccordionReordered": True,  # else sections are sorted by name
            "runsHiddenMode": "SHOW_ALL",
            "columnOrder": [RUN_NAME, *self.columns],
            "columnWidths": {RUN_NAME: NAME_WIDTH, **{column: width(column) for column in self.columns}},
        }
        return json.dumps(state, sort_keys=True)


def charts() -> list[dict[str, Any]]:
    """The list's chart view: utility against forgetting and closeness to gold, and bars per headline."""
    shared = {"metricSectionId": SECTION, "deleted": False, "isGenerated": False}
    points: list[dict[str, Any]] = [
        {"type": "SCATTER", "xaxis": {"key": x, "type": "METRIC"}, "yaxis": {"key": y, "type": "METRIC"}}
        for x, y in ((FORGET_RECALL, TEST_RECALL), (LIST_EXCESS, TEST_RECALL))
    ]
    bars: list[dict[str, Any]] = [
        {"type": "BAR", "metricKey": metric, "displayName": metric}
        for metric in (*HEADLINES, LIST_EXCESS, SECONDS)
    ]
    every = [{**chart, "runsCountToCompare": MOST_RUNS} for chart in (*points, *bars)]
    return [{"uuid": f"{SECTION}-{number}", **shared, **chart} for number, chart in enumerate(every)]


def section() -> dict[str, Any]:
    """The group that these charts stand in."""
    flags = {"display": True, "isReordered": False, "deleted": False, "isGenerated": False}
    return {"uuid": SECTION, "name": "Headlines", **flags}


def width(column: str) -> int:
    """Width of a column in pixels: of its header, or enough for a sentence."""
    return LONG_WIDTH if column in LONG else max(NARROW, round(LETTER * (len(column.partition("`")[2]) + 2)))


def _tags(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"tags.`{name}`" for name in names)


def _metrics(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"metrics.`{name}`" for name in names)


def _kind(kind: str) -> str:
    return f"tags.`{KIND_TAG}` = '{kind}'"


REQUEST = (f"params.`{REQUEST_PARAM}`",)
BY_NAME, BY_TIME = "tags.`mlflow.runName`", "attributes.start_time"
VIEWS: tuple[View, ...] = (
    View(
        "Means",
        _kind(AGGREGATE),
        _metrics([REQUESTS, SEEDS, *HEADLINES, LIST_EXCESS, SECONDS, DEVIATION + HEADLINES[0]]),
        BY_NAME,
        ascending=True,
    ),
    View(
        "Cells",
        _kind("cell"),
        _tags([*LABELS, "seed"]) + REQUEST + _metrics([*HEADLINES, SECONDS]),
        BY_NAME,
        ascending=True,
    ),
    View(
        "Sweeps",
        _kind(SWEEP),
        ("attributes.`Description`", *_tags(["lethe.command", "lethe.commit"])),
        BY_TIME,
    ),
    View(
        "What went wrong",
        f"{_kind('cell')} and attributes.status != 'FINISHED'",
        _tags([*LABELS, "seed", "lethe.failure"]),
        BY_NAME,  # by time, MLflow folds runs under their sweep
        ascending=True,
    ),
)


def view_link(experiment_id: str, view: View) -> str:
    """Where MLflow's pages show the run list in this view."""
    return f"#/experiments/{experiment_id}/runs?viewStateShareKey={view.id}&{AS_TRAINING}"
