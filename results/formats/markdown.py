"""A printed table in GitHub Markdown."""

from __future__ import annotations

from results.tables.text_table import Text, TextTable


def to_markdown(table: TextTable) -> str:
    """Title, table, notes and the commands that fill what is missing."""
    titles = [*table.labels, *(f"{group}<br>{part}" if part else group for group, part in table.header)]
    lines = [
        f"**{table.title}**",
        "",
        _row(titles),
        _row([":--"] * len(table.labels) + ["--:"] * len(table.header)),
    ]
    lines += [_row([*names, *map(place, places)]) for names, places in table.rows]
    if table.notes:
        lines += ["", *(f"- {note}" for note in table.notes)]
    if table.commands:
        lines += ["", "Missing places are filled by:", "", "```", *table.commands, "```"]
    return "\n".join(lines) + "\n"


def _row(texts: list[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def place(text: Text) -> str:
    """A printed place with its marks."""
    opening, closing = {"best": ("**", "**"), "second": ("<ins>", "</ins>")}.get(text.mark, ("", ""))
    signs = f"<sup>{text.signs}</sup>" if text.signs else ""
    return f"{opening}{text.plain}{closing}{signs}{text.tail}"
