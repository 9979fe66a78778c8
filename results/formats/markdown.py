"""A grid as GitHub Markdown."""

from __future__ import annotations

from results.tables.grid import Grid, Text


def to_markdown(grid: Grid) -> str:
    """Title, table, notes and the commands that fill what is missing."""
    titles = [*grid.labels, *(f"{group}<br>{part}" if part else group for group, part in grid.header)]
    lines = [
        f"**{grid.title}**",
        "",
        _row(titles),
        _row([":--"] * len(grid.labels) + ["--:"] * len(grid.header)),
    ]
    lines += [_row([*names, *map(place, places)]) for names, places in grid.rows]
    if grid.notes:
        lines += ["", *(f"- {note}" for note in grid.notes)]
    if grid.commands:
        lines += ["", "Missing places are filled by:", "", "```", *grid.commands, "```"]
    return "\n".join(lines) + "\n"


def _row(texts: list[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def place(text: Text) -> str:
    """A printed place with its marks."""
    opening, closing = {"best": ("**", "**"), "second": ("<ins>", "</ins>")}.get(text.mark, ("", ""))
    signs = f"<sup>{text.signs}</sup>" if text.signs else ""
    return f"{opening}{text.plain}{closing}{signs}{text.tail}"
