"""How far each module moved from the original (TRU, arXiv 2604.02183, Figure 5).

Shift: norm of the difference over the norm of the original's parameters
(``bench/audits/behaviour/representation.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from results.figures.base import Figure, Pages, backbone_pages, legend, marker, panels
from results.figures.source import Source, setting_title
from results.names.styles import Style
from results.runs.groups import Group
from results.runs.statistics import Summary

PREFIX = "audit/representation/shift_to_original/"
Shifts = dict[str, dict[str, Summary]]
"""By method, the shift by module."""


class Shift(Figure):
    """One page per backbone, one panel per data set and regime, one line per module."""

    name = "parameter-shift"
    about = "parameter shift per module (TRU's Figure 5)"

    def pages(self, source: Source) -> Pages:
        """Settings with a representation audit."""
        return backbone_pages(source, shifts, _page)


def shifts(groups: Sequence[Group]) -> Shifts:
    """Shift by method and module; without the original, which is where it is measured from."""
    found: Shifts = {}
    for group in groups:
        metrics = sorted({m for run in group.runs for m in run.metrics if m.startswith(PREFIX)})
        summaries = {metric.removeprefix(PREFIX): group.summary(metric) for metric in metrics}
        own = {module: one for module, one in summaries.items() if one is not None}
        if own and group.method != "original":
            found[group.method] = own
    return found


def _page(
    source: Source, settings: Sequence[tuple[str, ...]], every: dict[tuple[str, ...], Shifts]
) -> Canvas:
    modules = sorted({module for s in settings for own in every[s].values() for module in own})
    canvas, axes = panels(len(settings), (3.3, 0.9 + 0.24 * len(modules)), sharey=True)
    for ax, setting in zip(axes, settings, strict=True):
        _panel(ax, every[setting], modules, source.styles)
        ax.set_title(setting_title(setting))
    axes[0].set_ylim(len(modules) - 0.5, -0.5)
    legend(canvas, source.styles, [method for setting in settings for method in every[setting]])
    return canvas


def _panel(ax: Axes, found: Shifts, modules: Sequence[str], looks: dict[str, Style]) -> None:
    for method, own in found.items():
        places = [index for index, module in enumerate(modules) if module in own]
        values = [own[modules[index]].mean for index in places]
        ax.plot(values, places, linestyle="", gid=method, alpha=0.9, **marker(looks[method]))
    ax.set_yticks(range(len(modules)), [module.replace(".", ": ", 1).replace("_", " ") for module in modules])
    ax.set_xlabel("relative shift")
    ax.grid(True)
