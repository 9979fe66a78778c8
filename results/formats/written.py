"""A grid in one of the formats that ``python -m results`` offers."""

from __future__ import annotations

import csv
import io

from results.formats.latex import to_latex
from results.formats.markdown import to_markdown
from results.tables.grid import Grid


def written(grid: Grid, form: str) -> str:
    """The grid as ``markdown``, ``latex`` or ``csv`` text."""
    return {"markdown": to_markdown, "latex": to_latex, "csv": to_short_csv}[form](grid)


def to_short_csv(grid: Grid) -> str:
    """The printed texts as CSV, without marks and notes."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*grid.labels, *(f"{group} {part}".strip() for group, part in grid.header)])
    for names, places in grid.rows:
        writer.writerow([*names, *(text.plain + text.tail for text in places)])
    return stream.getvalue()
