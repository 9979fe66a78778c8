"""A table as text: what is printed where, before Markdown, LaTeX or CSV dress it.

Nothing here depends on clocks, machines or order of insertion: the same runs give the same text.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field

from results.distance.gaps import Gap
from results.runs.statistics import Summary

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
class Letters:
    """Footnotes in the order of their first use."""

    found: dict[tuple[str, str], str] = field(default_factory=dict)

    def of(self, id_: str, text: str) -> str:
        """The letter of a footnote."""
        key = (id_, text)
        if key not in self.found:
            count = len(self.found)
            letter = string.ascii_lowercase[count % 26] * (count // 26 + 1)
            self.found[key] = letter
        return self.found[key]


def number(value: float, digits: int = 4) -> str:
    """With so many decimals; what rounds to zero has no minus."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def signed(value: float) -> str:
    """With sign and four decimals; what rounds to zero has no minus."""
    text = f"{value:+.4f}"
    return "+0.0000" if text == "-0.0000" else text


def spread(found: Summary, digits: int) -> str:
    """The standard deviation over seeds, and after a stroke that over requests."""
    seeds = "" if found.deviation is None else f" ± {found.deviation:.{digits}f}"
    if found.between is None:
        return seeds
    return f"{seeds or ' ± -'} / {found.between:.{digits}f}"


def in_units(gap: Gap) -> str:
    """Its size in units of gold's spread."""
    return UNAVAILABLE if gap.units is None else f"{gap.units:.1f}"
