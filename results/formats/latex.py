"""A printed table in LaTeX: booktabs, merged labels, a header of two lines."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import groupby

from results.tables.text_table import Text, TextTable

MAX_ROWS = 40
"""Rows of one float, so that it fits a page."""

PREAMBLE = r"""\documentclass{article}
\usepackage[a4paper,landscape,margin=12mm]{geometry}
\usepackage{booktabs,multirow,graphicx}
\begin{document}
"""

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "†": r"$\dagger$",
    "§": r"\S{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
}


def to_latex(table: TextTable) -> str:
    """One ``table*`` float, or one per value of the first label where it would not fit a page.

    Needs the packages booktabs, multirow and graphicx. The notes stand below it, or after the last.
    """
    parts = _parts(table)
    lines = [f"% Needs \\usepackage{{booktabs,multirow,graphicx}}. Made by python -m results {table.name}."]
    for number, part in enumerate(parts, 1):
        lines += _float(part, f"part {number} of {len(parts)}" if len(parts) > 1 else "")
    if len(parts) > 1:  # a float with a full page of rows has no room for them
        lines += [*_notes(table), r"\par"]
    lines += [f"% fills missing places: {' '.join(command.splitlines())}" for command in table.commands]
    return "\n".join(lines) + "\n"


def _parts(table: TextTable) -> list[TextTable]:
    if len(table.rows) <= MAX_ROWS:
        return [table]
    blocks = [tuple(own) for _, own in groupby(table.rows, key=lambda row: row[0][0])]
    return [replace(table, rows=own, notes=()) for own in blocks]


def _float(table: TextTable, part: str) -> list[str]:
    columns = "l" * len(table.labels) + "r" * len(table.header)
    return [
        r"\begin{table*}",
        rf"\caption{{{escaped(table.title)}{f', {part}' if part else ''}}}",
        rf"\label{{tab:{table.name}{'-' + part.split()[1] if part else ''}}}",
        r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *_header(table),
        r"\midrule",
        *_body(table),
        r"\bottomrule",
        r"\end{tabular}}",
        *([r"\par\smallskip"] if table.notes else []),
        *_notes(table),
        r"\end{table*}",
    ]


def _notes(table: TextTable) -> list[str]:
    return [rf"\par\noindent{{\scriptsize {escaped(note)}}}" for note in table.notes]


def document(table: str) -> str:
    """A whole document around one table, for looking at it."""
    return f"{PREAMBLE}{table}\\end{{document}}\n"


def escaped(text: str) -> str:
    """Text with LaTeX's special characters written out."""
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.splitlines()))


def _header(table: TextTable) -> list[str]:
    groups = [(title, len(list(own))) for title, own in groupby(table.header, key=lambda column: column[0])]
    if all(not part for _, part in table.header):
        return [
            " & ".join(escaped(text) for text in [*table.labels, *(group for group, _ in table.header)])
            + r" \\"
        ]
    first = [rf"\multirow{{2}}{{*}}{{{escaped(label)}}}" for label in table.labels]
    first += [rf"\multicolumn{{{width}}}{{c}}{{{escaped(title)}}}" for title, width in groups]
    rules, start = [], len(table.labels) + 1
    for _, width in groups:
        rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    second = [""] * len(table.labels) + [escaped(part) for _, part in table.header]
    return [" & ".join(first) + r" \\", "".join(rules), " & ".join(second) + r" \\"]


def _body(table: TextTable) -> list[str]:
    lines: list[str] = []
    names = [names for names, _ in table.rows]
    for index, (own, places) in enumerate(table.rows):
        same = _shared(names[index - 1], own) if index else -1
        if index and len(own) > 1 and same < len(own) - 1:
            lines.append(
                rf"\cmidrule(l){{{same + 1}-{len(own) + len(table.header)}}}" if same else r"\midrule"
            )
        labels = [_label(names, index, level) for level in range(len(own))]
        lines.append(" & ".join([*labels, *map(_place, places)]) + r" \\")
    return lines


def _shared(above: tuple[str, ...], own: tuple[str, ...]) -> int:
    """How many leading labels two rows share."""
    return next(
        (level for level, pair in enumerate(zip(above, own, strict=True)) if pair[0] != pair[1]), len(own)
    )


def _label(names: list[tuple[str, ...]], index: int, level: int) -> str:
    """The label of a row, merged with the equal ones below it and left out below the first."""
    own = names[index]
    if index and _shared(names[index - 1], own) > level and level < len(own) - 1:
        return ""
    height = 1
    while (
        level < len(own) - 1 and index + height < len(names) and _shared(names[index + height], own) > level
    ):
        height += 1
    return rf"\multirow{{{height}}}{{*}}{{{escaped(own[level])}}}" if height > 1 else escaped(own[level])


def _place(text: Text) -> str:
    plain = _number(escaped(text.plain))
    plain = {"best": rf"\textbf{{{plain}}}", "second": rf"\underline{{{plain}}}"}.get(text.mark, plain)
    signs = rf"\textsuperscript{{{escaped(text.signs)}}}" if text.signs else ""
    return f"{plain}{signs}{_number(escaped(text.tail))}"


def _number(text: str) -> str:
    return re.sub(r"-(?=\d)", "$-$", re.sub(r"\+(?=\d)", "$+$", text))
