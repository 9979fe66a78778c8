"""Drift: figures of a stream against the number of requests served, with gold's band.

Gold is retrained at every checkpoint on what is left, so that its band moves as well. A method's line is the
mean over its streams and training seeds, at the checkpoints that all of its runs have.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from bench.record.names import FORGET_RECALL, LATENCY_TOTAL, TEST_RECALL
from results.figures.base import (
    BAND,
    MUTED,
    PANEL,
    Figure,
    Pages,
    backbone_pages,
    colour,
    legend,
    marker,
)
from results.figures.source import Source, setting_title
from results.names.styles import Style
from results.runs.groups import Group

PRINTED = (
    (TEST_RECALL, "test recall@20"),
    (FORGET_RECALL, "forget recall@20, all asked so far"),
    ("exposure/other_users_at_20", "other users shown a watched item"),
    (LATENCY_TOTAL, "seconds so far"),
)
"""Metrics with a row of panels of their own, where a method of the page has them."""


@dataclass(frozen=True)
class Point:
    """Mean and standard deviation (0 of one run) after so many requests."""

    served: int
    mean: float
    deviation: float


@dataclass(frozen=True)
class Way:
    """A row's way through its streams."""

    group: Group
    points: Sequence[Point]


class Drift(Figure):
    """One page per backbone, one column per data set and stream, one row per metric."""

    name = "drift"
    about = "figures of a stream of requests against the number served"
    audit = "none"
    streams = True
    methods = "original,retrain,graph_only,reset,finetune,mmrecun,tru"
    options = ("stream=users", "stream.count=20")

    def pages(self, source: Source) -> Pages:
        """Settings in which a method served a stream."""

        def found(groups: Sequence[Group]) -> dict[str, list[Way]]:
            if not any(is_stream(group) for group in groups):
                return {}
            every = {metric: lines(source, groups, metric) for metric, _ in PRINTED}
            return {metric: own for metric, own in every.items() if any(not _is_gold(one) for one in own)}

        return backbone_pages(source, found, _page)


def is_stream(group: Group) -> bool:
    """Whether the runs of a row served streams."""
    return "+" in group.setting[2]


def lines(source: Source, groups: Sequence[Group], metric: str) -> list[Way]:
    """By row, the metric at the checkpoints that all of its runs have."""
    found = [Way(group, points(source, group, metric)) for group in groups]
    return [line for line in found if line.points]


def points(source: Source, group: Group, metric: str) -> list[Point]:
    """Mean and spread over the runs of a row."""
    curves = [dict(source.steps(run.run_id, metric)) for run in group.last_runs() if metric in run.metrics]
    shared = set.intersection(*(set(curve) for curve in curves)) if curves else set()
    made = []
    for served in sorted(shared):
        values = [curve[served] for curve in curves]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        made.append(Point(served, statistics.fmean(values), spread))
    return made


def _is_gold(line: Way) -> bool:
    return line.group.is_gold


def _page(
    source: Source,
    settings: Sequence[tuple[str, ...]],
    every: dict[tuple[str, ...], dict[str, list[Way]]],
) -> Canvas:
    shown = [row for row in PRINTED if any(row[0] in every[setting] for setting in settings)]
    canvas = Canvas(figsize=(PANEL[0] * max(2, len(settings)), PANEL[1] * len(shown)), layout="constrained")
    panels = canvas.subplots(len(shown), len(settings), squeeze=False, sharex="col")
    for column, setting in zip(panels.T, settings, strict=True):
        for ax, (metric, name) in zip(column, shown, strict=True):
            _panel(ax, every[setting].get(metric, []), source.styles)
            ax.set_ylabel(name)
        column[0].set_title(setting_title(setting))
        column[-1].set_xlabel("requests served")
    methods = [
        line.group.method
        for setting in settings
        for own in every[setting].values()
        for line in own
        if not _is_gold(line)
    ]
    gold = Line2D([], [], color=MUTED, lw=0.7, ls="--", label="gold at each checkpoint")
    legend(canvas, source.styles, methods, line=True, more=[gold])
    return canvas


def _panel(ax: Axes, found: Sequence[Way], looks: dict[str, Style]) -> None:
    for line in found:
        served, means = [p.served for p in line.points], [p.mean for p in line.points]
        if _is_gold(line):
            low = [p.mean - p.deviation for p in line.points]
            high = [p.mean + p.deviation for p in line.points]
            ax.fill_between(served, low, high, color=BAND, alpha=0.6, lw=0, zorder=0)
            ax.plot(served, means, color=MUTED, lw=0.7, ls="--", gid=line.group.method)
            continue
        look = looks[line.group.method]
        ax.plot(served, means, color=colour(look), lw=1.2, gid=line.group.method, **marker(look))
    ax.grid(True)
