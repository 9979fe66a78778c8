"""The contract of a figure, and what several figures share: sizes, markers, legends, commands."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from results.figures.source import Source, title
from results.names.styles import INK, Style
from results.runs.groups import Group
from results.tables.layout import AUDIT

Found = TypeVar("Found")
Pages = list[tuple[str, Canvas]]
"""Canvases with the part of the file name that tells them apart ("" for the only one)."""

INK_COLOUR, MUTED, BAND = "#16191d", "#565d66", "#d5d9de"
MARKERS = {
    "circle": "o",
    "square": "s",
    "triangle": "^",
    "inverted": "v",
    "diamond": "D",
    "pentagon": "p",
    "cross": "X",
    "plus": "P",
    "star": "*",
}
PANEL = (3.1, 2.5)
"""Width and height of a panel in inches: two fill the width of a page."""


class Figure(ABC):
    """One figure. ``name`` is its file name; ``audit`` what its cells must have been run with."""

    name: ClassVar[str]
    about: ClassVar[str]
    audit: ClassVar[str] = AUDIT
    methods: ClassVar[str] = "original,retrain,mmrecun,tru"
    options: ClassVar[tuple[str, ...]] = ()
    """Further overrides of the cells that fill it."""
    streams: ClassVar[bool] = False
    """Whether it shows streams of requests and not single ones."""
    per_setting: ClassVar[bool] = False
    """Whether every setting has a page of its own, whatever was run there."""

    @abstractmethod
    def pages(self, source: Source) -> Pages:
        """What there is to draw; empty where the data is missing. Never an empty canvas."""

    def command(self, source: Source) -> str:
        """The sweep that fills it: for what the store has, else for the paper's user level on Baby."""
        settings = [one for one in source.settings if ("+" in one[2]) == self.streams]
        settings = settings or [("baby", "mgcn", "user")]
        places = [
            f"{key}={','.join(dict.fromkeys(setting[index] for setting in settings))}"
            for index, key in enumerate(("dataset", "backbone"))
        ]
        regimes = dict.fromkeys(setting[2].partition("+")[0] for setting in settings)
        places.append(f"regime={','.join(regimes)}")
        words = [*places, f"method={self.methods}", *self.options, f"audit={self.audit}", *source.fixed]
        return " ".join(["python -m bench -m", *words])


def panels(
    count: int, size: tuple[float, float] = PANEL, columns: int = 3, **options: Any
) -> tuple[Canvas, list[Axes]]:
    """A canvas with ``count`` panels, at most ``columns`` side by side."""
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    canvas = Canvas(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    every = canvas.subplots(rows, columns, squeeze=False, **options).ravel()
    for unused in every[count:]:
        unused.remove()
    return canvas, list(every[:count])


def colour(style: Style) -> str:
    """The style's colour on paper."""
    return INK_COLOUR if style.colour == INK else style.colour


def marker(style: Style) -> dict[str, Any]:
    """Marker arguments of a line or point."""
    return {
        "marker": MARKERS[style.shape],
        "markersize": 9 if style.shape == "star" else 6,
        "markerfacecolor": colour(style),
        "markeredgecolor": INK_COLOUR,
        "markeredgewidth": 0.6,
    }


def legend(
    canvas: Canvas,
    looks: Mapping[str, Style],
    methods: Iterable[str],
    line: bool = False,
    more: Sequence[Line2D] = (),
) -> None:
    """One legend for all panels, below them; ``more`` are further entries."""
    handles = []
    for name in dict.fromkeys(methods):
        look, style = looks[name], "-" if line else ""
        handles.append(Line2D([], [], ls=style, color=colour(look), label=title(name), **marker(look)))
    handles += more
    canvas.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)), frameon=False)


def backbone_pages(
    source: Source,
    found: Callable[[Sequence[Group]], Found],
    page: Callable[[Source, Sequence[tuple[str, ...]], dict[tuple[str, ...], Found]], Canvas],
) -> Pages:
    """A page per backbone over the settings where something is ``found``, with what it is by setting."""
    every = {setting: own for setting, groups in source.defaults.items() if (own := found(groups))}
    return [(backbone, page(source, own, every)) for backbone, own in by_backbone(every).items()]


def by_backbone(settings: Iterable[Sequence[str]]) -> dict[str, list[tuple[str, ...]]]:
    """Settings by their backbone: one page each."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for setting in settings:
        found.setdefault(setting[1], []).append(tuple(setting))
    return found
