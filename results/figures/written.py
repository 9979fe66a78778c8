"""Canvases as PDF and PNG whose bytes depend on nothing but what is drawn."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

from results.figures.base import INK_COLOUR, MUTED

STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.0,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK_COLOUR,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#d9dde2",
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK_COLOUR,
    "pdf.fonttype": 42,  # TrueType, as publishers ask for
    "svg.hashsalt": "lethe",  # else names inside are random
    "savefig.dpi": 200,
}
NO_STAMPS = {
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}


@contextmanager
def drawing() -> Iterator[None]:
    """Inside, figures look the same whatever a user's matplotlib is set to."""
    # The back end is left alone: it is chosen by the canvas, and setting it would close windows.
    style: Any = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")}
    style |= STYLE
    with mpl.rc_context(style):
        yield


BACKENDS = {"pdf": FigureCanvasPdf, "png": FigureCanvasAgg, "svg": FigureCanvasSVG}


def write(folder: Path, name: str, canvas: Canvas, forms: Sequence[str] = ("pdf", "png")) -> Iterator[Path]:
    """Write ``<folder>/<name>.<form>`` for each form, inside ``drawing()``; gives the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for form in forms:
        path = folder / f"{_safe(name)}.{form}"
        BACKENDS[form](canvas).print_figure(path, format=form, metadata=NO_STAMPS[form])
        yield path


def as_svg(canvas: Canvas) -> bytes:
    """The canvas as a drawing for a page, inside ``drawing()``."""
    stream = io.BytesIO()
    BACKENDS["svg"](canvas).print_figure(stream, format="svg", metadata=NO_STAMPS["svg"])
    return stream.getvalue()


def _safe(name: str) -> str:
    """A name from the store as part of a file name."""
    return "".join(letter if letter.isalnum() or letter in "._-+" else "-" for letter in name)
