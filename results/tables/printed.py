"""A measured table as text: what is printed in each of its places."""

from __future__ import annotations

from collections.abc import Sequence

from results.distance.significance import sign_of
from results.names.headlines import GOLD
from results.names.titles import TITLES
from results.tables.measured import MeasuredTable, Place
from results.tables.notes import OTHER_CODE, is_general, notes
from results.tables.text_table import (
    FAILED,
    MISSING,
    NOTHING,
    UNAVAILABLE,
    Letters,
    Text,
    TextTable,
    in_units,
    signed,
    spread,
)


def text_table(table: MeasuredTable, commands: Sequence[str]) -> TextTable:
    """The printed form of a measured table."""
    layout, letters = table.layout, Letters()
    parts = [parts_of(table, index) for index in range(len(layout.quantities))]
    header = [(q.title, part) for q, own in zip(layout.quantities, parts, strict=True) for part in own]
    rows = []
    for row in table.rows:
        names = tuple(
            TITLES.get(row[0].entry.labels[label], row[0].entry.labels[label]) for label in layout.shown
        )
        texts = [_text(p, part, letters) for p, own in zip(row, parts, strict=True) for part in own]
        rows.append((names, tuple(texts)))
    printed = [f"{letter}: {text} ({id_})" for (id_, text), letter in letters.found.items()]
    return TextTable(
        layout.name,
        layout.title,
        layout.shown,
        tuple(header),
        tuple(rows),
        tuple(notes(table, parts, printed)),
        tuple(commands),
    )


def parts_of(table: MeasuredTable, index: int) -> list[str]:
    """The columns of a quantity."""
    column = [row[index] for row in table.rows]
    has_gold = any(place.entry.method == GOLD for place in column)
    parts = ["measured"]
    if table.layout.quantities[index].gap and has_gold:
        parts.append("to gold")
    if any(place.published for place in column):
        parts.append("published")
    return parts


def _text(place: Place, part: str, letters: Letters) -> Text:
    if part == "measured":
        return _measured(place)
    return Text(_gap(place)) if part == "to gold" else _published(place, letters)


def _measured(place: Place) -> Text:
    found = place.summary
    if found is None:
        if place.unavailable or (place.group and place.group.not_applicable(place.quantity.metric)):
            return Text(UNAVAILABLE)
        return Text(FAILED if place.failed else MISSING)
    flagged = OTHER_CODE if place.flags or place.left_out else ""
    tail = spread(found, 4) + (f" [{found.count}/{len(place.wanted)}]" if place.lacking else "")
    return Text(f"{found.mean:.4f}", place.mark, sign_of(place.comparison) + flagged, tail)


def _gap(place: Place) -> str:
    if place.gap is None:
        return NOTHING
    return f"{signed(place.gap.value)} ({in_units(place.gap)})"


def _published(place: Place, letters: Letters) -> Text:
    number = place.published
    if number is None:
        return Text(NOTHING)
    own = [letters.of(note.id, note.text) for note in number.notes if not is_general(note)]
    difference = "" if place.difference is None else f" ({signed(place.difference)})"
    return Text(f"{number.value:.4f}", "", ",".join(own), difference)
