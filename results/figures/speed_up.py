"""Speed-up over retraining, on a logarithmic axis: one bar per method, with the deviation over seeds."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from bench.record.names import SPEEDUP
from results.figures.base import INK_COLOUR, MUTED, Figure, Pages, backbone_pages, colour, panels
from results.figures.source import Source, setting_title, title
from results.names.styles import Style
from results.runs.groups import Group
from results.runs.statistics import Summary

Bar = tuple[Group, Summary]


class SpeedUp(Figure):
    """One page per backbone, one panel per data set and regime."""

    name = "speed-up"
    about = "gold's training time over the method's time"
    audit = "none"

    def pages(self, source: Source) -> Pages:
        """Settings where a method has a speed-up (times of one device and thread count)."""
        return backbone_pages(source, bars, _page)


def bars(groups: Sequence[Group]) -> list[Bar]:
    """Methods with their speed-up, the fastest first."""
    found = [(group, group.summary(SPEEDUP)) for group in groups if not group.is_reference]
    return sorted(((g, s) for g, s in found if s is not None and s.mean > 0), key=lambda bar: -bar[1].mean)


def _page(
    source: Source, settings: Sequence[tuple[str, ...]], every: dict[tuple[str, ...], list[Bar]]
) -> Canvas:
    tallest = max(len(every[setting]) for setting in settings)
    canvas, axes = panels(len(settings), (3.1, 0.7 + 0.26 * tallest), sharex=True)
    for ax, setting in zip(axes, settings, strict=True):
        _panel(ax, every[setting], source.styles)
        ax.set_title(setting_title(setting))
        ax.set_xlabel("speed-up over retraining")
    return canvas


def _panel(ax: Axes, found: Sequence[Bar], looks: dict[str, Style]) -> None:
    for place, (group, speed) in enumerate(found):
        ax.barh(place, speed.mean, height=0.7, color=colour(looks[group.method]), gid=group.method)
        # Down to zero a logarithmic axis does not reach: the lower end is cut at a tenth of the mean.
        low = min(speed.deviation or 0.0, 0.9 * speed.mean)
        ax.errorbar(speed.mean, place, xerr=[[low], [speed.deviation or 0.0]], color=INK_COLOUR, lw=0.8)
        right = speed.mean + (speed.deviation or 0.0)
        text = f"{speed.mean:,.0f}x" if speed.mean >= 10 else f"{speed.mean:.1f}x"
        ax.annotate(text, (right, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=7)
    ax.set_yticks(range(len(found)), [title(group.method) for group, _ in found])
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.margins(x=0.25)
    ax.axvline(1, color=MUTED, lw=0.8, ls="--")
    ax.grid(True, axis="x")
