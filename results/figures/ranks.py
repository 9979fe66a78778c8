"""Mean ranks over settings as a critical-difference diagram (Demsar, JMLR 7, 2006), by scikit-posthocs.

Methods that a bar joins do not differ significantly in Nemenyi's test.
"""

from __future__ import annotations

from matplotlib.figure import Figure as Canvas

from results.distance.ranks import LEVEL, Ranks, method_of, ranks
from results.figures.base import INK_COLOUR, Figure, Pages
from results.figures.source import Source, title
from results.names.styles import styles

WIDTH, HEAD, ROW = 5.6, 0.8, 0.24
"""Inches: of the diagram, above the methods, and per two of them."""


class MeanRanks(Figure):
    """One page."""

    name = "ranks"
    about = "mean ranks by closeness to gold over all settings, with Nemenyi's critical difference"

    def pages(self, source: Source) -> Pages:
        """The diagram; nothing with too few methods or settings for a test."""
        found = ranks(source.groups)
        return [("", diagram(found))] if found.can_be_tested else []


def diagram(found: Ranks) -> Canvas:
    """The critical-difference diagram of ranks that can be tested."""
    from scikit_posthocs import critical_difference_diagram

    names = {name: _titled(name) for name in found.methods}
    canvas = Canvas(figsize=(WIDTH, HEAD + ROW * (len(names) + 1)), layout="constrained")
    looks = styles(method_of(name) for name in names)
    inks = {names[name]: looks[method_of(name)].colour for name in names}
    ax = canvas.subplots()
    ax.set_title(f"mean rank (critical difference {found.critical_difference:.2f})")
    drawn = critical_difference_diagram(
        {names[name]: mean for name, mean in found.mean_ranks.items()},
        found.nemenyi().rename(index=names, columns=names),
        alpha=LEVEL,
        ax=ax,
        label_fmt_left="{label}  {rank:.2f} ",
        label_fmt_right=" {rank:.2f}  {label}",
        label_props={"fontsize": 8},
        color_palette=inks,
        crossbar_props={"color": INK_COLOUR},
    )
    for label in drawn["labels"]:
        label.set_color(INK_COLOUR)
    for (bar,) in drawn["crossbars"]:  # its points come in the order of a set, which no two processes share
        bar.set_xdata(sorted(bar.get_xdata()))
    return canvas


def _titled(name: str) -> str:
    method = method_of(name)
    return title(method) + name[len(method) :]
