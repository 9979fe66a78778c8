"""All settings of a backbone at once (TRU, arXiv 2604.02183, Figure 6).

Two axes per data set and regime: test recall@20, and forgetting as the closeness of forget recall@20 to
gold's. Each axis is scaled over the methods from worst (0) to best (1); the paper does not state its
normalisation, so this one is ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure as Canvas

from bench.record.names import FORGET_RECALL, TEST_RECALL
from results.figures.base import Figure, Pages, by_backbone, colour, legend, marker
from results.figures.source import Source, title
from results.names.styles import Style

FEWEST = 3
"""Axes that make an area."""


@dataclass
class Web:
    """Names of the axes, and by method one value in [0, 1] per axis."""

    axes: list[str] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)


class Radar(Figure):
    """One page per backbone."""

    name = "radar"
    about = "utility and forgetting over all settings, normalised (TRU's Figure 6)"
    audit = "none"
    options = ()

    def pages(self, source: Source) -> Pages:
        """Backbones with two methods that have every axis, and at least three axes."""
        pages = []
        for backbone, settings in by_backbone(source.settings).items():
            found = web(source, settings)
            if len(found.axes) >= FEWEST and len(found.values) > 1:
                pages.append((backbone, _page(found, source.styles, title(backbone))))
        return pages


def web(source: Source, settings: Sequence[tuple[str, ...]]) -> Web:
    """The axes of a backbone with the methods that have them all."""
    raw: dict[str, dict[str, float]] = {}
    for setting in settings:
        gold = source.gold(setting)
        target = gold.summary(FORGET_RECALL) if gold else None
        place = f"{title(setting[0])}\n{setting[2]}"
        for group in source.defaults[setting]:
            test, forget = group.summary(TEST_RECALL), group.summary(FORGET_RECALL)
            if group.is_reference or test is None or forget is None or target is None:
                continue
            raw.setdefault(f"{place}\nutility", {})[group.method] = test.mean
            raw.setdefault(f"{place}\nforgetting", {})[group.method] = -abs(forget.mean - target.mean)
    return _scaled(raw)


def _scaled(raw: Mapping[str, Mapping[str, float]]) -> Web:
    everywhere = sorted(set.intersection(*(set(own) for own in raw.values()))) if raw else []
    found = Web(list(raw), {method: [] for method in everywhere})
    for own in raw.values():
        values = [own[method] for method in everywhere]
        low, high = (min(values), max(values)) if values else (0.0, 0.0)
        for method in everywhere:
            found.values[method].append((own[method] - low) / (high - low) if high > low else 1.0)
    return found


def _page(found: Web, looks: dict[str, Style], name: str) -> Canvas:
    canvas = Canvas(figsize=(4.6, 4.6), layout="constrained")
    ax = canvas.add_subplot(projection="polar")
    angles = np.linspace(0, 2 * np.pi, len(found.axes), endpoint=False)
    around = [*angles, angles[0]]
    for method, values in found.values.items():
        closed = [*values, values[0]]
        ax.plot(around, closed, color=colour(looks[method]), lw=1.4, gid=method, **marker(looks[method]))
        ax.fill(around, closed, color=colour(looks[method]), alpha=0.07, lw=0)
    ax.set_xticks(angles, found.axes, fontsize=7)
    ax.tick_params(axis="x", pad=14)
    ax.set_yticks([0.25, 0.5, 0.75, 1.0], ["", "0.5", "", "1"], fontsize=6.5)
    ax.set_ylim(-0.1, 1.05)
    ax.spines["polar"].set_visible(False)
    ax.set_title(f"{name}: worst (0) to best (1) method per axis", pad=16)
    legend(canvas, looks, found.values, line=True)
    return canvas
