"""Are the items of forgotten pairs still shown, and how popular are they (TRU, arXiv 2604.02183, Figure 3)?

Left: share of items with at least so many pairs in forget and retain set. Middle: share of all top-20
slots by popularity of the shown item. Right: share of the slots that target items fill.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from results.figures.base import INK_COLOUR, MUTED, Figure, Pages, colour, legend, marker, panels
from results.figures.source import Arrays, Source, setting_title, title
from results.names.styles import COLOURS, Style
from results.runs.groups import Group
from results.runs.statistics import Summary

METRIC = "audit/popularity/exposure_at_20"
ROLE = "popularity/unlearned/"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """What one page draws: popularity of the items by set, slots by decile and exposure by method."""

    popularity: dict[str, Floats]
    deciles: dict[str, Floats]
    exposure: dict[str, Summary]


class Exposure(Figure):
    """One page per setting."""

    name = "exposure"
    about = "popularity of forgotten items, and how much they are still shown (TRU's Figure 3)"
    per_setting = True

    def pages(self, source: Source) -> Pages:
        """Settings with a popularity audit."""
        pages = []
        for setting, groups in source.defaults.items():
            found = curves(groups, source.arrays)
            if found is not None:
                pages.append(("_".join(setting), _page(source.styles, setting, found)))
        return pages


def curves(groups: Sequence[Group], read: Arrays) -> Curves | None:
    """Arrays of the lowest seed of each method, exposure over all seeds; None without a popularity audit."""
    summaries = {group.method: group.summary(METRIC) for group in groups}
    exposure = {method: found for method, found in summaries.items() if found is not None}
    deciles: dict[str, Floats] = {}
    popularity: dict[str, Floats] = {}
    for group in groups:
        runs = list(group.chosen(METRIC).values())
        arrays: Mapping[str, NDArray[np.generic]] = read(runs[0].run_id) if runs else {}
        if ROLE + "exposure_by_decile" in arrays:
            deciles[group.method] = np.asarray(arrays[ROLE + "exposure_by_decile"], dtype=np.float64)
            for name in ("forget", "retain"):
                counts = np.asarray(arrays[f"{ROLE}{name}_popularity"], dtype=np.float64)
                popularity.setdefault(name, counts)  # the request is the same for every method
    return Curves(popularity, deciles, exposure) if exposure and deciles else None


def ccdf(counts: Floats) -> tuple[Floats, Floats]:
    """Numbers of pairs from 1 on that occur, and the share of all items with at least as many."""
    values = np.unique(counts[counts > 0])
    return values, np.array([(counts >= value).mean() for value in values])


def _page(looks: dict[str, Style], setting: tuple[str, ...], found: Curves) -> Canvas:
    canvas, (left, middle, right) = panels(3)
    for (name, counts), tint, style in zip(
        found.popularity.items(), COLOURS[1::-1], ("-", "--"), strict=True
    ):
        left.step(*ccdf(counts), where="post", color=tint, ls=style, label=f"{name} set", gid=name)
    left.set(xscale="log", yscale="log", xlabel="pairs per item, at least", ylabel="share of items")
    left.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    left.grid(True)
    for method, shares in found.deciles.items():
        look = marker(looks[method]) | {"markersize": 4}
        middle.plot(
            range(1, len(shares) + 1),
            shares,
            color=colour(looks[method]),
            ls=_stroke(method),
            lw=1,
            gid=method,
            **look,
        )
    middle.set(xlabel="popularity of the item, tenths", ylabel="share of top-20 slots")
    middle.grid(True)
    _bars(right, found.exposure, looks)
    canvas.suptitle(setting_title(setting), fontsize=9)
    legend(canvas, looks, found.deciles, line=True)
    return canvas


def _stroke(method: str) -> str:
    return "--" if method == "original" else "-"  # original and gold are both drawn in ink


def _bars(ax: Axes, exposure: dict[str, Summary], looks: dict[str, Style]) -> None:
    for place, (method, one) in enumerate(exposure.items()):
        tint = MUTED if method in ("original", "retrain") else colour(looks[method])
        ax.barh(place, one.mean, height=0.7, color=tint, gid=method)
        if one.deviation is not None:
            ax.errorbar(one.mean, place, xerr=one.deviation, color=INK_COLOUR, lw=0.8)
    ax.set_yticks(range(len(exposure)), [title(method) for method in exposure])
    ax.invert_yaxis()
    ax.set_xlabel("exposure@20 of target items")
    ax.grid(True, axis="x")
