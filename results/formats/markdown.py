"""A printed table in GitHub Markdown."""

from __future__ import annotations

import re

from results.tables.text_table import Text, TextTable

TAG = re.compile(r"<(?=[A-Za-z/!?])")
"""Where a tag of HTML would begin."""


def to_markdown(table: TextTable) -> str:
    """Title, table, notes and the commands that fill what is missing."""
    titles = [
        *map(cell, table.labels),
        *(f"{cell(group)}<br>{cell(part)}" if part else cell(group) for group, part in table.header),
    ]
    lines = [
        f"**{line(table.title)}**",
        "",
        _row(titles),
        _row([":--"] * len(table.labels) + ["--:"] * len(table.header)),
    ]
    lines += [_row([*map(cell, names), *map(place, places)]) for names, places in table.rows]
    if table.notes:
        lines += ["", *(f"- {line(note)}" for note in table.notes)]
    if table.commands:
        lines += ["", "Missing places are filled by:", "", "```", *map(code, table.commands), "```"]
    return "\n".join(lines) + "\n"


def _row(texts: list[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def place(text: Text) -> str:
    """A printed place with its marks."""
    opening, closing = {"best": ("**", "**"), "second": ("<ins>", "</ins>")}.get(text.mark, ("", ""))
    signs = f"<sup>{text.signs}</sup>" if text.signs else ""
    return f"{opening}{figure(text.plain)}{closing}{signs}{figure(text.tail)}"


def line(text: str) -> str:
    """A text in one line that starts no tag of HTML."""
    return TAG.sub("&lt;", " ".join(text.splitlines()))


def cell(text: str) -> str:
    """The same for a cell of a table, which a stroke would end, and a name, which is no link and no code."""
    return re.sub(r"[|`\[\]\\]", lambda found: f"\\{found[0]}", line(text))


def figure(text: str) -> str:
    """The same for a figure, whose brackets stay as they are but where they would make a link."""
    return re.sub(r"[|`\\]|\](?=\()", lambda found: f"\\{found[0]}", line(text))


def code(text: str) -> str:
    """A line of a block of code, which it cannot end."""
    return " ".join(text.splitlines()).replace("```", "` ` `")


def span(text: str) -> str:
    """A text between single backticks, which it cannot end."""
    return " ".join(text.splitlines()).replace("`", "'")
