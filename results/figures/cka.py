"""How alike the branches of a model see the items: linear CKA (TRU, arXiv 2604.02183, Figure 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from numpy.typing import NDArray

from results.figures.base import INK_COLOUR, Figure, Pages, panels
from results.figures.source import Source, setting_title, title
from results.runs.groups import Group

PREFIX = "audit/representation/cka/"


class BranchSimilarity(Figure):
    """One page per setting, one matrix per model; the upper half repeats the lower and stays empty."""

    name = "branch-similarity"
    about = "CKA between ID, image and text branch (TRU's Figure 4)"
    per_setting = True

    def pages(self, source: Source) -> Pages:
        """Settings whose backbone has at least two branches."""
        found = [(setting, matrices(groups)) for setting, groups in source.defaults.items()]
        return [("_".join(setting), _page(setting, own)) for setting, own in found if own]


def matrices(groups: Sequence[Group]) -> dict[str, tuple[list[str], NDArray[np.float64]]]:
    """By method: names of the branches, and CKA [branches, branches], mean over seeds."""
    found = {}
    for group in groups:
        metrics = sorted({m for run in group.runs for m in run.metrics if m.startswith(PREFIX)})
        pairs = {tuple(m.removeprefix(PREFIX).split("_")): group.summary(m) for m in metrics}
        names = sorted({branch for pair in pairs for branch in pair})
        if not names:
            continue
        matrix = np.eye(len(names))
        for (first, second), value in pairs.items():
            at = names.index(first), names.index(second)
            matrix[at] = matrix[at[::-1]] = np.nan if value is None else value.mean
        found[group.method] = (names, matrix)
    return found


def _page(setting: tuple[str, ...], found: dict[str, tuple[list[str], NDArray[np.float64]]]) -> Canvas:
    canvas, axes = panels(len(found), (1.75, 1.95), columns=4)
    for ax, (method, (names, matrix)) in zip(axes, found.items(), strict=True):
        _panel(ax, names, matrix)
        ax.set_title(title(method))
    canvas.suptitle(f"{setting_title(setting)}: CKA of branches", fontsize=9)
    return canvas


def _panel(ax: Axes, names: Sequence[str], matrix: NDArray[np.float64]) -> None:
    shown = np.ma.masked_where(np.triu(np.ones_like(matrix), 1) > 0, matrix)
    ax.imshow(shown, vmin=0, vmax=1, cmap="cividis_r")
    for row in range(len(names)):
        for column in range(row + 1):
            value = matrix[row, column]
            ink = "white" if value > 0.55 else INK_COLOUR
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=7.5)
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
