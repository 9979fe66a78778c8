"""A printed table in one of the formats that ``python -m results`` offers."""

from __future__ import annotations

import csv
import io

from results.formats.latex import to_latex
from results.formats.markdown import to_markdown
from results.tables.text_table import TextTable


def written(table: TextTable, form: str) -> str:
    """A table as ``markdown``, ``latex`` or ``csv`` text."""
    return {"markdown": to_markdown, "latex": to_latex, "csv": to_short_csv}[form](table)


def to_short_csv(table: TextTable) -> str:
    """The printed texts as CSV, without marks and notes."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*table.labels, *(f"{group} {part}".strip() for group, part in table.header)])
    for names, places in table.rows:
        writer.writerow([*names, *(text.plain + text.tail for text in places)])
    return stream.getvalue()
