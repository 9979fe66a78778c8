"""Validation and forget recall@20 over seconds while a method runs (TRU, arXiv 2604.02183, Figure 7).

One line per seed; evaluation is off the clock. Gold: its training curve where it has one, and as a band
where it ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from bench.record.names import FORGET_RECALL, VALID_RECALL
from results.figures.base import (
    BAND,
    INK_COLOUR,
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

PRINTED = ((VALID_RECALL, "valid recall@20"), (FORGET_RECALL, "forget recall@20"))
Points = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Line:
    """The way of one run."""

    method: str
    seed: int
    points: Points

    def over_seconds(self, metric: str) -> tuple[list[float], list[float]]:
        """Seconds and values of the points that have both; a logarithmic axis has no zero."""
        known = [point for point in self.points if metric in point and point["seconds"] > 0]
        return [point["seconds"] for point in known], [point[metric] for point in known]


class Trajectories(Figure):
    """One page per backbone, one column per data set and regime."""

    name = "trajectories"
    about = "recall over wall-clock seconds (TRU's Figure 7)"
    audit = "none"

    def pages(self, source: Source) -> Pages:
        """Settings where a method logged its way."""
        return backbone_pages(source, lambda groups: lines(source, groups), _page)


def lines(source: Source, groups: Sequence[Group]) -> list[Line]:
    """The ways of all methods of a setting."""
    runs = [(group.method, run) for group in groups if not group.is_reference for run in group.last_runs()]
    found = [Line(method, run.seed, source.trajectory(run.run_id)) for method, run in runs]
    return [line for line in found if line.over_seconds(FORGET_RECALL)[0]]


def _page(
    source: Source, settings: Sequence[tuple[str, ...]], every: dict[tuple[str, ...], list[Line]]
) -> Canvas:
    size = (PANEL[0] * len(settings), PANEL[1] * 1.7)
    canvas = Canvas(figsize=size, layout="constrained")
    panels = canvas.subplots(2, len(settings), squeeze=False, sharex="col")
    for column, setting in zip(panels.T, settings, strict=True):
        gold = source.gold(setting)
        for ax, (metric, name) in zip(column, PRINTED, strict=True):
            _panel(ax, every[setting], metric, source.styles)
            _gold(ax, gold, metric)
            ax.set_ylabel(name)
        if gold is not None:
            _training(column[0], source, gold)
        column[0].set_title(setting_title(setting))
        column[-1].set_xlabel("seconds")
    methods = [line.method for setting in settings for line in every[setting]]
    legend(canvas, source.styles, methods, line=True, more=[_training_line()])
    return canvas


def _training_line() -> Line2D:
    return Line2D([], [], color=INK_COLOUR, lw=0.8, ls=":", label="gold's training")


def _panel(ax: Axes, found: Sequence[Line], metric: str, looks: dict[str, Style]) -> None:
    for line in found:
        look = looks[line.method]
        seconds, values = line.over_seconds(metric)
        last = [len(seconds) - 1]
        ax.plot(seconds, values, color=colour(look), lw=1.2, markevery=last, gid=line.method, **marker(look))
    ax.set_xscale("log")
    ax.grid(True)


def _gold(ax: Axes, gold: Group | None, metric: str) -> None:
    summary = gold.summary(metric) if gold else None
    seconds = gold.summary("time/gold_train_seconds") if gold else None
    if summary is not None:
        spread = summary.deviation or 0.0
        ax.axhspan(summary.mean - spread, summary.mean + spread, color=BAND, alpha=0.6, lw=0, zorder=0)
        ax.axhline(summary.mean, color=MUTED, lw=0.7, ls="--")
    if seconds is not None and seconds.mean > 0:
        ax.axvline(seconds.mean, color=MUTED, lw=0.7, ls="--")


def _training(ax: Axes, source: Source, gold: Group) -> None:
    for run in gold.last_runs()[:1]:
        points = [point for point in source.gold_curve(run.run_id) if point["seconds"] > 0]
        if points:
            values = [point["valid_recall_at_20"] for point in points]
            ax.plot(
                [point["seconds"] for point in points], values, color=INK_COLOUR, lw=0.8, ls=":", gid="gold"
            )
