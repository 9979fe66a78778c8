"""TRU over its published grid: share of selected modules p and statistics batches M (Figure 9).

Cells are runs of ``tru`` that differ in these two options alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from bench.record.names import FORGET_RECALL, TEST_RECALL
from results.figures.base import INK_COLOUR, Figure, Pages, panels
from results.figures.source import Source, setting_title
from results.runs.at import At, coverage
from results.runs.groups import Group

RATIO, BATCHES = "top_ratio", "statistics_batches"
PRINTED = ((TEST_RECALL, "test recall@20", "cividis"), (FORGET_RECALL, "forget recall@20", "cividis_r"))

Cells = dict[tuple[float, int], Group]


@dataclass(frozen=True)
class Grid:
    """Values [batches, ratios] by metric, NaN where a cell is missing; ``options`` are the others.

    Means are over ``ats``, the requests and seeds that every cell has: one with more is not another value.
    """

    options: str
    ratios: tuple[float, ...]
    batches: tuple[int, ...]
    ats: tuple[At, ...]
    values: dict[str, NDArray[np.float64]]


class HeatMap(Figure):
    """One page per setting and set of other options, with at least two values of each."""

    name = "heat-map"
    about = "TRU over p and M (TRU's Figure 9)"
    audit = "none"
    methods = "tru"
    options = ("method.top_ratio=0.1,0.3,0.5,0.7,0.9", "method.statistics_batches=1,2,3,4,5")

    def pages(self, source: Source) -> Pages:
        """Grids that the store holds."""
        return [
            ("_".join(filter(None, (*setting, grid.options))), _page(setting, grid))
            for setting, groups in source.settings.items()
            for grid in grids(groups)
        ]


def grids(groups: Sequence[Group]) -> list[Grid]:
    """The grids of one setting, by their other options."""
    found: dict[str, Cells] = {}
    for group in groups:
        params = group.runs[-1].params
        if group.method != "tru" or f"method.{RATIO}" not in params or f"method.{BATCHES}" not in params:
            continue
        rest = " ".join(word for word in group.options.split() if word.split("=")[0] not in (RATIO, BATCHES))
        place = float(params[f"method.{RATIO}"]), int(params[f"method.{BATCHES}"])
        found.setdefault(rest, {})[place] = group
    made = [_grid(rest, _crossed(own)) for rest, own in sorted(found.items())]
    return [grid for grid in made if len(grid.ratios) > 1 and len(grid.batches) > 1 and grid.ats]


def _crossed(own: Cells) -> Cells:
    """Without values of one option that were not run with two of the other, such as a lone default cell."""
    ratios, batches = (Counter(place[axis] for place in own) for axis in (0, 1))
    return {place: group for place, group in own.items() if ratios[place[0]] > 1 and batches[place[1]] > 1}


def _grid(options: str, own: Cells) -> Grid:
    ratios, batches = sorted({ratio for ratio, _ in own}), sorted({count for _, count in own})
    ats = sorted(set.intersection(*(set(group.ats) for group in own.values()))) if own else []
    values = {}
    for metric, _, _ in PRINTED:
        values[metric] = np.full((len(batches), len(ratios)), np.nan)
        for (ratio, count), group in own.items():
            by_at = group.values(metric)
            if by_at.keys() >= set(ats) and ats:
                place = batches.index(count), ratios.index(ratio)
                values[metric][place] = np.mean([by_at[at] for at in ats])
    return Grid(options, tuple(ratios), tuple(batches), tuple(ats), values)


def _page(setting: tuple[str, ...], grid: Grid) -> Canvas:
    size = (0.9 + 0.5 * len(grid.ratios), 1.0 + 0.32 * len(grid.batches))
    canvas, axes = panels(len(PRINTED), size)
    for ax, (metric, name, shades) in zip(axes, PRINTED, strict=True):
        _panel(ax, grid, grid.values[metric], shades)
        ax.set_title(name)
    canvas.suptitle(
        " ".join(filter(None, (f"TRU, {setting_title(setting)}", grid.options, f"({coverage(grid.ats)})"))),
        fontsize=9,
    )
    return canvas


def _panel(ax: Axes, grid: Grid, values: NDArray[np.float64], shades: str) -> None:
    known = values[~np.isnan(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    ax.imshow(np.ma.masked_invalid(values), cmap=shades, aspect="auto", vmin=low, vmax=max(high, low + 1e-9))
    for row, column in np.ndindex(values.shape):
        value = values[row, column]
        if np.isnan(value):
            ax.text(column, row, "missing", ha="center", va="center", fontsize=5.5)
            continue
        share = (value - low) / (high - low) if high > low else 0.0
        dark = share < 0.5 if shades == "cividis" else share > 0.5
        ink = "white" if dark else INK_COLOUR
        ax.text(column, row, f"{value:.3f}", ha="center", va="center", fontsize=6.5, color=ink)
    ax.set_xticks(range(len(grid.ratios)), [f"{ratio:g}" for ratio in grid.ratios])
    ax.set_yticks(range(len(grid.batches)), [str(count) for count in grid.batches])
    ax.set_xlabel("share of selected modules p")
    ax.set_ylabel("statistics batches M")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
