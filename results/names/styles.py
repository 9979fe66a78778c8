"""How methods look on pages and in figures: a colour and a shape each, safe for the colour-blind.

Colours: Okabe and Ito, "Color Universal Design" (2008), without yellow, which is too pale for points.
Gold and the original stand apart; every other method has a pair of colour and shape of its own, so that
a figure reads without colours as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from results.names.headlines import GOLD

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SHAPES = ("circle", "square", "triangle", "diamond", "pentagon", "inverted", "cross")
"""Their numbers have no common factor: 42 pairs before one comes back."""
INK = "ink"
"""The colour of text: dark on light, light on dark."""

ORDER = (
    *("tru", "mmrecun", "finetune", "reset", "graph_only", "ultrare", "multidelete", "scalegun"),
    *("neg_grad", "neg_grad_plus", "relabel", "ssd", "rrl", "bad_teacher", "scrub", "unlearnrec"),
    *("scif", "ifru", "gif", "ceu", "idea", "gnndelete", "kookmin", "fanchuan", "seif"),
    *("sisa", "receraser", "exact"),
)
"""Known methods keep their look whatever else a store holds."""


@dataclass(frozen=True)
class Style:
    """``colour`` is a hex code or ``ink``; ``shape`` one of ``SHAPES``, ``star`` or ``plus``."""

    colour: str
    shape: str


def styles(methods: Iterable[str]) -> dict[str, Style]:
    """The style of each method, by name in alphabetical order."""
    names = sorted(set(methods))
    others = [*ORDER, *(name for name in names if name not in ORDER)]
    found = {
        name: Style(COLOURS[index % len(COLOURS)], SHAPES[index % len(SHAPES)])
        for index, name in enumerate(name for name in others if name not in (GOLD, "original"))
    }
    found |= {GOLD: Style(INK, "star"), "original": Style(INK, "plus")}
    return {name: found[name] for name in names}
