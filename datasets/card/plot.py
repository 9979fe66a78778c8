"""The degree plot of a card, as SVG text that is the same for the same data."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

COLOURS = {"user": "#1f77b4", "item": "#d95f02"}


def degree_plot(degrees: Mapping[str, NDArray[np.int64]]) -> str:
    """Share of users and of items with at least so many training pairs, both axes logarithmic."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for kind, counts in degrees.items():
        values, times = np.unique(counts[counts > 0], return_counts=True)
        share = np.cumsum(times[::-1])[::-1] / len(counts)
        axes.loglog(values, share, drawstyle="steps-post", label=f"{kind}s", color=COLOURS[kind])
    for axis in (axes.xaxis, axes.yaxis):  # plain numbers: powers would be set as formulas, slowly
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("training pairs")
    axes.set_ylabel("share with at least as many")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(frameon=False)
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "card", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()
