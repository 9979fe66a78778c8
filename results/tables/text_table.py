"""A table as text: what is printed where, before Markdown, LaTeX or CSV dress it.

Nothing here depends on clocks, machines or order of insertion: the same runs give the same text.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass, field

from results.names.headlines import GOLD
from results.names.titles import TITLES
from results.published.numbers import Note
from results.runs.statistics import MIN_PAIRS
from results.tables.measured import MeasuredTable, Place

MISSING, FAILED, UNAVAILABLE, NOTHING = "missing", "failed", "n/a", "-"


@dataclass(frozen=True)
class Text:
    """One printed place. ``mark``: best, second or ""; ``signs``: signs of significance and footnotes."""

    plain: str
    mark: str = ""
    signs: str = ""
    tail: str = ""
    """Printed after the marked part, unmarked: the deviation, the number of seeds."""


@dataclass(frozen=True)
class TextTable:
    """A printed table.

    Attributes:
        labels: titles of the leading columns.
        header: (group, title) of each further column; columns of one group stand together.
        rows: (label texts, places).
        notes: lines below the table.
        commands: what fills its missing places.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    header: tuple[tuple[str, str], ...]
    rows: tuple[tuple[tuple[str, ...], tuple[Text, ...]], ...]
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass
class _Letters:
    """Footnotes in the order of their first use."""

    found: dict[tuple[str, str], str] = field(default_factory=dict)

    def of(self, note: Note) -> str:
        key = (note.id, note.text)
        if key not in self.found:
            count = len(self.found)
            letter = string.ascii_lowercase[count % 26] * (count // 26 + 1)
            self.found[key] = letter
        return self.found[key]


def text_table(table: MeasuredTable, commands: Sequence[str]) -> TextTable:
    """The printed form of a measured table."""
    layout, letters = table.layout, _Letters()
    parts = [_parts(table, index) for index in range(len(layout.quantities))]
    header = [(q.title, part) for q, own in zip(layout.quantities, parts, strict=True) for part in own]
    rows = []
    for row in table.rows:
        names = tuple(
            TITLES.get(row[0].entry.labels[label], row[0].entry.labels[label]) for label in layout.shown
        )
        texts = [
            _text(place, part, letters, len(layout.seeds))
            for place, own in zip(row, parts, strict=True)
            for part in own
        ]
        rows.append((names, tuple(texts)))
    notes = [*_reading(table, parts), *layout.remarks, *_significance(table)]
    notes += [f"{letter}: {text} ({id_})" for (id_, text), letter in letters.found.items()]
    notes += [*_general(table), *_state(table), *_provenance(table)]
    return TextTable(
        layout.name, layout.title, layout.shown, tuple(header), tuple(rows), tuple(notes), tuple(commands)
    )


def _parts(table: MeasuredTable, index: int) -> list[str]:
    """The columns of a quantity."""
    column = [row[index] for row in table.rows]
    has_gold = any(place.entry.method == GOLD for place in column)
    parts = ["measured"]
    if table.layout.quantities[index].gap and has_gold:
        parts.append("to gold")
    if any(place.published for place in column):
        parts.append("published")
    return parts


def _text(place: Place, part: str, letters: _Letters, seeds: int) -> Text:
    if part == "measured":
        return _measured(place, seeds)
    return Text(_gap(place)) if part == "to gold" else _published(place, letters)


def _measured(place: Place, seeds: int) -> Text:
    found = place.summary
    if found is None:
        if place.unavailable:
            return Text(UNAVAILABLE)
        return Text(FAILED if place.failed else MISSING)
    signs = ("†" if place.better_users else "") + ("‡" if place.better_seeds else "")
    tail = "" if found.deviation is None else f" ± {found.deviation:.4f}"
    tail += f" [{found.count}/{seeds}]" if found.count < seeds else ""
    return Text(f"{found.mean:.4f}", place.mark, signs, tail)


def _gap(place: Place) -> str:
    if place.gap is None:
        return NOTHING
    units = "" if place.gap.units is None else f" ({place.gap.units:.1f})"
    return f"{signed(place.gap.value)}{units}"


def _published(place: Place, letters: _Letters) -> Text:
    number = place.published
    if number is None:
        return Text(NOTHING)
    own = [letters.of(note) for note in number.notes if not is_general(note)]
    difference = "" if place.difference is None else f" ({signed(place.difference)})"
    return Text(f"{number.value:.4f}", "", ",".join(own), difference)


def signed(value: float) -> str:
    """With sign and four decimals; what rounds to zero has no minus."""
    text = f"{value:+.4f}"
    return "+0.0000" if text == "-0.0000" else text


def is_general(note: Note) -> bool:
    """Whether a note is about whole columns or methods: it stands below the table only."""
    return note.places is None or all(set(case) <= {"method", "metric"} for case in note.places)


def _reading(table: MeasuredTable, parts: Sequence[Sequence[str]]) -> list[str]:
    seeds = table.layout.seeds
    over = f"seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"seed {seeds[0]} alone"
    lines = [f"measured: mean ± standard deviation over {over}; [k/n] where only k of n seeds are there."]
    if any("to gold" in part for part in parts):
        lines.append(
            "to gold: mean minus Retrain's; in brackets its size in units of the mean difference between two "
            "gold models of different seeds."
        )
    if any("published" in part for part in parts):
        lines.append("published: as printed; in brackets ours minus published.")
    if table.layout.ranked:
        lines.append(
            "Bold is best, underlined second among the methods of a block, without Original and Retrain."
        )
    return lines


def _significance(table: MeasuredTable) -> list[str]:
    best = [place for place in table.places if place.mark == "best"]
    if not best:
        return []
    lines = []
    if any(place.better_users is not None for place in best):
        lines.append(
            "† better than the second: paired t test over users (mean over seeds per user), p < .05 after "
            "Holm's correction over the table."
        )
    if any(place.better_seeds is not None for place in best):
        lines.append("‡ the same over seeds.")
    if any(place.better_seeds is None for place in best):
        lines.append(
            f"With fewer than {MIN_PAIRS} shared seeds there is no test over seeds: ‡ may be absent for that."
        )
    return lines


def _general(table: MeasuredTable) -> list[str]:
    """Notes about whole columns or methods of the published table."""
    notes = {
        (note.id, note.text): None
        for place in table.places
        if place.published
        for note in place.published.notes
        if is_general(note)
    }
    return [f"About the published numbers ({id_}): {text}" for id_, text in notes]


def _state(table: MeasuredTable) -> list[str]:
    lines = []
    causes = dict.fromkeys(place.unavailable for place in table.places if place.unavailable)
    lines += [f"n/a: {cause}" for cause in causes]
    failed = dict.fromkeys(cause for place in table.places for cause in place.failed.values())
    lines += [f"failed: {cause}" for cause in failed]
    others = {run for place in table.places for run in place.others} - {run.run_id for run in table.used}
    if others:
        lines.append(
            f"{len(others)} finished runs have the labels of this table and other options; they are "
            "not in it."
        )
    return lines


def _provenance(table: MeasuredTable) -> list[str]:
    used = table.used
    if not used:
        return ["No run is in this table."]
    commits = sorted({_commit(run.tags.get("lethe.commit", "unknown")) for run in used})
    devices = sorted({run.tags.get("device.name", "unknown") for run in used})
    return [f"{len(used)} runs; code {', '.join(commits)}; devices: {', '.join(devices)}."]


def _commit(text: str) -> str:
    """A commit, shortened, with the mark of a changed working tree."""
    commit, dash, rest = text.partition("-")
    return f"{commit[:12]}{dash}{rest}"
