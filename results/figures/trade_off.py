"""Utility against forgetting: test recall@20 over forget recall@20, one point per method, gold as a cross.

The target is gold's point and not the left edge: forget recall below gold's is a trace as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from bench.record.names import FORGET_RECALL, TEST_RECALL
from results.figures.base import (
    BAND,
    INK_COLOUR,
    MUTED,
    Figure,
    Pages,
    backbone_pages,
    legend,
    marker,
    panels,
)
from results.figures.source import Source, setting_title
from results.names.styles import Style
from results.runs.groups import Group
from results.runs.statistics import Summary

Point = tuple[Group, Summary, Summary]
"""A group with its forget and test recall."""


class TradeOff(Figure):
    """One page per backbone, one panel per data set and regime."""

    name = "trade-off"
    about = "test recall@20 against forget recall@20, with gold's deviation over seeds"
    audit = "none"

    def pages(self, source: Source) -> Pages:
        """Settings with at least one method."""

        def found(groups: Sequence[Group]) -> list[Point]:
            own = points(groups)
            return own if any(not group.is_reference for group, _, _ in own) else []

        return backbone_pages(source, found, _page)


def points(groups: Sequence[Group]) -> list[Point]:
    """Groups that have both figures."""
    found = [(group, group.summary(FORGET_RECALL), group.summary(TEST_RECALL)) for group in groups]
    return [(group, x, y) for group, x, y in found if x is not None and y is not None]


def _page(
    source: Source, settings: Sequence[tuple[str, ...]], every: dict[tuple[str, ...], list[Point]]
) -> Canvas:
    canvas, axes = panels(len(settings))
    for ax, setting in zip(axes, settings, strict=True):
        _panel(ax, every[setting], source.styles)
        ax.set_title(setting_title(setting))
    legend(canvas, source.styles, [group.method for setting in settings for group, _, _ in every[setting]])
    return canvas


def _panel(ax: Axes, found: Sequence[Point], looks: dict[str, Style]) -> None:
    for group, x, y in found:
        if group.is_gold:
            ax.axvspan(x.mean - (x.deviation or 0), x.mean + (x.deviation or 0), color=BAND, alpha=0.6, lw=0)
            ax.axhspan(y.mean - (y.deviation or 0), y.mean + (y.deviation or 0), color=BAND, alpha=0.6, lw=0)
            ax.axvline(x.mean, color=MUTED, lw=0.7, ls="--")
            ax.axhline(y.mean, color=MUTED, lw=0.7, ls="--")
    for group, x, y in found:
        ax.errorbar(
            x.mean,
            y.mean,
            xerr=x.deviation,
            yerr=y.deviation,
            ecolor=INK_COLOUR,
            elinewidth=0.6,
            linestyle="",
            gid=group.method,
            **marker(looks[group.method]),
        )
    ax.grid(True)
    ax.set_xlabel("forget recall@20")
    ax.set_ylabel("test recall@20")
